package crawler

import (
	"container/heap"
	"math"
	"slices"
	"time"

	"salvor"
)

// paceSpan is the time over which starts are counted; a pace of 1 is a start in
// perSpan of those.
const (
	paceSpan = 10 * time.Second
	perSpan  = 1000 * time.Second / paceSpan
)

// A purse is what the session has of a budget group: the hosts whose starts are
// counted together, and the one clock, block and brake that hold for them all
// (protocol 2). A host has one of its own; merged hosts share one with a name.
type purse struct {
	name    string       // "" a host's own
	hosts   []*hostQueue // that are here now
	turn    int          // whose item is next
	pace    salvor.Pace  // the sum of the leases', braked
	next    time.Time    // when the next request may start
	last    time.Time    // when the last one did
	blocked time.Time
	delay   time.Duration // least distance of two starts: Crawl-delay
	brake   brake
	gauge   *gauge // nil until there was an answer to be judged
	place   int    // in the heap; -1 outside
}

// join puts a host in the purse of a group, "" its own. Whatever holds for one
// of the two holds from now on: no start comes closer to the last than before.
func (s *schedule) join(h *hostQueue, group string) {
	from := h.purse
	if from.name == group {
		return
	}
	to := s.purse(h, group)
	to.next, to.last = latest(to.next, from.next), latest(to.last, from.last)
	to.blocked = latest(to.blocked, from.blocked)
	to.delay = max(to.delay, from.delay)
	if from.name == "" || h.pressing() {
		to.brake = to.brake.stricter(from.brake)
	}
	to.hosts, h.purse = append(to.hosts, h), to
	s.leave(from, h)
	for _, p := range []*purse{from, to} {
		s.repace(p)
		s.park(p)
	}
}

func (s *schedule) purse(h *hostQueue, group string) *purse {
	if group == "" {
		h.alone = purse{place: -1}
		return &h.alone
	}
	p := s.groups[group]
	if p == nil {
		p = &purse{name: group, place: -1}
		s.groups[group] = p
	}
	return p
}

func (s *schedule) leave(p *purse, h *hostQueue) {
	p.hosts = slices.DeleteFunc(p.hosts, func(o *hostQueue) bool { return o == h })
	if len(p.hosts) == 0 && p.name != "" {
		delete(s.groups, p.name)
	}
}

// purses calls f for each.
func (s *schedule) purses(f func(*purse)) {
	for _, p := range s.groups {
		f(p)
	}
	for _, h := range s.hosts {
		if h.purse == &h.alone {
			f(h.purse)
		}
	}
}

// repace sums the paces of the live leases, and brakes. A lease all of whose
// items were started adds nothing.
func (s *schedule) repace(p *purse) {
	p.pace = 0
	for _, h := range p.hosts {
		for _, l := range h.leases {
			if l.started < l.total {
				p.pace = min(p.pace+l.pace, salvor.Unlimited)
			}
		}
	}
	p.pace = p.brake.slow(p.pace)
}

// lapse drops what has not begun of leases that are older than their time: the
// coordinator has it again. It is false if there is nothing of the kind.
func (s *schedule) lapse(p *purse) (some bool) {
	at := s.now()
	for _, h := range p.hosts {
		for i := len(h.leases) - 1; i >= 0; i-- {
			if l := h.leases[i]; l.started < l.total && at.since(l.granted) >= l.TTL {
				s.discard(h, func(x task) bool { return x.lease == l })
				some = true
			}
		}
	}
	if some {
		s.repace(p)
		s.park(p)
	}
	return some
}

// park puts a purse where it belongs: in the heap if one of its items could
// start once its time has come.
func (s *schedule) park(p *purse) {
	able := false
	if p.pace > 0 {
		_, _, able = s.choose(p)
	}
	switch {
	case able && p.place < 0:
		heap.Push(&s.ready, p)
	case able:
		heap.Fix(&s.ready, p.place)
	case p.place >= 0:
		heap.Remove(&s.ready, p.place)
	}
}

// choose finds the next host, in turn, with an item of an origin that has a free
// slot, and the item.
func (s *schedule) choose(p *purse) (host, item int, ok bool) {
	for i := range p.hosts {
		host = (p.turn + i) % len(p.hosts)
		if item = s.originFree(p.hosts[host]); item >= 0 {
			return host, item, true
		}
	}
	return 0, 0, false
}

func (p *purse) start() time.Time { return latest(p.next, p.blocked) }

// interval is the distance of two starts. A Crawl-delay holds before the
// coordinator knows of it.
func (p *purse) interval() time.Duration { return max(p.pace.Interval(), p.delay) }

// step moves past one start at t. Of one that was due a little before, because the
// worker had others to start, the next is due when it would have been without.
func (p *purse) step(t time.Time) {
	from := latest(p.next, t)
	if t.Sub(p.next) < p.interval() {
		from = latest(p.next, t.Add(-p.slack()))
	}
	p.last, p.next = t, from.Add(p.interval())
}

// slack is how much sooner than its interval after the last a start may come, to
// make up for that one's delay. It is less than what would fit another start into
// any paceSpan: with n = pace x paceSpan, at most n and one are made in it (protocol
// 2), and slack for 1 - frac(n) of an interval adds none. A Crawl-delay has none.
func (p *purse) slack() time.Duration {
	if p.delay > 0 || p.pace >= salvor.Unlimited {
		return 0
	}
	frac := time.Duration(p.pace) % perSpan
	return p.interval() * min(perSpan/2, perSpan-1-frac) / perSpan
}

// hasten brings the next start forward where the pace rose since the last: who
// got a crumb would wait for a crumb's time before it uses what it has now.
func (p *purse) hasten() {
	if soonest := p.last.Add(p.interval()); soonest.Before(p.next) && p.pace > 0 {
		p.next = soonest
	}
}

// block lets nothing start before a time.
func (s *schedule) block(p *purse, until time.Time) {
	if until.After(p.blocked) {
		p.blocked = until
		s.park(p)
	}
}

// postpone puts the next start off to a time, if it is not later already.
func (s *schedule) postpone(p *purse, next time.Time) {
	if next.After(p.next) {
		p.next = next
		s.park(p)
	}
}

// reserve takes the next start for a further request of an item under way, and
// says how long that is from now; false while the server has asked for silence.
func (s *schedule) reserve(x task) (time.Duration, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, t := x.host.purse, time.Now()
	if p.blocked.After(t) {
		return 0, false
	}
	at := latest(p.next, t)
	p.last, p.next = at, at.Add(max(p.interval(), x.lease.pace.Interval()))
	s.park(p)
	return at.Sub(t), true
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

const (
	// dueSearch bounds the search for the foremost of those that are due.
	dueSearch = 32
	// patientFor is how long one that is due waits for others that are worth more.
	patientFor = 5 * time.Second
)

// foremost is the purse that starts next, where one is due at t. More than one is due
// only while the worker cannot do all it may: then what is worth most goes first, so
// that its host gets all its pace, until another has waited long.
func (s *schedule) foremost(t time.Time) *purse {
	best := s.ready[0]
	if len(s.ready) == 1 || t.Sub(best.start()) > patientFor {
		return best
	}
	first := s.band(best)
	due := make([]int, 1, dueSearch) // places in the heap; children start no sooner
	for n := 0; n < len(due); n++ {
		for i := 2*due[n] + 1; i <= 2*due[n]+2 && i < len(s.ready) && len(due) < dueSearch; i++ {
			p := s.ready[i]
			if p.start().After(t) {
				continue
			}
			due = append(due, i)
			if b := s.band(p); b < first {
				best, first = p, b
			}
		}
	}
	return best
}

// band is that of the item that a purse starts next.
func (s *schedule) band(p *purse) salvor.Band {
	n, i, ok := s.choose(p)
	if !ok {
		return math.MaxUint8
	}
	return p.hosts[n].items[i].Band
}

// readyHeap orders purses by when they may start.
type readyHeap []*purse

func (r readyHeap) Len() int           { return len(r) }
func (r readyHeap) Less(i, j int) bool { return r[i].start().Before(r[j].start()) }
func (r readyHeap) Swap(i, j int) {
	r[i], r[j] = r[j], r[i]
	r[i].place, r[j].place = i, j
}
func (r *readyHeap) Push(x any) {
	p := x.(*purse)
	p.place = len(*r)
	*r = append(*r, p)
}
func (r *readyHeap) Pop() any {
	old := *r
	p := old[len(old)-1]
	old[len(old)-1] = nil
	*r = old[:len(old)-1]
	p.place = -1
	return p
}
