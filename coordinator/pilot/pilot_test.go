package pilot

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
	"salvor/coordinator/plan"
)

// world is a cluster as a pilot sees it.
type world struct {
	crawls []api.Crawl
	hosts  map[salvor.CrawlID][]api.Host
	groups []api.HostGroup
	load   []api.Load
	now    time.Time
	course api.Course
}

func (w *world) Crawls(context.Context) ([]api.Crawl, error) { return w.crawls, nil }
func (w *world) Hosts(_ context.Context, id salvor.CrawlID, _ int) ([]api.Host, error) {
	return w.hosts[id], nil
}
func (w *world) HostGroups(context.Context) ([]api.HostGroup, error) { return w.groups, nil }

func (w *world) nodes(context.Context) (out []api.NodeStatus) {
	for _, l := range w.load {
		out = append(out, api.NodeStatus{Node: api.Node{State: api.NodeActive}, Load: &l})
	}
	return out
}

func (w *world) pilot() *Pilot {
	return New(Config{
		Groups: []Group{w}, Leads: func() bool { return true }, Nodes: w.nodes, Now: func() time.Time { return w.now },
		Steer: func(_ context.Context, c api.Course) error { w.course = c; return nil },
	})
}

// host has open items in the band of pages, and a rate.
func host(name string, open int64, rate float64) api.Host {
	return api.Host{
		Name: name, Rate: salvor.PerSecond(rate), Ceiling: salvor.PerSecond(rate), Totals: api.Totals{Accepted: open + freshFor, Queued: open},
		Bands: []api.BandCount{{Band: salvor.BandPage, Queued: open}},
	}
}

func newWorld() *world {
	w := &world{now: time.Unix(1_800_000_000, 0), hosts: map[salvor.CrawlID][]api.Host{}}
	w.load = []api.Load{{Rate: 10, Connections: 0.5, CPU: 0.9}, {Rate: 9, Requests: 1}} // 11.1 and 9
	for i, name := range []string{"calm", "dying"} {
		id := salvor.CrawlID(i + 1)
		w.crawls = append(w.crawls, api.Crawl{ID: id, Name: name, State: salvor.CrawlRunning})
		w.hosts[id] = []api.Host{host(name+".example", 20_000, 30)}
	}
	return w
}

func (w *world) look(t *testing.T, p *Pilot) View {
	t.Helper()
	if err := p.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	v, ok := p.View()
	if !ok {
		t.Fatal("there is no view")
	}
	return v
}

func (w *world) pace(host string) float64 {
	for _, h := range w.course.Hosts {
		if h.Host == host {
			return h.Pace.PerSecond()
		}
	}
	return -1
}

// A deadline takes the workers to where it is, and one that is moved forward at
// the next look.
func TestDeadlineTakesTheWorkers(t *testing.T) {
	w := newWorld()
	p := w.pilot()
	w.crawls[1].Deadline = w.now.Add(10 * time.Minute).UnixMilli()
	v := w.look(t, p)
	if got := v.Capacity.Most; math.Abs(got-20.1) > 0.1 {
		t.Errorf("the workers could do %.1f a second, want 20.1", got)
	}
	if a, b := w.pace("dying.example"), w.pace("calm.example"); a < 20 || b > 1 {
		t.Errorf("paces %v for what is about to go and %v for what stays", a, b)
	}
	if w.course.Hosts[0].Host != "dying.example" {
		t.Errorf("%s is served first", w.course.Hosts[0].Host)
	}
	w.crawls[0].Deadline = w.now.Add(2 * time.Minute).UnixMilli()
	w.crawls[1].Deadline = w.now.Add(24 * time.Hour).UnixMilli()
	w.now = w.now.Add(2 * time.Second)
	w.look(t, p)
	if a, b := w.pace("calm.example"), w.pace("dying.example"); a < 20 || b > 1 {
		t.Errorf("after the deadlines moved: paces %v and %v", a, b)
	}
}

// Odds are asked for until the crawls end: by their deadlines, or by what they take.
func TestAheadUntilTheEnd(t *testing.T) {
	w := newWorld()
	p := w.pilot()
	var ahead time.Duration
	p.c.Outlooks = func(_ context.Context, a time.Duration) (func(string) Outlook, error) {
		ahead = a
		return func(string) Outlook { return Outlook{} }, nil
	}
	const days = 24 * time.Hour
	w.hosts[1] = []api.Host{host("calm.example", 1000, .001)} // it takes 12 days
	w.look(t, p)
	if ahead != 7*days {
		t.Errorf("at first it looks %v ahead", ahead)
	}
	w.now = w.now.Add(time.Second)
	w.look(t, p)
	if ahead < 10*days || ahead > 14*days {
		t.Errorf("with a crawl that takes 12 days it looks %v ahead", ahead)
	}
	w.crawls[1].Deadline = w.now.Add(30 * days).UnixMilli()
	w.look(t, p)
	if ahead != 30*days {
		t.Errorf("with a deadline in 30 days it looks %v ahead", ahead)
	}
}

// A line that is full is what the workers are bound by, and is named as that, though
// it keeps their connections busy too.
func TestForecastEgress(t *testing.T) {
	w := newWorld()
	w.load = []api.Load{{Rate: 12, Egress: .96, Connections: 1}, {Rate: 10, CPU: .1, Egress: .9}}
	w.crawls[1].Deadline = w.now.Add(10 * time.Minute).UnixMilli()
	v := w.look(t, w.pilot())
	if c := v.Capacity; c.Bound != "egress" || math.Abs(c.Most-12-10/.9) > .1 {
		t.Errorf("the capacity is %+v", c)
	}
	if f := v.Forecasts[0]; f.Bound != "egress" || !strings.Contains(f.Tip, "--node-egress") {
		t.Errorf("the forecast is %+v", f)
	}
	if a, b := w.pace("dying.example"), w.pace("calm.example"); a < 20 || b > 1 {
		t.Errorf("paces %v for what is about to go and %v for what stays", a, b)
	}
}

// Where the workers have time for all, nobody is held back.
func TestNobodyIsHeldBackForNothing(t *testing.T) {
	w := newWorld()
	w.load = []api.Load{{Rate: 10, CPU: 0.01}}
	v := w.look(t, w.pilot())
	for _, h := range w.course.Hosts {
		if h.Pace != 0 {
			t.Errorf("%s gets at most %v", h.Host, h.Pace)
		}
	}
	if w.course.Rest != 0 || v.Plan.Price[0] != 0 {
		t.Errorf("rest %v, price %v", w.course.Rest, v.Plan.Price[0])
	}
}

func TestForecast(t *testing.T) {
	w := newWorld()
	w.crawls[1].Deadline = w.now.Add(10 * time.Minute).UnixMilli()
	h := &w.hosts[2][0]
	h.Totals.Accepted, h.Totals.Outcomes[salvor.Saved], h.Totals.Bytes = 21_000, 1000, 20_000_000
	v := w.look(t, w.pilot())
	f := v.Forecasts[1]
	if f.Name != "dying" || f.Known != 21_000 || f.Saved != 1000 {
		t.Errorf("%+v", f)
	}
	if want := 1000 + 600*20.1; math.Abs(f.By/want-1) > 0.06 {
		t.Errorf("%.0f saved by the deadline, the workers can do %.0f", f.By, want)
	}
	if f.Bound != "workers" || f.Tip == "" || f.Low >= f.By || f.High <= f.By || math.Abs(f.Bytes/f.By-20_000) > 1 {
		t.Errorf("%+v", f)
	}
	h.Rate, h.Ceiling = salvor.PerSecond(2), salvor.PerSecond(2)
	w.now = w.now.Add(2 * time.Second)
	if f := w.look(t, w.pilot()).Forecasts[1]; f.Bound != "budget" || f.Host != "dying.example" || f.By > 2300 {
		t.Errorf("of a slow host: %+v", f)
	}
	h.Blocked, h.Note = w.now.Add(time.Minute).UnixMilli(), "429"
	if f := w.look(t, w.pilot()).Forecasts[1]; f.Bound != "blocked" {
		t.Errorf("of a blocked host: %+v", f)
	}
	w.load = nil
	if f := w.look(t, w.pilot()).Forecasts[1]; f.Bound != "workers" || f.By > 1001 {
		t.Errorf("without workers: %+v", f)
	}
}

func TestWhatIf(t *testing.T) {
	w := newWorld()
	w.crawls[1].Deadline = w.now.Add(10 * time.Minute).UnixMilli()
	v := w.look(t, w.pilot())
	base := v.Forecasts[1].By
	for change, more := range map[string]bool{"workers=+2": true, "workers=1": false, "deadline:dying=+10m": true, "deadline:dying.example=-5m": false, "rate:dying.example=1": false} {
		x, err := v.If(change)
		if err != nil {
			t.Fatal(err)
		}
		if by := x.Forecasts[1].By; by > base != more {
			t.Errorf("%s: %.0f instead of %.0f", change, by, base)
		}
	}
	for _, bad := range []string{"", "workers", "workers=many", "workers=-9", "rate:nobody=3", "deadline:dying=soon", "weather=fine"} {
		if _, err := v.If(bad); salvor.ClassOf(err) != salvor.Invalid && salvor.ClassOf(err) != salvor.NotFound {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if again := w.look(t, w.pilot()); math.Abs(again.Forecasts[1].By/base-1) > 0.01 {
		t.Error("asking changed the plan")
	}
}

// A view is told as JSON, so it must be sayable in it.
func TestViewIsJSON(t *testing.T) {
	w := newWorld()
	w.hosts[1][0].Rate, w.hosts[1][0].Ceiling, w.hosts[1][0].Group = salvor.Unlimited, salvor.Unlimited, "nobody knows"
	v := w.look(t, w.pilot())
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back View
	if err := json.Unmarshal(b, &back); err != nil || len(back.Hosts) != len(v.Hosts) {
		t.Errorf("%v", err)
	}
}

func TestFirstPagesAreWorthMore(t *testing.T) {
	h := host("a.example", 3000, 1)
	h.Totals.Outcomes[salvor.Saved] = 400
	got := tiers(DefaultValues, &h)
	want := []plan.Tier{{Value: 10, Left: 600}, {Value: 3, Left: 2400}}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("tiers %+v, want %+v", got, want)
	}
}

// TestOutlook: a site that is about to go is served now, and the other later; when
// its date moves away, it is the other way round with the other's.
func TestOutlook(t *testing.T) {
	w := newWorld()
	ends := map[string]float64{"dying.example": 600}
	p := w.pilot()
	p.c.Outlooks = func(context.Context, time.Duration) (func(string) Outlook, error) {
		return func(host string) Outlook {
			at, ok := ends[host]
			if !ok {
				return Outlook{}
			}
			return Outlook{Site: host, Survival: []plan.Point{{At: 0, P: 1}, {At: at, P: .9}, {At: at, P: .1}, {At: 7 * 24 * 3600, P: 0}}, Ends: w.now.UnixMilli() + int64(at*1000)}
		}, nil
	}
	v := w.look(t, p)
	if d, c := w.pace("dying.example"), w.pace("calm.example"); d < 15 || c > 3 {
		t.Errorf("the dying host is asked %.1f times a second, the calm one %.1f", d, c)
	}
	if h := v.Hosts[slices.IndexFunc(v.Hosts, func(h HostView) bool { return h.Host == "dying.example" })]; h.Site != "dying.example" || h.Ends == 0 {
		t.Errorf("the view has %+v", h)
	}
	delete(ends, "dying.example")
	ends["calm.example"] = 600
	w.look(t, p)
	if d, c := w.pace("dying.example"), w.pace("calm.example"); c < 15 || d > 3 {
		t.Errorf("after the dates moved the one is asked %.1f times a second, the other %.1f", d, c)
	}
	p.c.Outlooks = func(context.Context, time.Duration) (func(string) Outlook, error) {
		return nil, salvor.Errorf(salvor.Unavailable, "no leader")
	}
	if v := w.look(t, p); len(v.Plan.Hosts) != 2 {
		t.Error("without what is known of sites there is no plan")
	}
}

// TestCut: of a curve only what comes before the crawl's deadline counts.
func TestCut(t *testing.T) {
	known := []plan.Point{{At: 0, P: 1}, {At: 100, P: .8}, {At: 100, P: .4}, {At: 200, P: 0}}
	for at, want := range map[float64][]plan.Point{
		50:  {{At: 0, P: 1}, {At: 50, P: .9}, {At: 50, P: 0}},
		150: {{At: 0, P: 1}, {At: 100, P: .8}, {At: 100, P: .4}, {At: 150, P: .2}, {At: 150, P: 0}},
		300: {{At: 0, P: 1}, {At: 100, P: .8}, {At: 100, P: .4}, {At: 200, P: 0}, {At: 300, P: 0}, {At: 300, P: 0}},
	} {
		got := cut(known, at)
		if !slices.EqualFunc(got, want, func(a, b plan.Point) bool { return a.At == b.At && math.Abs(a.P-b.P) < 1e-9 }) {
			t.Errorf("at %v: %+v, want %+v", at, got, want)
		}
	}
}

// TestValuesOfACrawl: its rules say what a band is worth, and what the first pages
// of a host are; who asks is told by which rule.
func TestValuesOfACrawl(t *testing.T) {
	v := Values{
		Band:  func(b salvor.Band) float64 { return map[salvor.Band]float64{0x33: 10, 0x40: 1}[b] },
		First: []First{{500, 2}},
		Rules: func(b salvor.Band) []string { return map[salvor.Band][]string{0x33: {"/t0/ 10"}}[b] },
	}
	h := host("a.example", 1000, 1)
	h.Bands = []api.BandCount{{Band: 0x33, Queued: 300}, {Band: 0x40, Queued: 700}}
	h.Totals.Outcomes[salvor.Saved] = 400
	want := []plan.Tier{{Value: 20, Left: 100}, {Value: 10, Left: 200}, {Value: 1, Left: 700}}
	if d := cmp.Diff(want, tiers(v, &h)); d != "" {
		t.Error(d)
	}
	view := []TierView{{Band: 0x33, Queued: 300, Value: 10, Rules: []string{"/t0/ 10"}}, {Band: 0x40, Queued: 700, Value: 1}}
	if d := cmp.Diff(view, v.view(&h)); d != "" {
		t.Error(d)
	}
	v.First = nil
	if got := tiers(v, &h); len(got) != 2 || got[0].Value != 10 {
		t.Errorf("without first pages: %+v", got)
	}
}

// TestOneHostOfTwoCrawls: its budget is planned once, and both crawls get of it.
func TestOneHostOfTwoCrawls(t *testing.T) {
	w := newWorld()
	w.load = []api.Load{{Rate: 1, CPU: .01}}
	for id := range w.hosts {
		w.hosts[id] = []api.Host{host("same.example", 5000, 6)}
	}
	v := w.look(t, w.pilot())
	sum := 0.0
	for _, s := range v.Plan.Hosts {
		sum += s.Rate
	}
	if sum > 6.01 || sum < 5.9 {
		t.Errorf("%.2f a second are planned of a host that may be asked 6", sum)
	}
	more, err := v.If("rate:same.example=20")
	if err != nil {
		t.Fatal(err)
	}
	sum = 0
	for _, s := range more.Plan.Hosts {
		sum += s.Rate
	}
	if sum < 19.9 || sum > 20.01 {
		t.Errorf("at 20 a second %.2f are planned", sum)
	}
	if _, err := v.If("workers=9"); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("what nine idle workers could do: %v", err)
	}
}
