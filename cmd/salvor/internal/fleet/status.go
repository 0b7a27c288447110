package fleet

import (
	"slices"
	"time"

	"salvor/api"
)

// Counters add up what the node did since the fleet was made. They only rise.
type Counters struct {
	Requests int64
	Captures int64 // settled with bytes
	Bytes    int64 // received
	Errors   int64 // attempts that got no good answer
	Restarts int64 // of workers, after a failure
}

func (c *Counters) add(d Counters) {
	c.Requests += d.Requests
	c.Captures += d.Captures
	c.Bytes += d.Bytes
	c.Errors += d.Errors
	c.Restarts += d.Restarts
}

// Counters of all crawls, ended ones too. It may be called at any time.
func (f *Fleet) Counters() Counters {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.past
	for _, c := range f.crews {
		all.add(c.counters())
	}
	return all
}

// Status is what the fleet does now, a row a crawl, by number. It may be called
// at any time, and asks nobody.
func (f *Fleet) Status() []api.Work {
	f.mu.Lock()
	away := f.away
	crews := make([]*crew, 0, len(f.crews))
	for _, c := range f.crews {
		crews = append(crews, c)
	}
	f.mu.Unlock()
	slices.SortFunc(crews, func(a, b *crew) int { return int(a.id) - int(b.id) })
	rows := make([]api.Work, 0, len(crews))
	for _, c := range crews {
		rows = append(rows, c.work(away))
	}
	return rows
}

// spooled is what waits for the Store, of all crawls.
func (f *Fleet) spooled() (n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.crews {
		n += c.spooled()
	}
	return n
}

// meter is a crawl's request rate lately: over the last rateSpan.
type meter struct {
	at []time.Time
	n  []int64
}

const rateSpan = 10 * time.Second

func (m *meter) take(at time.Time, n int64) {
	m.at, m.n = append(m.at, at), append(m.n, n)
	for len(m.at) > 2 && at.Sub(m.at[1]) >= rateSpan {
		m.at, m.n = m.at[1:], m.n[1:]
	}
}

func (m *meter) rate(at time.Time, n int64) float64 {
	if len(m.at) == 0 {
		return 0
	}
	d := at.Sub(m.at[0]).Seconds()
	if d < 0.5 {
		return 0
	}
	return float64(n-m.n[0]) / d
}
