package pilot

import (
	"cmp"
	"slices"

	"salvor"
	"salvor/api"
	"salvor/coordinator/plan"
)

// View is a plan, and what it was made of. It is what GET /v1/plan answers as
// JSON.
type View struct {
	At        int64       `json:"at"`   // Unix ms
	Took      float64     `json:"took"` // seconds that it took to plan
	Capacity  Capacity    `json:"capacity"`
	Crawls    []CrawlView `json:"crawls"`
	Hosts     []HostView  `json:"hosts"` // in the order of Input and Plan
	Input     plan.Input  `json:"input"`
	Plan      plan.Plan   `json:"plan"`
	Forecasts []Forecast  `json:"forecasts"` // in the order of Crawls

	partial bool    // there are more hosts
	explore float64 // requests a second for each host of which nothing is known
}

// CrawlView is a crawl that was planned for. Its counters are those of the hosts
// that were looked at.
type CrawlView struct {
	ID       salvor.CrawlID `json:"id"`
	Name     string         `json:"name"`
	Deadline int64          `json:"deadline,omitempty"` // Unix ms
	Known    int64          `json:"known"`
	Open     int64          `json:"open"`
	Saved    int64          `json:"saved"`
	Bytes    int64          `json:"bytes"`             // of what is saved
	Rest     float64        `json:"rest,omitempty"`    // estimated, of it that is not found yet
	Endless  bool           `json:"endless,omitempty"` // it is more, and how much more cannot be told
}

func (c *CrawlView) add(t api.Totals) {
	c.Known, c.Open, c.Saved, c.Bytes = c.Known+t.Accepted, c.Open+t.Open(), c.Saved+saved(t), c.Bytes+t.Bytes
}

// HostView is a host that was planned for.
type HostView struct {
	Crawl   salvor.CrawlID `json:"crawl"`
	Host    string         `json:"host"`
	Group   string         `json:"group,omitempty"` // of merged hosts
	Open    int64          `json:"open"`
	Saved   int64          `json:"saved"`
	Begun   int64          `json:"begun"`             // requests, so far
	Speed   float64        `json:"speed"`             // items that ended, a second, lately
	Blocked int64          `json:"blocked,omitempty"` // Unix ms
	Note    string         `json:"note,omitempty"`    // why it is slow or stopped
	Site    string         `json:"site,omitempty"`    // that something is known of
	Ends    int64          `json:"ends,omitempty"`    // its next deadline, Unix ms
	SafeBy  int64          `json:"safe_by,omitempty"` // when to be done with it, Unix ms
	Rest    float64        `json:"rest,omitempty"`    // estimated, of it that is not found yet
	Endless bool           `json:"endless,omitempty"` // it is more, and how much more cannot be told
	Times   float64        `json:"times"`             // by how much more the next page is worth, as one of its first
	Queued  []TierView     `json:"queued,omitempty"`  // in the order in which it is granted
}

// fresh says that too little of it was fetched to know how much there is.
func (h *HostView) fresh() bool { return h.Begun < freshFor }

// order are the hosts as they are to be served: those that are planned for first,
// by what their next request is worth.
func (v *View) order() []int {
	out := make([]int, len(v.Hosts))
	for i := range out {
		out[i] = i
	}
	value := func(i int) float64 {
		for _, t := range v.Input.Hosts[i].Tiers {
			if t.Left > 0 {
				return t.Value
			}
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b int) int {
		x, y := v.Plan.Hosts[a].Rate > 0, v.Plan.Hosts[b].Rate > 0
		if x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Compare(value(b), value(a))
	})
	return out
}
