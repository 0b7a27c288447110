package crawler

import (
	"time"

	"salvor"
	"salvor/api"
)

// A brake holds a host's pace down from the moment it answered 429 or 503 until
// the coordinator was told and gave its own answer: a lower pace. While the
// coordinator is away, what the lease allows must not be used up.
type brake struct {
	cuts uint      // halvings
	at   time.Time // of the last
	told bool      // the coordinator knows of it
}

const (
	// brakeFrom is where an unlimited pace begins to be halved.
	brakeFrom = salvor.Pace(2000)
	mostCuts  = 10
)

// slow is what the brake leaves of a pace.
func (b *brake) slow(p salvor.Pace) salvor.Pace {
	if b.cuts == 0 || p == 0 {
		return p
	}
	if p >= salvor.Unlimited {
		p = brakeFrom
	}
	return max(p>>b.cuts, 1)
}

// release lets go once an extend was answered that came after the report.
func (b *brake) release() {
	if b.told {
		*b = brake{}
	}
}

// hitBrake halves an item's host's pace. What was under way when it was halved
// last brings the same news, and halves nothing.
func (s *schedule) hitBrake(x task) {
	h, at := x.host, time.Now()
	if !x.begun.After(h.brake.at) {
		return
	}
	h.brake = brake{cuts: min(h.brake.cuts+1, mostCuts), at: at}
	h.repace()
	if next := at.Add(h.interval()); next.After(h.next) {
		h.next = next
	}
	s.park(h)
}

// told notes which hosts' refusals the coordinator knows of; fs was taken at a
// time.
func (s *schedule) told(fs []api.HostFeedback, taken time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range fs {
		if h := s.hosts[fs[i].Host]; h != nil && fs[i].Throttled > 0 && !h.brake.at.After(taken) {
			h.brake.told = true
		}
	}
}
