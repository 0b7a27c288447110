package report

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/api"
)

// Build makes the report of a crawl. It walks once over what was not saved;
// everything else comes from counters.
func Build(ctx context.Context, v api.View, c api.Crawl, x Extra) (*Report, error) {
	return build(ctx, v, c, x, func(Missed) error { return nil })
}

// builder gathers a report. each gets every URL that was not saved.
type builder struct {
	ctx  context.Context
	v    api.View
	c    api.Crawl
	x    Extra
	r    *Report
	each func(Missed) error

	late    bool             // the deadline has passed: open means out of time
	robots  map[string]int64 // URLs kept out by robots.txt, by host
	samples map[string][]Missed
}

func build(ctx context.Context, v api.View, c api.Crawl, x Extra, each func(Missed) error) (*Report, error) {
	b := &builder{ctx: ctx, v: v, c: c, x: x, each: each, r: newReport(c, x),
		robots: map[string]int64{}, samples: map[string][]Missed{}}
	b.late = x.End == "deadline" || c.Deadline > 0 && x.Created.UnixMilli() >= c.Deadline
	for _, step := range []func() error{b.totals, b.reasons, b.walk, b.hosts, b.origins, b.counts, b.seeds, b.segments} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.r.Headline = b.r.headline()
	return b.r, nil
}

func newReport(c api.Crawl, x Extra) *Report {
	r := &Report{
		Format: "salvor-report", Version: ReportVersion, Software: x.Software, Created: x.Created.UTC().Truncate(time.Second),
		Crawl: Crawl{
			ID: c.ID, Name: cmp.Or(x.Name, c.Name), Operator: x.Operator, Description: x.Description, State: c.State.String(),
			End: x.End, EndDetail: x.EndDetail, Started: utc(x.Started), Finished: utc(x.Finished), Deadline: unix(c.Deadline),
			WorkedMS: x.Worked.Milliseconds(),
		},
		Throughput: thin(x.Samples, maxSamples), Settings: list(x.Settings), Notes: list(x.Notes),
		Certificates: list(x.Certificates), Interruptions: list(x.Interruptions), Mended: list(x.Mended),
	}
	r.Robots.Unreachable = list(slices.Sorted(slices.Values(x.Unreachable)))
	for _, s := range x.Settings {
		if s.Name == "--robots" {
			r.Robots.Policy = s.Value
		}
	}
	return r
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}

func unix(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// list makes JSON say [] where Go says nil.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// outcome names an outcome; what is open after the deadline is out of time.
func (b *builder) outcome(o salvor.Outcome) string {
	if o == salvor.Open && b.late {
		o = salvor.OutOfTime
	}
	return o.String()
}

func (b *builder) totals() error {
	t, err := b.v.Totals(b.ctx, b.c.ID)
	if err != nil {
		return err
	}
	o := t.Outcomes
	r := &b.r.Totals
	*r = Totals{
		Known: t.Accepted, Saved: o[salvor.Saved] + o[salvor.Revisit], Excluded: o[salvor.Excluded], Open: t.Open(),
		Captures: t.Captures, Bytes: t.Bytes, Late: t.Late, Duplicates: t.Dups,
	}
	r.Answered = r.Saved + o[salvor.Gone] + o[salvor.Refused] + o[salvor.TooBig]
	r.SavedShare = share(r.Saved, r.Known)
	b.r.NotSaved.URLs = r.Known - r.Saved
	for _, m := range meanings {
		n := o[m.outcome]
		if m.outcome == salvor.Open {
			n = t.Open()
		}
		if name := b.outcome(m.outcome); n > 0 {
			b.r.Outcomes = append(b.r.Outcomes, Outcome{name, n, share(n, t.Accepted), meaning(name)})
		}
	}
	b.r.Outcomes = list(b.r.Outcomes)
	if b.late {
		r.Open = 0
	}
	return nil
}

func share(n, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// reasons counts why URLs were not saved, and the hits of exclude rules.
func (b *builder) reasons() error {
	m, err := b.v.Reasons(b.ctx, b.c.ID)
	if err != nil {
		return err
	}
	b.r.Reasons, b.r.CutShort = []Reason{}, []Reason{}
	hits := map[string]int64{}
	for k, n := range m {
		if n == 0 {
			continue
		}
		if k.Outcome.HasCapture() {
			if k.Text != "" { // saved, but not to its end
				b.r.CutShort = append(b.r.CutShort, Reason{b.outcome(k.Outcome), k.Text, n})
			}
			continue
		}
		b.r.Reasons = append(b.r.Reasons, Reason{b.outcome(k.Outcome), k.Text, n})
		switch {
		case k.Outcome != salvor.Excluded:
		case byRobots(k.Text):
			b.r.Robots.Excluded += n
		default:
			hits[k.Text] += n
		}
	}
	byURLs := func(x, y Reason) int {
		return cmp.Or(cmp.Compare(y.URLs, x.URLs), cmp.Compare(x.Outcome, y.Outcome), cmp.Compare(x.Text, y.Text))
	}
	slices.SortFunc(b.r.Reasons, byURLs)
	slices.SortFunc(b.r.CutShort, byURLs)
	b.r.Excludes = excludes(b.x.Excludes, hits)
	return nil
}

// byRobots tells an exclusion by robots.txt from one by the operator.
func byRobots(reason string) bool { return strings.HasPrefix(reason, "robots") }

// excludes joins the rules in force with those recorded: a rule that was taken
// back has its hits all the same.
func excludes(rules []Exclude, hits map[string]int64) []Exclude {
	out := []Exclude{}
	for _, e := range rules {
		e.Hits = hits[e.ID]
		delete(hits, e.ID)
		out = append(out, e)
	}
	for _, id := range slices.Sorted(maps.Keys(hits)) {
		out = append(out, Exclude{ID: id, Hits: hits[id]})
	}
	slices.SortStableFunc(out, func(x, y Exclude) int { return cmp.Compare(y.Hits, x.Hits) })
	return out
}

// examples is how many URLs of an outcome the report lists, in this order: what
// a person can still do something about comes first.
var examples = []struct {
	outcome salvor.Outcome
	most    int
}{
	{salvor.Failed, 200}, {salvor.OutOfTime, 60}, {salvor.Open, 60}, {salvor.Refused, 80},
	{salvor.TooBig, 60}, {salvor.Gone, 40}, {salvor.Excluded, 20},
}

var notSaved = []salvor.Outcome{
	salvor.Open, salvor.Gone, salvor.Refused, salvor.Failed, salvor.Excluded, salvor.TooBig, salvor.OutOfTime,
}

func (b *builder) walk() error {
	err := b.v.Walk(b.ctx, b.c.ID, notSaved, func(k api.Known) error {
		if k.Outcome == salvor.Excluded && byRobots(k.Reason) {
			b.robots[k.Host]++
		}
		m := Missed{
			URL: k.URL, Outcome: b.outcome(k.Outcome), Reason: k.Reason, Status: Status(k),
			Tries: tries(k), Via: k.Via, At: unix(k.At),
		}
		if s := b.samples[m.Outcome]; len(s) < maxExamples {
			b.samples[m.Outcome] = append(s, m)
		}
		return b.each(m)
	})
	n := &b.r.NotSaved
	n.Examples, n.List = []Missed{}, NotSavedFile
	for _, e := range examples {
		s := b.samples[e.outcome.String()]
		n.Examples = append(n.Examples, s[:min(len(s), e.most)]...)
	}
	n.More = max(n.URLs-int64(len(n.Examples)), 0)
	return err
}

// Status of an item. One that was excluded before its turn came has none of
// its own: it gets Heritrix' code for what kept it out.
func Status(k api.Known) int {
	switch {
	case k.Status != 0 || k.Outcome != salvor.Excluded:
		return k.Status
	case byRobots(k.Reason):
		return -9998
	case strings.HasPrefix(k.Reason, "exclude"):
		return -5002
	}
	return -5000
}

// tries is how often a URL was asked for: the frontier counts the tries that
// were to be repeated, and the last one left an outcome instead.
func tries(k api.Known) int {
	n := int(k.Attempts)
	switch k.Outcome {
	case salvor.Gone, salvor.Refused, salvor.Failed, salvor.TooBig:
		n++
	}
	return n
}

func (b *builder) hosts() error {
	hosts, err := b.v.Hosts(b.ctx, b.c.ID, 0)
	if err != nil {
		return err
	}
	all := make([]Host, 0, len(hosts))
	for _, h := range hosts {
		all = append(all, b.host(h))
	}
	b.r.allHosts = all
	b.r.Hosts = slices.Clone(all)
	// Where most is missing comes first, then the largest.
	slices.SortStableFunc(b.r.Hosts, func(x, y Host) int {
		return cmp.Or(cmp.Compare(y.Known-y.Saved, x.Known-x.Saved), cmp.Compare(y.Known, x.Known))
	})
	b.r.MoreHost = max(len(all)-maxHosts, 0)
	b.r.Hosts = b.r.Hosts[:min(len(all), maxHosts)]
	return nil
}

func (b *builder) host(h api.Host) Host {
	o := h.Totals.Outcomes
	out := Host{
		Name: h.Name, Known: h.Totals.Accepted, Saved: o[salvor.Saved] + o[salvor.Revisit], Open: h.Totals.Open(),
		Captures: h.Totals.Captures, Bytes: h.Totals.Bytes, Robots: b.robots[h.Name], Outcomes: map[string]int64{},
		Rate: rate(allowed(h)), Ceiling: rate(h.Ceiling), Note: h.Note,
	}
	if h.Blocked > b.x.Created.UnixMilli() {
		out.Blocked = unix(h.Blocked)
	}
	for i, n := range o {
		if n > 0 {
			out.Outcomes[salvor.Outcome(i).String()] = n
		}
	}
	if out.Open > 0 {
		out.Outcomes[b.outcome(salvor.Open)] = out.Open
	}
	if b.late {
		out.Open = 0
	}
	return out
}

// allowed is what a host could be asked: its budget may still stand above a
// ceiling that came later.
func allowed(h api.Host) salvor.Pace {
	if h.Ceiling > 0 {
		return min(h.Rate, h.Ceiling)
	}
	return h.Rate
}

func rate(p salvor.Pace) float64 {
	if p >= salvor.Unlimited {
		return 0
	}
	return p.PerSecond()
}

var robotsStatus = map[api.RobotsStatus]string{api.RobotsRules: "rules", api.RobotsNone: "none", api.RobotsUnreachable: "unreachable"}

func (b *builder) origins() error {
	b.r.Robots.Origins = []Origin{}
	unreachable := b.r.Robots.Unreachable
	for _, h := range b.r.Hosts[:min(len(b.r.Hosts), maxRobots)] {
		rs, err := b.v.Robots(b.ctx, b.c.ID, h.Name)
		if err != nil {
			return err
		}
		for _, r := range rs {
			b.r.Robots.Origins = append(b.r.Robots.Origins, Origin{r.Origin, robotsStatus[r.Status], unix(r.Fetched), h.Robots})
			if r.Status == api.RobotsUnreachable {
				unreachable = append(unreachable, r.Origin)
			}
		}
	}
	slices.SortStableFunc(b.r.Robots.Origins, func(x, y Origin) int {
		return cmp.Or(cmp.Compare(y.Excluded, x.Excluded), cmp.Compare(x.Origin, y.Origin))
	})
	slices.Sort(unreachable)
	b.r.Robots.Unreachable = list(slices.Compact(unreachable))
	return nil
}

func (b *builder) counts() error {
	types, err := b.v.Types(b.ctx, b.c.ID)
	if err != nil {
		return err
	}
	codes, err := b.v.Codes(b.ctx, b.c.ID)
	if err != nil {
		return err
	}
	b.r.Types, b.r.Codes = []TypeCount{}, []CodeCount{}
	for t, n := range types {
		b.r.Types = append(b.r.Types, TypeCount{cmp.Or(t, "unknown"), n.URLs, n.Bytes})
	}
	for code, n := range codes {
		b.r.Codes = append(b.r.Codes, CodeCount{code, codeMeaning(code), n.URLs, n.Bytes})
	}
	slices.SortFunc(b.r.Types, func(x, y TypeCount) int {
		return cmp.Or(cmp.Compare(y.URLs, x.URLs), cmp.Compare(x.Type, y.Type))
	})
	slices.SortFunc(b.r.Codes, func(x, y CodeCount) int {
		return cmp.Or(cmp.Compare(y.URLs, x.URLs), cmp.Compare(x.Code, y.Code))
	})
	return nil
}

func (b *builder) seeds() error {
	b.r.allSeeds = []SeedRow{}
	for _, s := range b.x.Seeds {
		if s.Outcome == salvor.Open && s.Key != (salvor.Key{}) {
			k, err := b.v.Lookup(b.ctx, b.c.ID, s.Host, s.Key)
			if err != nil && salvor.ClassOf(err) != salvor.NotFound {
				return err
			}
			s.Outcome, s.Status, s.Reason = k.Outcome, Status(k), k.Reason
		}
		b.r.allSeeds = append(b.r.allSeeds, SeedRow{s, b.outcome(s.Outcome)})
	}
	b.r.MoreSeeds = max(len(b.r.allSeeds)-maxSeeds, 0)
	b.r.Seeds = b.r.allSeeds[:len(b.r.allSeeds)-b.r.MoreSeeds]
	return nil
}

// thin keeps about n samples, the first and the last among them.
func thin(s []Sample, n int) []Sample {
	if len(s) <= n {
		return list(s)
	}
	out := make([]Sample, 0, n)
	for i := range n {
		out = append(out, s[i*(len(s)-1)/(n-1)])
	}
	return out
}
