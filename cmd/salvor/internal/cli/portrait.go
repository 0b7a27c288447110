package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
	"salvor/coordinator/pilot"
)

// portrait is all that is known of a crawl at a moment.
type portrait struct {
	crawlJSON
	At       time.Time       `json:"at"`
	Scope    uint32          `json:"scope_version"`
	Rate     float64         `json:"rate"`      // requests a second of all workers lately
	HeldBack []string        `json:"held_back"` // what keeps it from being faster or done, for people
	Hosts    []hostJSON      `json:"hosts"`
	Reasons  []reasonJSON    `json:"reasons"`
	Types    []typeJSON      `json:"types"`
	Statuses []statusJSON    `json:"statuses"`
	Workers  []atWork        `json:"workers"`
	Unheard  string          `json:"workers_unknown,omitempty"` // why it is not known who is at it
	Forecast *pilot.Forecast `json:"forecast,omitempty"`        // of a running crawl, once there is a plan
	Settings json.RawMessage `json:"settings,omitempty"`
}

type hostJSON struct {
	Host     string    `json:"host"`
	Open     int64     `json:"open"`
	Queued   int64     `json:"queued"`
	Waiting  int64     `json:"waiting"`
	UnderWay int64     `json:"under_way"`
	Saved    int64     `json:"saved"`
	Known    int64     `json:"known"`
	Rate     float64   `json:"rate_limit"` // what its budget allows now; 0 unlimited
	Ceiling  float64   `json:"ceiling"`    // what it may grow to; 0 unlimited
	Booked   float64   `json:"booked"`     // of it, by leases
	Blocked  time.Time `json:"blocked_until,omitzero"`
	Note     string    `json:"note,omitempty"`
	Group    string    `json:"budget_group,omitempty"` // of merged hosts, whose budget it is
	HeldBack string    `json:"held_back,omitempty"`
}

type reasonJSON struct {
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
	URLs    int64  `json:"urls"`
}

type typeJSON struct {
	Type  string `json:"type"`
	URLs  int64  `json:"urls"`
	Bytes int64  `json:"bytes"`
}

type statusJSON struct {
	Status int   `json:"status"`
	URLs   int64 `json:"urls"`
	Bytes  int64 `json:"bytes"`
}

func (w *world) portrait(ctx context.Context, c *client.Cluster, name string, hosts int) (*portrait, error) {
	crawl, err := findCrawl(ctx, c, name)
	if err != nil {
		return nil, err
	}
	t, err := c.Totals(ctx, crawl.ID)
	if err != nil {
		return nil, err
	}
	p := &portrait{crawlJSON: crawlOf(crawl, t), At: w.Now().UTC(), Scope: crawl.Scope}
	if json.Valid(crawl.Settings) {
		p.Settings = crawl.Settings
	}
	if err := p.count(ctx, c, hosts); err != nil {
		return nil, err
	}
	p.forecast(ctx, c)
	st, err := c.Status(ctx)
	if err != nil {
		p.Unheard = err.Error()
	}
	p.Workers = append([]atWork{}, (&sight{Status: st}).workers(crawl.ID)...)
	for _, k := range p.Workers {
		p.Rate += k.Rate
	}
	p.HeldBack = append([]string{}, p.heldBack()...)
	return p, nil
}

// forecast asks the planner. Without a plan a crawl is shown without a forecast.
func (p *portrait) forecast(ctx context.Context, c *client.Cluster) {
	if p.State != salvor.CrawlRunning.String() {
		return
	}
	v, err := c.Plan(ctx)
	if err != nil {
		return
	}
	if i := slices.IndexFunc(v.Forecasts, func(f pilot.Forecast) bool { return f.Crawl == p.ID }); i >= 0 {
		p.Forecast = &v.Forecasts[i]
	}
}

// count asks how the crawl's URLs ended, and for its hosts.
func (p *portrait) count(ctx context.Context, c *client.Cluster, hosts int) error {
	var all []api.Host
	var err error
	if hosts > 0 {
		if all, err = c.Hosts(ctx, p.ID, hosts); err != nil {
			return err
		}
	}
	reasons, err := c.Reasons(ctx, p.ID)
	if err != nil {
		return err
	}
	types, err := c.Types(ctx, p.ID)
	if err != nil {
		return err
	}
	codes, err := c.Codes(ctx, p.ID)
	if err != nil {
		return err
	}
	p.Hosts, p.Reasons, p.Types, p.Statuses = []hostJSON{}, reasonsOf(reasons), typesOf(types), statusesOf(codes)
	for _, h := range all {
		p.Hosts = append(p.Hosts, hostOfCrawl(h, p.At))
	}
	return nil
}

func reasonsOf(m map[api.Reason]int64) []reasonJSON {
	out := []reasonJSON{}
	for r, n := range m {
		out = append(out, reasonJSON{r.Outcome.String(), r.Text, n})
	}
	slices.SortFunc(out, func(a, b reasonJSON) int {
		return cmp.Or(cmp.Compare(b.URLs, a.URLs), cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

func typesOf(m map[string]api.Count) []typeJSON {
	out := []typeJSON{}
	for t, n := range m {
		out = append(out, typeJSON{t, n.URLs, n.Bytes})
	}
	slices.SortFunc(out, func(a, b typeJSON) int { return cmp.Or(cmp.Compare(b.URLs, a.URLs), cmp.Compare(a.Type, b.Type)) })
	return out
}

func statusesOf(m map[int]api.Count) []statusJSON {
	out := []statusJSON{}
	for s, n := range m {
		out = append(out, statusJSON{s, n.URLs, n.Bytes})
	}
	slices.SortFunc(out, func(a, b statusJSON) int { return cmp.Or(cmp.Compare(b.URLs, a.URLs), cmp.Compare(a.Status, b.Status)) })
	return out
}

func hostOfCrawl(h api.Host, now time.Time) hostJSON {
	t := h.Totals
	out := hostJSON{
		Host: h.Name, Open: t.Open(), Queued: t.Queued, Waiting: t.Waiting, UnderWay: t.Leased,
		Saved: t.Outcomes[salvor.Saved] + t.Outcomes[salvor.Revisit], Known: t.Accepted,
		Rate: perSecond(min(h.Rate, h.Ceiling)), Ceiling: perSecond(h.Ceiling), Booked: h.Booked.PerSecond(), Note: h.Note, Group: h.Group,
	}
	if h.Blocked > 0 {
		out.Blocked = time.UnixMilli(h.Blocked).UTC()
	}
	out.HeldBack = heldBack(h, now)
	return out
}

// perSecond is a budget as the contract has it: 0 is unlimited.
func perSecond(p salvor.Pace) float64 {
	if p >= salvor.Unlimited {
		return 0
	}
	return p.PerSecond()
}

// heldBack says why a host is not fetched from faster; "" when it is not known
// that anything holds it back.
func heldBack(h api.Host, now time.Time) string {
	t := h.Totals
	switch {
	case t.Open() == 0:
		return ""
	case h.Blocked > now.UnixMilli():
		until := time.UnixMilli(h.Blocked)
		return fmt.Sprintf("nothing until %s, in %s%s", until.UTC().Format("15:04:05Z"), progress.Span(until.Sub(now)), because(h.Note))
	case t.Queued == 0 && t.Leased == 0:
		return progress.Counted(t.Waiting, "URL") + " wait for a retry"
	case h.Rate < salvor.Unlimited && h.Booked >= h.Rate:
		return "its budget is used" + because(h.Note)
	}
	return h.Note
}

// heldBack says what keeps the crawl from being faster, or done; the widest
// reason first.
func (p *portrait) heldBack() (out []string) {
	switch p.State {
	case salvor.CrawlDraft.String():
		return []string{"it is not wholly made: run the same salvor crawl create again"}
	case salvor.CrawlPaused.String():
		return []string{"it is paused: salvor crawl resume " + p.Name}
	case salvor.CrawlRunning.String():
	default:
		return nil
	}
	if p.Open() == 0 {
		if n := p.Failed; n > 0 && p.Deadline.After(p.At) {
			return []string{progress.Counted(n, "URL") + " failed, and is tried again until the deadline"}
		}
		return nil
	}
	if !p.Deadline.IsZero() && !p.Deadline.After(p.At) {
		return []string{"its deadline has passed: nothing more is fetched"}
	}
	if len(p.Workers) == 0 && p.Unheard == "" {
		out = append(out, "no worker is at it")
	}
	for _, x := range stuck(p.Workers) {
		out = append(out, x.text)
	}
	if p.Queued+p.UnderWay == 0 {
		out = append(out, "all that is open waits for a retry: "+progress.Counted(p.Waiting, "URL"))
	}
	return append(out, p.hostsBack()...)
}

// hostsBack counts the shown hosts that their servers or budgets hold back.
func (p *portrait) hostsBack() (out []string) {
	blocked, used := 0, 0
	for _, h := range p.Hosts {
		switch {
		case h.Open == 0:
		case h.Blocked.After(p.At):
			blocked++
		case h.Rate > 0 && h.Booked >= h.Rate:
			used++
		}
	}
	n := len(p.Hosts)
	if blocked > 0 {
		out = append(out, fmt.Sprintf("%d of %s asked for a pause", blocked, progress.Counted(int64(n), "host")))
	}
	if used > 0 {
		out = append(out, fmt.Sprintf("the budget of %d of %s is used: more workers would not make it faster there", used, progress.Counted(int64(n), "host")))
	}
	return out
}
