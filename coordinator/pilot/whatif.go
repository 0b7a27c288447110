package pilot

import (
	"strconv"
	"strings"
	"time"

	"salvor"
	"salvor/coordinator/plan"
)

// WhatIfForms are the changes that If knows.
const WhatIfForms = `write workers=+4, workers=2, rate:HOST=20, deadline:CRAWL=-12h or deadline:HOST=+2h`

// If is a view of what would be: the same hosts and workers with one thing
// changed, and the plan for that. Its errors are of class Invalid or NotFound.
func (v View) If(change string) (View, error) {
	what, value, ok := strings.Cut(change, "=")
	kind, name, _ := strings.Cut(what, ":")
	if !ok || value == "" {
		return v, salvor.Errorf(salvor.Invalid, "%q changes nothing", change).WithHint(WhatIfForms)
	}
	v = v.clone()
	var err error
	switch kind {
	case "workers":
		err = v.workers(value)
	case "rate":
		err = v.rate(name, value)
	case "deadline":
		err = v.shift(name, value)
	default:
		err = salvor.Errorf(salvor.Invalid, "nothing is known of %q", what).WithHint(WhatIfForms)
	}
	if err != nil {
		return v, err
	}
	v.Plan = plan.Make(v.Input, nil)
	v.Forecasts = forecasts(&v)
	return v, nil
}

// clone copies what a change may touch.
func (v View) clone() View {
	v.Input.Capacity = append([]plan.Step(nil), v.Input.Capacity...)
	v.Input.Hosts = append([]plan.Host(nil), v.Input.Hosts...)
	v.Input.Pools = append([]plan.Pool(nil), v.Input.Pools...)
	v.Crawls = append([]CrawlView(nil), v.Crawls...)
	return v
}

// workers adds some like those there are, or sets their number.
func (v *View) workers(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "%q is no number of workers", value).WithHint(WhatIfForms)
	}
	if value[0] == '+' || value[0] == '-' {
		n += v.Capacity.Workers
	}
	if n < 0 {
		return salvor.Errorf(salvor.Invalid, "workers=%s: there are %d", value, v.Capacity.Workers).WithHint("take away that many at most: workers=-%d", v.Capacity.Workers)
	}
	if v.Capacity.Workers > 0 && v.Capacity.Most == 0 {
		return salvor.Errorf(salvor.Invalid, "how fast %d workers would be is not known: those there are have little to do", n).
			WithHint("more workers would not make it faster now; salvor plan show says what bounds it")
	}
	if v.Capacity.Workers == 0 {
		return salvor.Errorf(salvor.Unavailable, "there are no workers now, and how fast %d would be is not known", n).
			WithHint("start a worker: salvor server on a machine that joined (salvor join)")
	}
	by := float64(n) / float64(v.Capacity.Workers)
	for i := range v.Input.Capacity {
		v.Input.Capacity[i].Rate *= by
	}
	v.Capacity.Workers, v.Capacity.Most = n, v.Capacity.Most*by
	return nil
}

// rate changes what a host may be asked.
func (v *View) rate(host, value string) error {
	r, err := strconv.ParseFloat(value, 64)
	if err != nil || !(r >= 0 && r <= anyRate) { // no NaN, no infinity
		return salvor.Errorf(salvor.Invalid, "%q is no rate", value).WithHint(WhatIfForms)
	}
	found := false
	for i := range v.Hosts {
		if v.Hosts[i].Host == host {
			v.Input.Hosts[i].Rate, found = r, true
			if p := v.Input.Hosts[i].Pool; p >= 0 && v.Hosts[i].Group == "" { // of several crawls
				v.Input.Pools[p].Rate = r
			}
		}
	}
	if v.Capacity.Most == 0 && len(v.Input.Capacity) > 0 { // not known: as if the workers could do all
		most := 1.0
		for i := range v.Input.Hosts {
			most += v.Input.Hosts[i].Rate
		}
		v.Input.Capacity[0].Rate = most
	}
	return v.known(found, host)
}

// shift moves the deadline of a crawl, or of a host, later or earlier.
func (v *View) shift(name, value string) error {
	d, err := time.ParseDuration(value)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "%q is no span of time", value).WithHint(WhatIfForms)
	}
	found := false
	for i := range v.Crawls {
		if c := &v.Crawls[i]; c.Name == name {
			found = true
			if c.Deadline > 0 {
				c.Deadline += d.Milliseconds()
			}
		}
	}
	for i, h := range v.Hosts {
		if h.Host == name || v.crawlName(h.Crawl) == name {
			found = true
			v.Input.Hosts[i].Survival = moved(v.Input.Hosts[i].Survival, d.Seconds())
		}
	}
	return v.known(found, name)
}

// moved stretches a curve, so that what lay ahead lies a span later.
func moved(s []plan.Point, by float64) []plan.Point {
	if len(s) == 0 {
		return nil
	}
	end := s[len(s)-1].At
	if end+by <= 0 {
		return []plan.Point{{At: 0, P: 0}}
	}
	out := make([]plan.Point, len(s))
	for i, p := range s {
		out[i] = plan.Point{At: p.At * (end + by) / max(end, 1), P: p.P}
	}
	return out
}

func (v *View) known(found bool, name string) error {
	if found {
		return nil
	}
	return salvor.Errorf(salvor.NotFound, "the plan knows no crawl and no host %q", name).WithHint("salvor plan show lists them")
}

func (v *View) crawlName(id salvor.CrawlID) string {
	for _, c := range v.Crawls {
		if c.ID == id {
			return c.Name
		}
	}
	return strconv.Itoa(int(id))
}
