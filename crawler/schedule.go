package crawler

import (
	"container/heap"
	"math"
	"slices"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/robots"
)

// A schedule holds what the session has leased and says what may start next:
// every host at its pace, at most perOrigin exchanges with one origin, and
// nothing under a lease that is older than its time. It never starts anything
// itself.
type schedule struct {
	perOrigin int
	most      int // exchanges under way at once
	agents    []string
	now       func() instant

	mu      sync.Mutex
	flying  int // exchanges under way
	hosts   map[string]*hostQueue
	leases  map[salvor.LeaseID]*lease
	ready   readyHeap
	seen    salvor.LeaseID
	todo    int  // items not started, over all hosts
	dry     bool // a lease's last item started since the last extend
	urgent  bool // a host asked for less since the last report
	frozen  bool // pause: nothing starts
	stalled bool // nor while the spool is full

	wake  chan struct{} // something may have become startable
	hands chan struct{} // a host ran out of items: ask for more
}

// lease is a granted lease and how far it got. Items and rules that came with
// it are kept by its host.
type lease struct {
	api.Lease
	pace    salvor.Pace // as last granted
	granted instant     // when the grant or extend that was answered was sent
	total   int         // items
	started int
	open    int // items not settled
}

// instant is a moment on both clocks: a laptop that slept moves only the wall
// clock, an operator who sets it back only the other.
type instant struct {
	mono time.Time // compared by its monotonic reading
	wall time.Time // has none
}

func now() instant {
	t := time.Now()
	return instant{t, t.Round(0)}
}

// since is the time from i to j, by the clock that moved more.
func (j instant) since(i instant) time.Duration {
	return max(j.mono.Sub(i.mono), j.wall.Sub(i.wall))
}

func (s *schedule) expired(l *lease) bool { return s.now().since(l.granted) >= l.TTL }

// task is one item to fetch and the lease that allows it.
type task struct {
	salvor.Item
	lease   *lease
	host    *hostQueue
	begun   time.Time // when it was let start
	counted bool      // it holds a share of the quota
	fetcher int       // who fetches it, from 1
}

// hostQueue is one host's leased items, in the order of its queue.
type hostQueue struct {
	name    string
	items   []task
	pace    salvor.Pace
	next    time.Time // when the next request may start
	blocked time.Time
	flight  map[string]int // by origin
	busy    int
	place   int // in the heap; -1 outside
	leases  []*lease
	rules   map[string]*rules
	report  feedback
	delay   time.Duration // least distance of two starts: Crawl-delay
	brake   brake
}

// rules are what an origin's robots.txt said.
type rules struct {
	status api.RobotsStatus
	file   *robots.File
}

func newSchedule(perOrigin int, agents []string) *schedule {
	return &schedule{
		perOrigin: perOrigin,
		most:      math.MaxInt,
		agents:    agents,
		now:       now,
		hosts:     map[string]*hostQueue{},
		leases:    map[salvor.LeaseID]*lease{},
		wake:      make(chan struct{}, 1),
		hands:     make(chan struct{}, 1),
	}
}

func kick(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// add takes leases whose request was sent at sent.
func (s *schedule) add(leases []api.Lease, sent instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range leases {
		l := &lease{Lease: g, pace: g.Pace, granted: sent, total: len(g.Items), open: len(g.Items)}
		l.Items, l.Robots = nil, nil
		s.leases[g.ID] = l
		s.seen = max(s.seen, g.ID)
		h := s.host(g.Host)
		h.leases = append(h.leases, l)
		h.learn(g.Robots, s.agents)
		for _, it := range g.Items {
			h.items = append(h.items, task{Item: it, lease: l, host: h})
		}
		s.todo += len(g.Items)
		h.repace()
		s.park(h)
	}
	kick(s.wake)
}

// idle reports whether nothing is left to start.
func (s *schedule) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.todo == 0
}

func (s *schedule) host(name string) *hostQueue {
	h := s.hosts[name]
	if h == nil {
		h = &hostQueue{name: name, place: -1}
		s.hosts[name] = h
	}
	return h
}

func (h *hostQueue) learn(rs []api.Robots, agents []string) {
	for _, r := range rs {
		if h.rules == nil {
			h.rules = map[string]*rules{}
		}
		h.rules[r.Origin] = &rules{status: r.Status, file: robots.Parse(r.Rules, agents...)}
	}
}

// repace sums the paces of a host's live leases, and brakes. A lease that is
// expired, or all of whose items were started, adds nothing.
func (h *hostQueue) repace() {
	h.pace = 0
	for _, l := range h.leases {
		if l.started < l.total {
			h.pace = min(h.pace+l.pace, salvor.Unlimited)
		}
	}
	h.pace = h.brake.slow(h.pace)
}

// park puts a host where it belongs: in the heap if one of its items could
// start once its time has come.
func (s *schedule) park(h *hostQueue) {
	able := len(h.items) > 0 && h.pace > 0 && s.originFree(h) >= 0
	switch {
	case able && h.place < 0:
		heap.Push(&s.ready, h)
	case able:
		heap.Fix(&s.ready, h.place)
	case h.place >= 0:
		heap.Remove(&s.ready, h.place)
	}
}

// lookahead bounds the search for an item of an origin that has a free slot.
const lookahead = 32

// originFree finds the first such item, or -1.
func (s *schedule) originFree(h *hostQueue) int {
	for i := range min(len(h.items), lookahead) {
		if h.flight[h.items[i].Origin] < s.perOrigin {
			return i
		}
	}
	return -1
}

// pick takes the next item that may start, or says how long to wait for one.
// Items of expired leases are dropped: the coordinator has them again.
func (s *schedule) pick() (task, bool, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := time.Now()
	for !s.frozen && !s.stalled && s.flying < s.most && len(s.ready) > 0 {
		h := s.ready[0]
		if wait := h.start().Sub(t); wait > 0 {
			return task{}, false, wait
		}
		i := s.originFree(h)
		x := h.items[i]
		h.take(i)
		s.todo--
		s.begin(x.lease)
		if s.expired(x.lease) {
			s.drop(x)
			s.park(h)
			continue
		}
		h.launch(x.Origin)
		s.flying++
		x.begun = t
		s.step(h, t)
		return x, true, 0
	}
	return task{}, false, time.Second
}

// launch and land count the exchanges under way. Most hosts have none: of a
// hundred thousand, only those few need a map.
func (h *hostQueue) launch(origin string) {
	if h.flight == nil {
		h.flight = map[string]int{}
	}
	h.flight[origin]++
	h.busy++
}

func (h *hostQueue) land(origin string) {
	if h.flight[origin]--; h.flight[origin] <= 0 {
		delete(h.flight, origin)
	}
	if h.busy--; h.busy == 0 {
		h.flight = nil
	}
}

// begin counts a start; a lease with none left gives its pace back at once.
func (s *schedule) begin(l *lease) {
	l.started++
	s.dry = s.dry || (l.started == l.total && l.pace < salvor.Unlimited)
}

// spent reports, once, that some lease needs its pace no more.
func (s *schedule) spent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	dry := s.dry
	s.dry = false
	return dry
}

func (h *hostQueue) start() time.Time {
	if h.blocked.After(h.next) {
		return h.blocked
	}
	return h.next
}

// interval is the distance of two starts. A Crawl-delay holds before the
// coordinator knows of it.
func (h *hostQueue) interval() time.Duration { return max(h.pace.Interval(), h.delay) }

func (h *hostQueue) take(i int) {
	if i == 0 {
		h.items[0] = task{}
		h.items = h.items[1:]
		return
	}
	h.items = append(h.items[:i], h.items[i+1:]...)
}

// step moves a host past one start at t.
func (s *schedule) step(h *hostQueue, t time.Time) {
	if t.After(h.next) {
		h.next = t
	}
	h.next = h.next.Add(h.interval())
	if len(h.items) > 0 {
		h.report.limited = h.report.limited || h.pace < salvor.Unlimited
	} else {
		h.repace()
		kick(s.hands)
	}
	s.park(h)
}

// live reports whether an item's lease still allows a start.
func (s *schedule) live(x task) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leases[x.lease.ID] == x.lease && !s.expired(x.lease)
}

// launched corrects a host's next start when handing the item over took time,
// so that two starts never come closer than the pace allows.
func (s *schedule) launched(x task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if soonest := time.Now().Add(x.host.interval()); soonest.After(x.host.next) && x.host.interval() > 0 {
		x.host.next = soonest
		s.park(x.host)
	}
}

// landed says that an exchange is over, so that its origin has a slot again.
func (s *schedule) landed(x task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := x.host
	h.land(x.Origin)
	s.flying--
	s.park(h)
	s.forget(h)
	kick(s.wake)
}

// settled says that an item's report was acknowledged.
func (s *schedule) settled(xs []task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range xs {
		s.drop(x)
	}
}

// drop ends an item's claim on its lease; a lease with none left is forgotten
// and will not be listed again.
func (s *schedule) drop(x task) {
	x.lease.open--
	if x.lease.open > 0 {
		return
	}
	if _, ok := s.leases[x.lease.ID]; ok {
		s.end(x.host, x.lease)
		x.host.repace()
		kick(s.hands)
	}
	s.forget(x.host)
}

// end forgets a lease.
func (s *schedule) end(h *hostQueue, l *lease) {
	delete(s.leases, l.ID)
	h.leases = slices.DeleteFunc(h.leases, func(o *lease) bool { return o == l })
}

// forget drops a host that nothing hangs on any more. It stays until its next
// start would be due, so that a new lease cannot come too close to the last.
func (s *schedule) forget(h *hostQueue) {
	idle := len(h.leases) == 0 && h.busy == 0 && len(h.items) == 0 && h.report.empty()
	if idle && time.Now().After(h.start()) && s.hosts[h.name] == h {
		delete(s.hosts, h.name)
	}
}

// rulesFor is what the host's origin said, or nil when it is not known.
func (s *schedule) rulesFor(x task) *rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.host.rules[x.Origin]
}

// interval is the distance of two starts on an item's host.
func (s *schedule) interval(x task) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.host.interval()
}
