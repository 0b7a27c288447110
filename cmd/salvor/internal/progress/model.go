package progress

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

const (
	// window is what "now" means for a rate.
	window = 10 * time.Second
	// trend is the time over which an end is estimated.
	trend = 60 * time.Second
	// spacing thins the points kept: at most trend/spacing of them.
	spacing = 250 * time.Millisecond
)

// model derives from snapshots what no single one tells. It is not safe for
// concurrent use.
type model struct {
	started  time.Time
	deadline time.Time
	first    *Snapshot // of this run: earlier runs do not count for the mean
	last     Snapshot
	points   []point // oldest first
}

type point struct {
	at       time.Time
	captures int64
	bytes    int64
	settled  int64
	known    int64
	hosts    map[string]int64 // captures
}

// feed takes the snapshot that held at a time.
func (m *model) feed(at time.Time, s Snapshot) {
	if m.first == nil {
		m.first = &s
	}
	m.last = s
	if n := len(m.points); n > 0 && at.Sub(m.points[n-1].at) < spacing {
		return
	}
	p := point{at: at, captures: s.Captures, bytes: s.Bytes, settled: s.Settled() + s.Held, known: s.Known, hosts: make(map[string]int64, len(s.Hosts))}
	for _, h := range s.Hosts {
		p.hosts[h.Name] = h.Captures
	}
	m.points = append(m.points, p)
	old := 0
	for old < len(m.points)-1 && at.Sub(m.points[old].at) > trend {
		old++
	}
	m.points = slices.Delete(m.points, 0, old)
}

// view is a snapshot with what follows from it and those before.
type view struct {
	Snapshot
	Elapsed    time.Duration
	RateNow    float64 // captures/s
	RateMean   float64
	BytesNow   float64
	BytesMean  float64
	Errors     []count // most first
	Hosts      []hostView
	Deadline   time.Time
	Left       time.Duration // to the deadline; negative when it passed
	ETA        time.Duration // until what is known is settled; 0 unknown
	ByDeadline float64       // share of the known that will be settled by then; < 0 unknown
}

type count struct {
	Name string
	N    int64
}

type hostView struct {
	Host
	Now float64 // captures/s; < 0 not known yet
}

// view computes what to show at a time.
func (m *model) view(now time.Time) view {
	v := view{Snapshot: m.last, Elapsed: now.Sub(m.started), Deadline: m.deadline, ByDeadline: -1}
	if m.last.Phase == "" {
		v.Phase = Starting
	}
	for name, n := range m.last.Errors {
		v.Errors = append(v.Errors, count{name, n})
	}
	slices.SortFunc(v.Errors, func(a, b count) int {
		return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name))
	})
	m.rates(&v, now)
	m.forecast(&v, now)
	return v
}

func (m *model) rates(v *view, now time.Time) {
	then := m.since(now.Add(-window))
	if m.first != nil && v.Elapsed > 0 {
		v.RateMean = per(m.last.Captures-m.first.Captures, v.Elapsed)
		v.BytesMean = per(m.last.Bytes-m.first.Bytes, v.Elapsed)
	}
	if then != nil {
		v.RateNow = per(m.last.Captures-then.captures, now.Sub(then.at))
		v.BytesNow = per(m.last.Bytes-then.bytes, now.Sub(then.at))
	}
	for _, h := range m.last.Hosts {
		hv := hostView{Host: h, Now: -1}
		if then != nil {
			if n, ok := then.hosts[h.Name]; ok {
				hv.Now = per(h.Captures-n, now.Sub(then.at))
			}
		}
		v.Hosts = append(v.Hosts, hv)
	}
}

// forecast says nothing before there is enough to go by.
func (m *model) forecast(v *view, now time.Time) {
	if !v.Deadline.IsZero() {
		v.Left = v.Deadline.Sub(now)
	}
	then := m.since(now.Add(-trend))
	if then == nil || now.Sub(then.at) < window || v.Phase != Crawling && v.Phase != Sweeping {
		return
	}
	done := v.Settled() + v.Held // what waits for a Store elsewhere needs no server any more
	rate := per(done-then.settled, now.Sub(then.at))
	if rate <= 0 || v.Known == 0 {
		return
	}
	open := float64(v.Known - done)
	v.ETA = time.Duration(min(open/rate*float64(time.Second), float64(10*365*24*time.Hour)))
	if v.Left > 0 {
		v.ByDeadline = min(1, (float64(done)+rate*v.Left.Seconds())/float64(v.Known))
	}
}

// since is the oldest point not before t, or nil when there is but the newest.
func (m *model) since(t time.Time) *point {
	for i := range m.points[:max(0, len(m.points)-1)] {
		if !m.points[i].at.Before(t) {
			return &m.points[i]
		}
	}
	return nil
}

func per(n int64, d time.Duration) float64 {
	if d <= 0 || n <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// clone copies what a caller may go on changing.
func clone(s Snapshot) Snapshot {
	s.Errors = maps.Clone(s.Errors)
	s.Hosts = slices.Clone(s.Hosts)
	return s
}
