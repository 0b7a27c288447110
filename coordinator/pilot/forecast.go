package pilot

import (
	"fmt"
	"math"

	"salvor"
	"salvor/coordinator/plan"
)

// Forecast says what will be saved of a crawl, if all goes on as it is, and what
// holds it back.
type Forecast struct {
	Crawl salvor.CrawlID `json:"crawl"`
	Name  string         `json:"name"`
	// Until is the deadline, Unix ms; 0: none, and the numbers are of its end.
	Until int64 `json:"until,omitempty"`
	Known int64 `json:"known"`
	// Total is how much there is, as it is estimated; Endless says that it is more,
	// and how much more cannot be told yet.
	Total   float64 `json:"total"`
	Endless bool    `json:"endless,omitempty"`
	Saved   int64   `json:"saved"` // until now
	By      float64 `json:"by"`    // that will be saved
	Low     float64 `json:"low"`   // what is likely at least and at most: sizes, rates and dates are uncertain
	High    float64 `json:"high"`
	Bytes   float64 `json:"bytes"`
	Rate    float64 `json:"rate"`             // planned now, requests a second
	Done    float64 `json:"done,omitempty"`   // seconds until all that is known is fetched at that rate; 0 not known
	Bound   string  `json:"bound,omitempty"`  // what holds it back: budget, workers, egress, queue, blocked, pool, store
	Host    string  `json:"host,omitempty"`   // the host that is held back most
	Tip     string  `json:"advice,omitempty"` // what would change it
}

// Share is how much of what there is will be saved, of 1.
func (f Forecast) Share() float64 {
	total := max(f.Total, float64(f.Known))
	if total == 0 {
		return 0
	}
	return min(f.By/total, 1)
}

// spread is by how much a rate is off in the mean, where nothing is known of it.
const spread = 0.2

func forecasts(v *View) []Forecast {
	out := make([]Forecast, len(v.Crawls))
	for i, c := range v.Crawls {
		out[i] = v.forecast(c)
	}
	return out
}

func (v *View) forecast(c CrawlView) Forecast {
	f := Forecast{Crawl: c.ID, Name: c.Name, Until: c.Deadline, Known: c.Known, Saved: c.Saved, Total: float64(c.Known) + c.Rest, Endless: c.Endless}
	more, lost := 0.0, map[plan.Reason]float64{}
	worst := -1
	for i, h := range v.Hosts {
		if h.Crawl != c.ID {
			continue
		}
		s := v.Plan.Hosts[i]
		more += s.Saved
		f.Rate += s.Rate
		left := float64(h.Open) + h.Rest - s.Saved
		lost[s.Why] += left
		if worst < 0 || left > float64(v.Hosts[worst].Open)+v.Hosts[worst].Rest-v.Plan.Hosts[worst].Saved {
			worst = i
		}
	}
	f.By = float64(c.Saved) + more
	f.Low, f.High = float64(c.Saved)+more*(1-spread), min(float64(c.Saved)+more*(1+spread), float64(c.Saved+c.Open)+c.Rest)
	if c.Saved > 0 {
		f.Bytes = f.By * float64(c.Bytes) / float64(c.Saved)
	}
	if f.Rate > 0 && !f.Endless {
		f.Done = (float64(c.Open) + c.Rest) / f.Rate
	}
	if worst >= 0 {
		v.bottleneck(&f, worst, lost)
	}
	return f
}

// bottleneck names what costs most, and what would change it.
func (v *View) bottleneck(f *Forecast, worst int, lost map[plan.Reason]float64) {
	h, s := v.Hosts[worst], v.Plan.Hosts[worst]
	f.Host = h.Host
	switch {
	case v.Capacity.Workers == 0:
		f.Bound, f.Tip = "workers", "no worker is at work: salvor status says why; another joins with salvor join"
	case h.Blocked > v.At:
		f.Bound, f.Tip = "blocked", fmt.Sprintf("%s asked for nothing until then: %s", h.Host, h.Note)
	case v.Capacity.Spool > 0.9:
		f.Bound, f.Tip = "store", "captures wait for the store: look whether it answers, and how fast (salvor status)"
	case (s.Why == plan.ByCapacity || s.Why == plan.ByLater) && v.Capacity.Bound == "egress":
		f.Bound = "egress"
		f.Tip = fmt.Sprintf("the workers do %.0f requests a second, which fill what they may receive: raise --node-egress, add workers behind another line, or leave large files for later (salvor crawl value)", v.Capacity.Rate)
	case s.Why == plan.ByCapacity || s.Why == plan.ByLater:
		f.Bound = "workers"
		f.Tip = fmt.Sprintf("the workers do %.0f requests a second, and are bound by their %s: add workers (salvor cluster token --role worker), or raise what this one may use", v.Capacity.Rate, bounds[v.Capacity.Bound])
	case s.Why == plan.ByPool:
		f.Bound, f.Tip = "pool", fmt.Sprintf("the hosts of budget group %s share one rate: salvor host groups", h.Group)
	case s.Why == plan.ByBudget:
		f.Bound = "budget"
		f.Tip = fmt.Sprintf("%s is asked %.3g times a second, which is its budget; its operator may allow more (salvor crawl create --max-rate)", h.Host, s.Rate)
	case s.Why == plan.ByQueue:
		f.Bound, f.Tip = "queue", "what is known of it is fetched as fast as it is found"
	}
	if math.Round(f.By) >= f.Total && f.Until > 0 && f.Bound != "blocked" {
		f.Tip = ""
	}
}

var bounds = map[string]string{"cpu": "processors", "connections": "connections", "requests": "node-rate", "": "connections"}
