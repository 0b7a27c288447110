package alert

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/pilot"
	"salvor/coordinator/risk"
	"salvor/coordinator/sites"
)

// Watch finds what is so now. What it remembers are forecasts and dates.
type Watch struct {
	best  map[salvor.CrawlID]best
	ends  map[string]int64     // by site: its next deadline
	still map[hostOf]time.Time // since when a crawl got nothing of a host
}

type hostOf struct {
	crawl salvor.CrawlID
	host  string
}

// best is the highest forecast of a crawl lately. It is of URLs: the share of what
// there is falls by itself as more is found.
type best struct {
	until int64
	urls  float64
	at    time.Time
}

const (
	// fall is by what part a forecast falls before that is told, and bestFor for how
	// long the highest counts.
	fall    = 0.1
	bestFor = 6 * time.Hour
	// longBlock is a pause that a person should know of.
	longBlock = 5 * time.Minute
	// silentFor is how long a host that is asked may bring nothing.
	silentFor = 3 * time.Minute
	// fullSpool is the share of room for captures that wait for the Store.
	fullSpool = 0.8
	// fewest is how much of a crawl must be known before its forecast counts.
	fewest = 100
)

// Conditions are what the status, the plan and the sites say.
func (w *Watch) Conditions(now time.Time, st *api.Status, v *pilot.View, all []sites.Info) (out []Condition) {
	if w.best == nil {
		w.best, w.ends, w.still = map[salvor.CrawlID]best{}, map[string]int64{}, map[hostOf]time.Time{}
	}
	out = nodes(out, st)
	if v != nil {
		out = w.forecasts(out, now, v)
		out = w.hosts(out, now, v)
	}
	return w.dates(out, now, all)
}

// nodes are what the nodes say of themselves.
func nodes(out []Condition, st *api.Status) []Condition {
	for _, n := range st.Nodes {
		if n.Node.State != api.NodeActive {
			continue
		}
		if n.Silent != "" {
			out = append(out, Condition{Code: Node, Subject: n.Node.Name, Text: n.Node.Name + " is not heard of: " + n.Silent,
				Hint: "is the machine up? If it does not come back: salvor node remove " + n.Node.Name})
		}
		for _, r := range n.Reasons {
			out = append(out, Condition{Code: Store, Subject: n.Node.Name, Text: n.Node.Name + " is not ready: " + r, Hint: "salvor status says more"})
		}
		if l := n.Load; l != nil && l.Spool > fullSpool {
			out = append(out, Condition{Code: Store, Subject: n.Node.Name, Text: fmt.Sprintf("captures fill %.0f %% of the spool of %s", 100*l.Spool, n.Node.Name),
				Hint: "is the store slow, or away? Raise spool-max, or look at the store"})
		}
		for _, k := range n.Work {
			if k.Why == "the disk is full" {
				out = append(out, Condition{Code: Disk, Subject: n.Node.Name, Text: "the disk of " + n.Node.Name + " is full: it fetches nothing",
					Hint: "make room; it goes on by itself"})
			}
		}
	}
	return out
}

// forecasts compares what will be saved with what was forecast.
func (w *Watch) forecasts(out []Condition, now time.Time, v *pilot.View) []Condition {
	maps.DeleteFunc(w.best, func(id salvor.CrawlID, _ best) bool {
		return !slices.ContainsFunc(v.Forecasts, func(f pilot.Forecast) bool { return f.Crawl == id })
	})
	for _, f := range v.Forecasts {
		if v.Capacity.Workers == 0 {
			out = append(out, Condition{Code: NoWorker, Subject: f.Name, Text: "crawl " + f.Name + " runs, and no worker is at work", Hint: "salvor status says why; another joins with salvor join"})
			continue
		}
		if f.Until == 0 || f.Known < fewest {
			continue
		}
		b := w.best[f.Crawl]
		if f.By >= b.urls || f.Until != b.until || now.Sub(b.at) > bestFor {
			b = best{f.Until, f.By, now}
			w.best[f.Crawl] = b
		}
		if f.By < (1-fall)*b.urls {
			out = append(out, Condition{Code: Forecast, Subject: f.Name,
				Text: fmt.Sprintf("some %.0f URLs of crawl %s will be saved by its deadline; it was %.0f before", f.By, f.Name, b.urls), Hint: f.Tip})
		}
	}
	return out
}

// hosts are those that ask for a pause, or say nothing.
func (w *Watch) hosts(out []Condition, now time.Time, v *pilot.View) []Condition {
	here := map[hostOf]bool{}
	for i, h := range v.Hosts {
		k := hostOf{h.Crawl, h.Host}
		until := time.UnixMilli(h.Blocked)
		switch {
		case h.Blocked > v.At:
			delete(w.still, k)
			if until.Sub(now) > longBlock {
				out = append(out, Condition{Code: Blocked, Subject: h.Host, Text: fmt.Sprintf("%s is asked for nothing until %s: %s", h.Host, until.UTC().Format("2006-01-02 15:04Z"), h.Note),
					Hint: "a ban? Ask its operator; do not get round it. salvor plan explain " + h.Host})
			}
			continue
		case h.Speed > 0.01 || v.Plan.Hosts[i].Rate < 0.05 || h.Open == 0:
			delete(w.still, k)
			continue
		}
		here[k] = true
		if _, ok := w.still[k]; !ok {
			w.still[k] = now
		}
		if since := w.still[k]; now.Sub(since) >= silentFor {
			out = append(out, Condition{Code: Silent, Subject: h.Host, Text: fmt.Sprintf("%s has brought nothing since %s, with %d URLs open", h.Host, since.UTC().Format("15:04:05Z"), h.Open),
				Hint: "does it still answer? salvor crawl show, salvor site risk explain"})
		}
	}
	for k := range w.still {
		if !here[k] {
			delete(w.still, k)
		}
	}
	return out
}

// dates are deadlines that moved, and those that have passed.
func (w *Watch) dates(out []Condition, now time.Time, all []sites.Info) []Condition {
	if all == nil { // they could not be read
		return out
	}
	maps.DeleteFunc(w.ends, func(site string, _ int64) bool {
		return !slices.ContainsFunc(all, func(i sites.Info) bool { return i.Site.Name == site })
	})
	for _, i := range all {
		name, ends := i.Site.Name, int64(0)
		for _, d := range i.Site.Standing() {
			if _, moves := d.What.Clock(); moves && d.At.After(now) {
				ends = d.At.UnixMilli()
				break
			}
		}
		was, known := w.ends[name]
		w.ends[name] = ends
		if known && was > now.UnixMilli() && ends != 0 && was != ends { // one that has passed was not moved
			way := "later"
			if ends < was {
				way = "forward"
			}
			out = append(out, Condition{Code: Moved, Subject: name, Once: true, Text: fmt.Sprintf("the deadline of %s was moved %s, to %s", name, way, time.UnixMilli(ends).UTC().Format("2006-01-02 15:04Z")),
				Hint: "salvor plan show says what will be saved now"})
		}
		if i.Assessment.State == risk.Overdue {
			out = append(out, Condition{Code: Overdue, Subject: name, Text: name + " is there after the date of its end",
				Hint: "ask its operator; record the new date: salvor site deadline set " + name})
		}
	}
	return out
}
