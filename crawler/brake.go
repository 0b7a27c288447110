package crawler

import (
	"slices"
	"time"

	"salvor"
)

// A brake holds a purse's pace down from the moment a host answered 429 or 503,
// or much slower than before, until the coordinator was told and gave its own
// answer: a lower pace. While the coordinator is away, what the lease allows must
// not be used up.
type brake struct {
	keep    float64   // what is left of the pace; 0 all of it
	at      time.Time // of the last cut
	refused time.Time // of the last for a refusal
	told    bool      // the coordinator knows of it
}

const (
	forRefusal  = 0.5
	forSlowness = 0.8
	leastKept   = 1.0 / 1024
	// brakeFrom is where an unlimited pace begins to be cut.
	brakeFrom = salvor.Pace(2000)
)

// slow is what the brake leaves of a pace.
func (b *brake) slow(p salvor.Pace) salvor.Pace {
	if b.keep == 0 || p == 0 {
		return p
	}
	if p >= salvor.Unlimited {
		p = brakeFrom
	}
	return max(salvor.Pace(float64(p)*b.keep), 1)
}

func (b *brake) cut(by float64, at time.Time) {
	if b.keep == 0 {
		b.keep = 1
	}
	b.keep, b.at, b.told = max(b.keep*by, leastKept), at, false
}

// release lets go once an extend was answered that came after the report.
func (b *brake) release() {
	if b.told {
		*b = brake{}
	}
}

// stricter is the brake of two purses that become one.
func (b brake) stricter(o brake) brake {
	if b.keep == 0 || o.keep == 0 {
		if b.keep == 0 {
			b = o
		}
		return b
	}
	return brake{min(b.keep, o.keep), latest(b.at, o.at), latest(b.refused, o.refused), b.told && o.told}
}

// refuse halves the pace of an item's purse. What was under way when it was
// halved last brings the same news, and halves nothing.
func (s *schedule) refuse(x task) {
	p, at := x.host.purse, time.Now()
	if !x.begun.After(p.brake.refused) {
		return
	}
	p.brake.cut(forRefusal, at)
	p.brake.refused = at
	s.repace(p)
	p.last = at // a pace that rises does not bring the next start forward
	p.next = latest(p.next, at.Add(p.interval()))
	s.park(p)
}

// answered notes how long an answer took. Where answers take much longer than
// before, it cuts the pace of the item's purse a little. A pace without limit is
// the operator's wish, and there what waits for us is what we asked for at once;
// while this machine itself is late, it says nothing about the host.
func (s *schedule) answered(x task, took time.Duration) {
	p, at := x.host.purse, time.Now()
	if p.pace >= salvor.Unlimited || x.begun.Before(s.late.Add(lateFor)) {
		return
	}
	if p.gauge == nil {
		p.gauge = &gauge{}
	}
	if !p.gauge.add(at, x.begun, took) {
		return
	}
	x.host.report.slowed = true
	p.brake.cut(forSlowness, at)
	s.repace(p)
	s.park(p)
}

const (
	// tooLate is by how much a start must be late for this machine to be
	// overloaded, and lateFor how long that is held against what it measures.
	tooLate = 20 * time.Millisecond
	lateFor = time.Second
)

// delayed notes how much later than it was due something was done here.
func (s *schedule) delayed(by time.Duration) {
	if by < tooLate {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = time.Now()
}

// told notes what the coordinator knows of: all that was there to report at a
// time, but for what was taken back since.
func (s *schedule) told(taken time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purses(func(p *purse) {
		if p.brake.keep > 0 && !p.brake.at.After(taken) && !slices.ContainsFunc(p.hosts, (*hostQueue).pressing) {
			p.brake.told = true
		}
	})
}

// pressing reports whether a host asked for less and that is not reported yet.
func (h *hostQueue) pressing() bool { return h.report.throttled > 0 || h.report.slowed }
