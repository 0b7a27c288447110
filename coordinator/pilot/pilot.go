// Package pilot plans for a running cluster: every few seconds it puts together
// what the hosts, the workers and the deadlines are, asks package plan what to do,
// and tells the leaders of all groups their course.
//
// It is for the nodes that coordinate: each runs one, and it acts while its node
// leads group 0. What it remembers is soft: a new leader's pilot learns it anew
// within a minute. It guarantees that no plan lifts a budget, and that without it
// the cluster works on: a course that nobody renews lapses.
package pilot

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/plan"
)

// Config says what a pilot looks at and whom it tells.
type Config struct {
	Groups []Group
	Leads  func() bool                                   // whether this node leads group 0
	Nodes  func(ctx context.Context) []api.NodeStatus    // what the workers say of themselves
	Steer  func(ctx context.Context, c api.Course) error // tells all leaders, and who may be one soon
	Values func(c api.Crawl) Values                      // what a crawl's requests are worth; nil: DefaultValues
	// Outlooks is what is known of the end of hosts, for one look, and as far ahead
	// as that plans; nil: nothing.
	Outlooks func(ctx context.Context, ahead time.Duration) (func(host string) Outlook, error)
	Every    time.Duration    // between two looks, more where they take long; default 1 s
	Now      func() time.Time // default time.Now
	Logger   *slog.Logger     // nil takes nothing
}

// Group is what a pilot asks a Raft group.
type Group interface {
	Crawls(ctx context.Context) ([]api.Crawl, error)
	Hosts(ctx context.Context, id salvor.CrawlID, limit int) ([]api.Host, error)
	HostGroups(ctx context.Context) ([]api.HostGroup, error)
}

// Pilot plans for a cluster.
type Pilot struct {
	c       Config
	speeds  speeds
	looking sync.Mutex // one look at a time

	mu   sync.Mutex
	last *View // of the newest look; nil: none
}

const (
	// lookEvery and an extend of the leases together are how soon a deadline that
	// is moved changes what is fetched.
	lookEvery = time.Second
	// lookShare bounds what looks cost: one that took long is followed by a pause of
	// so many times that, at most lookPause. A coordinator that does not answer makes
	// looks long, and is no reason to plan seldom.
	lookShare = 20
	lookPause = 2 * time.Second
	// lookWithin is how long one may take.
	lookWithin = 8 * time.Second
	// planWithin is how long a plan may take, before what is worth most is served
	// first instead.
	planWithin = 2 * time.Second
	// hostsOf is how many hosts of a crawl are planned for in each group; the
	// others are served in turn, after them.
	hostsOf = 1000
)

// New makes a pilot; Run sets it to work.
func New(c Config) *Pilot {
	if c.Every == 0 {
		c.Every = lookEvery
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Values == nil {
		c.Values = func(api.Crawl) Values { return DefaultValues }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return &Pilot{c: c, speeds: newSpeeds()}
}

// Run plans until ctx ends, while the node leads.
func (p *Pilot) Run(ctx context.Context) {
	next := time.NewTimer(p.c.Every)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		began := time.Now()
		if p.c.Leads() {
			p.lookSoon(ctx)
		} else {
			p.forget()
		}
		next.Reset(max(p.c.Every, min(lookShare*time.Since(began), lookPause)))
	}
}

func (p *Pilot) lookSoon(ctx context.Context) {
	within, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	if err := p.Look(within); err != nil && ctx.Err() == nil {
		p.c.Logger.Info("no plan was made", "error", err)
	}
}

func (p *Pilot) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last, p.speeds = nil, newSpeeds()
}

// View is the newest plan and what it was made of; false if this node has none.
func (p *Pilot) View() (View, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		return View{}, false
	}
	return *p.last, true
}

// Look makes a plan and tells it.
func (p *Pilot) Look(ctx context.Context) error {
	p.looking.Lock()
	defer p.looking.Unlock()
	v, err := p.survey(ctx)
	if err != nil {
		return err
	}
	late := p.c.Now().Add(planWithin)
	begun := p.c.Now()
	v.Plan = plan.Make(v.Input, func() bool { return p.c.Now().After(late) })
	v.Took = p.c.Now().Sub(begun).Seconds()
	v.Forecasts = forecasts(&v)
	p.speeds.planned(&v)
	p.mu.Lock()
	p.last = &v
	p.mu.Unlock()
	return p.c.Steer(ctx, course(&v))
}

// survey puts together what there is.
func (p *Pilot) survey(ctx context.Context) (View, error) {
	now := p.c.Now()
	v := View{At: now.UnixMilli()}
	crawls, err := p.c.Groups[0].Crawls(ctx)
	if err != nil {
		return v, err
	}
	v.Capacity = measure(p.c.Nodes(ctx))
	outlook, trouble := p.outlooks(ctx, p.ahead(crawls, now))
	s := survey{v: &v, now: now, speeds: &p.speeds, pools: map[string]int{}, outlook: outlook}
	for _, c := range crawls {
		if c.State != salvor.CrawlRunning {
			continue
		}
		v.Crawls = append(v.Crawls, CrawlView{ID: c.ID, Name: c.Name, Deadline: c.Deadline})
		values := p.c.Values(c)
		for _, g := range p.c.Groups {
			hosts, err := g.Hosts(ctx, c.ID, hostsOf)
			if salvor.ClassOf(err) == salvor.NotFound {
				continue // its copy is on the way
			}
			if err != nil {
				return v, err
			}
			s.add(c, values, hosts)
		}
	}
	s.shared()
	v.apportion(s.most)
	v.Input.Every = p.c.Every.Seconds()
	if trouble != nil { // the plan is made without
		p.c.Logger.Info("what is known of sites cannot be read", "error", trouble)
	}
	return v, s.merged(ctx, p.c.Groups)
}

func (p *Pilot) outlooks(ctx context.Context, ahead time.Duration) (func(host string) Outlook, error) {
	nothing := func(string) Outlook { return Outlook{} }
	if p.c.Outlooks == nil {
		return nothing, nil
	}
	f, err := p.c.Outlooks(ctx, ahead)
	if err != nil {
		return nothing, err
	}
	return f, nil
}

// course is a plan as the leaders take it. Where the workers have time for all,
// only the order counts.
func course(v *View) api.Course {
	c := api.Course{Made: v.At}
	tight := len(v.Plan.Price) > 0 && v.Plan.Price[0] > 0
	if tight {
		c.Rest = trickle
		if !v.partial { // they came since
			c.Rest = max(trickle, salvor.PerSecond(v.explore))
		}
	}
	for _, i := range v.order() {
		if len(c.Hosts) == api.MaxHeadings {
			break
		}
		h := api.Heading{Crawl: v.Hosts[i].Crawl, Host: v.Hosts[i].Host, Lasts: v.lasts(i)}
		if tight {
			rate := v.most(i)
			if v.Hosts[i].fresh() {
				rate = max(rate, min(v.explore, v.Input.Hosts[i].Rate))
			}
			h.Pace = max(salvor.PerSecond(rate*slack), trickle)
		}
		c.Hosts = append(c.Hosts, h)
	}
	return c
}

// lasts is for how long a lease of a host is to last, in ms: a part of the time that
// is left. What is found meanwhile and worth more waits no longer than that.
func (v *View) lasts(i int) int64 {
	least := int64(0)
	for _, end := range [...]int64{v.Hosts[i].Ends, v.deadline(v.Hosts[i].Crawl)} {
		if left := (end - v.At) / leasePart; left > 0 && left < mostLease && (least == 0 || left < least) {
			least = max(left, leastLease)
		}
	}
	if least > 0 && v.Hosts[i].fresh() {
		return min(least, freshLease)
	}
	return least
}

// deadline is a crawl's; 0 none.
func (v *View) deadline(id salvor.CrawlID) int64 {
	for _, c := range v.Crawls {
		if c.ID == id {
			return c.Deadline
		}
	}
	return 0
}

// most is what a host may get. One that is planned for as far as it is known may
// turn out to have more: what is fetched of it finds the rest.
func (v *View) most(i int) float64 {
	if s := v.Plan.Hosts[i]; s.Why != plan.ByQueue {
		return s.Rate
	}
	return v.Input.Hosts[i].Rate
}

// apportion divides what the workers can do: a part is kept for hosts of which
// nearly nothing is known yet, because a plan cannot say anything of them. Those that
// it gives enough all the same need no such part.
func (v *View) apportion(wanted float64) {
	n, rate := 0, v.Capacity.rate(wanted)
	for i := range v.Hosts {
		if v.Hosts[i].fresh() {
			n++
		}
	}
	v.explore = explore * rate / float64(max(n, 1))
	for i, h := range v.Input.Hosts {
		if v.Capacity.Most > 0 && v.Hosts[i].fresh() {
			rate -= max(min(v.explore, h.Rate)-h.Before, 0)
		}
	}
	v.Input.Capacity = []plan.Step{{Rate: rate}}
}

const (
	// leasePart of the time left of a host is what a lease of it lasts, in ms between
	// these: below, workers would ask for more all the time; above, it is as usual.
	leasePart  = 10
	leastLease = 5_000
	mostLease  = 60_000
	// freshLease is the same of a host that ends soon and of which nearly nothing is
	// known yet: its next pages tell where the good ones are.
	freshLease = 2_000
	// explore is the part of the workers' time for hosts of which nothing is known
	// yet, and freshFor how many requests of one tell what there is to plan with.
	explore  = 0.4
	freshFor = 10
	// slack is how much more than planned a host may get: what the workers can do
	// is known to some per cent only, and must not fall by being believed.
	slack = 1.15
	// trickle is what a host gets that is not planned for now: enough to learn
	// whether it is there, and how large it is.
	trickle = salvor.Pace(200)
)
