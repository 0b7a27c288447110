package coordinator

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// crew is several workers that share one crawl, stepped by one goroutine on a
// clock that jumps. It checks what every worker believes it may do.
type crew struct {
	*rescue
	men     []*crewman
	fetched map[salvor.Key]int
	place   int64
	tick    time.Duration
}

// crewman starts items at his own speed or at the paces of his leases, whichever
// is less.
type crewman struct {
	crew     *crew
	session  salvor.SessionID
	request  uint64
	speed    float64 // pages a second
	leases   []*crewLease
	seen     salvor.LeaseID
	extended time.Time
	call     api.Call // an extend whose answer was lost
	asleep   bool     // he is gone
	deaf     int      // answers that get lost
	credit   float64
	idle     time.Duration // since when he has nothing to start
	longest  time.Duration // of these, while there was work
}

type crewLease struct {
	api.Lease
	at time.Time // when what was answered last was sent
}

func newCrew(r *rescue, speeds ...float64) *crew {
	c := &crew{rescue: r, fetched: map[salvor.Key]int{}, tick: 100 * time.Millisecond}
	for i, v := range speeds {
		s, err := r.Register(r.t.Context(), fmt.Sprint("worker ", i))
		must(r.t, err)
		c.men = append(c.men, &crewman{crew: c, session: s, speed: v})
	}
	return c
}

// run lets the crew work until done, or for a time.
func (c *crew) run(d time.Duration, done func() bool) {
	c.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end) && !done(); time.Sleep(c.tick) {
		for _, m := range c.men {
			if !m.asleep {
				m.step()
			}
		}
	}
}

// pace is what a man believes he may do at a host.
func (m *crewman) pace() (p salvor.Pace) {
	for _, l := range m.leases {
		if len(l.Items) > 0 && time.Since(l.at) < salvor.LeaseTTL {
			p = min(p+l.Pace, salvor.Unlimited)
		}
	}
	return p
}

func (c *crew) paces() (list []salvor.Pace, sum salvor.Pace) {
	for _, m := range c.men {
		if !m.asleep {
			list = append(list, m.pace())
			sum += m.pace()
		}
	}
	return list, sum
}

func (m *crewman) next() api.Call {
	m.request++
	return api.Call{Session: m.session, Request: m.request}
}

func (m *crewman) unstarted() (n int) {
	for _, l := range m.leases {
		n += len(l.Items)
	}
	return n
}

func (m *crewman) step() {
	if time.Since(m.extended) >= salvor.ExtendEvery {
		m.extend()
	}
	m.work()
	if m.unstarted() == 0 {
		m.ask()
	}
	if m.unstarted() > 0 || m.crew.left() == 0 {
		m.idle = 0
		return
	}
	m.idle += m.crew.tick
	m.longest = max(m.longest, m.idle)
}

func (c *crew) left() int {
	x := c.totals()
	return int(x.Open())
}

func (m *crewman) extend() {
	m.extended = time.Now()
	h := api.Holdings{Seen: m.seen}
	for _, l := range m.leases {
		x := api.Extension{Lease: l.ID}
		if len(l.Items) > 0 {
			x.Pace = salvor.Unlimited
			h.Unstarted = append(h.Unstarted, api.Slice{Lease: l.ID, Items: len(l.Items)})
		}
		h.Leases = append(h.Leases, x)
	}
	if m.call == (api.Call{}) {
		m.call = m.next()
	}
	sent := time.Now()
	r, err := m.crew.Extend(m.crew.t.Context(), m.call, h)
	must(m.crew.t, err)
	if m.deaf > 0 {
		m.deaf--
		return
	}
	m.call = api.Call{}
	m.renewed(r, sent)
}

func (m *crewman) renewed(r api.Renewal, sent time.Time) {
	byID := map[salvor.LeaseID]*crewLease{}
	for _, l := range m.leases {
		byID[l.ID] = l
	}
	m.leases = nil
	for _, x := range r.Granted {
		if l := byID[x.Lease]; l != nil {
			l.Pace, l.at = x.Pace, sent
			m.leases = append(m.leases, l)
		}
	}
	for _, s := range r.Recalled {
		m.giveBack(byID[s.Lease], s.Items)
	}
}

func (m *crewman) giveBack(l *crewLease, n int) {
	s := api.Settlement{Crawl: l.Crawl}
	for _, it := range l.Items[len(l.Items)-min(n, len(l.Items)):] {
		s.Entries = append(s.Entries, api.Entry{Key: it.Key, Host: l.Host, Lease: l.ID, Verb: api.VerbPostpone})
	}
	l.Items = l.Items[:len(l.Items)-len(s.Entries)]
	must(m.crew.t, m.crew.Settle(m.crew.t.Context(), m.next(), s))
}

// work starts what the tick allows, and settles it.
func (m *crewman) work() {
	m.credit = min(m.credit+min(m.speed, m.pace().PerSecond())*m.crew.tick.Seconds(), m.speed)
	byLease := map[salvor.LeaseID]*api.Settlement{}
	for _, l := range m.leases {
		for len(l.Items) > 0 && m.credit >= 1 {
			m.credit--
			m.crew.place++
			m.crew.fetched[l.Items[0].Key]++
			s := byLease[l.ID]
			if s == nil {
				s = &api.Settlement{Crawl: l.Crawl}
				byLease[l.ID] = s
			}
			s.Entries = append(s.Entries, saved(l.Lease, 0, m.crew.place))
			l.Items = l.Items[1:]
		}
	}
	for _, s := range byLease {
		must(m.crew.t, m.crew.Settle(m.crew.t.Context(), m.next(), *s))
	}
}

func (m *crewman) ask() {
	m.credit = min(m.credit, 1)
	sent := time.Now()
	got, err := m.crew.Lease(m.crew.t.Context(), m.next(), api.Want{Crawl: m.crew.crawl.ID, Hosts: 16, Items: 1000, Idle: true})
	must(m.crew.t, err)
	for _, l := range got {
		m.leases = append(m.leases, &crewLease{l, sent})
		m.seen = max(m.seen, l.ID)
	}
}

// At the end of a giant host's queue nobody is idle for long, however different
// the workers are.
func TestTailIsShared(t *testing.T) {
	for _, pages := range []int{10_000, 700} {
		t.Run(fmt.Sprint(pages), func(t *testing.T) {
			inBubble(t, func(t *testing.T, r *rescue) {
				must(t, r.SetCeiling(t.Context(), r.crawl.ID, "", salvor.Unlimited))
				for from := 0; from < pages; from += 1000 {
					r.discover("a.example", from, min(from+1000, pages))
				}
				must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: "a.example", Requests: 1}}))
				c := newCrew(r, 2, 15, 60, 200)
				began := time.Now()
				c.run(5*time.Minute, func() bool { return c.left() == 0 })
				best := time.Duration(float64(pages) / 277 * float64(time.Second))
				took := time.Since(began)
				if c.left() > 0 || took > best+best/5+8*time.Second {
					t.Errorf("%d left after %s, the crew can do it in %s", c.left(), took, best)
				}
				for i, m := range c.men {
					if m.longest > 5*time.Second {
						t.Errorf("worker %d of %v/s was idle for %s", i, m.speed, m.longest)
					}
				}
				c.once(pages)
				t.Logf("%d pages in %s, at best %s; idle %v %v %v %v", pages, took, best, c.men[0].longest, c.men[1].longest, c.men[2].longest, c.men[3].longest)
			})
		})
	}
}

// once: nothing was fetched twice.
func (c *crew) once(pages int) {
	c.t.Helper()
	twice := 0
	for _, n := range c.fetched {
		if n > 1 {
			twice++
		}
	}
	if len(c.fetched) != pages || twice > 0 {
		c.t.Errorf("%d of %d pages were fetched, %d of them twice", len(c.fetched), pages, twice)
	}
}

// Several workers share a host whose budget is limited, and the sum of what they
// believe they may do never passes it (protocol 4).
func TestBudgetIsShared(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		const budget = 20_000
		r.discover("a.example", 0, 1000)
		r.discover("a.example", 1000, 2000)
		r.discover("a.example", 2000, 4000)
		rate := salvor.Pace(budget)
		must(t, r.change1(t.Context(), setRate(r, "a.example", rate)))
		c := newCrew(r, 50, 50, 50, 50)
		check := func() bool {
			list, sum := c.paces()
			if sum > budget {
				t.Fatalf("%v sum up to %v", list, sum)
			}
			return false
		}
		alone := c.men
		c.men = c.men[:1]
		c.run(10*time.Second, check)
		if _, sum := c.paces(); sum != budget {
			t.Errorf("alone it has %v", sum)
		}
		c.men = alone
		c.run(2*salvor.ExtendEvery+time.Second, check)
		list, sum := c.paces()
		for _, p := range list {
			if p < 4500 || p > 5500 {
				t.Errorf("of 20/s four have %v", list)
			}
		}
		if sum < budget-100 {
			t.Errorf("only %v of it is used", sum)
		}
		// An answer that is lost changes nothing of that.
		c.men[0].deaf, c.men[2].deaf = 2, 1
		for _, m := range c.men[1:] {
			must(t, r.End(t.Context(), m.session))
			m.asleep = true
		}
		c.men[0].deaf = 0
		c.run(2*salvor.ExtendEvery+time.Second, check)
		if _, sum := c.paces(); sum != budget {
			t.Errorf("when three have left, the last has %v", sum)
		}
	})
}

func setRate(r *rescue, host string, p salvor.Pace) *frontier.SetBudget {
	return &frontier.SetBudget{Crawl: r.crawl.ID, Host: host, Rate: &p}
}

// Whoever comes, goes, or does not hear an answer: the sum of what the workers
// believe never passes the budget, and is not left unused for long.
func TestSharesOfACrewThatChanges(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rescue) {
		const budget = 20_000
		for from := 0; from < 8000; from += 1000 {
			r.discover("a.example", from, from+1000)
		}
		must(t, r.change1(t.Context(), setRate(r, "a.example", budget)))
		rng := rand.New(rand.NewPCG(1, 2))
		c := newCrew(r, 50, 50, 50, 50, 50)
		used := 0.0
		ticks := 0
		check := func() bool {
			list, sum := c.paces()
			if sum > budget {
				t.Fatalf("%v sum up to %v", list, sum)
			}
			used += sum.PerSecond()
			ticks++
			return false
		}
		for range 40 {
			m := c.men[rng.IntN(len(c.men))]
			switch rng.IntN(4) {
			case 0:
				m.deaf = 1 + rng.IntN(2)
			case 1: // silent until its lease has ended, so that it counts all the while
				m.asleep = !m.asleep && m != c.men[0]
				m.leases = nil
			}
			c.run(time.Duration(500+rng.IntN(3000))*time.Millisecond, check)
		}
		if mean := used / float64(ticks); mean < 0.6*20 {
			t.Errorf("on average %.1f of 20/s were in use", mean)
		} else {
			t.Logf("on average %.1f of 20/s were in use", mean)
		}
	})
}
