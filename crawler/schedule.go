package crawler

import (
	"math"
	"slices"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/robots"
)

// A schedule holds what the session has leased and says what may start next:
// every budget group at its pace, at most perOrigin exchanges with one origin, and
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
	groups  map[string]*purse // of merged hosts
	leases  map[salvor.LeaseID]*lease
	ready   readyHeap
	seen    salvor.LeaseID
	todo    int       // items not started, over all hosts
	dry     bool      // a lease's last item started since the last extend
	cut     bool      // the last extend lowered a pace
	urgent  bool      // a host asked for less since the last report
	frozen  bool      // pause: nothing starts
	stalled bool      // nor while the spool is full
	late    time.Time // when this machine was last overloaded

	wake  chan struct{} // something may have become startable
	hands chan struct{} // a host ran out of items: ask for more
}

// lease is a granted lease and how far it got. Items and rules that came with
// it are kept by its host.
type lease struct {
	api.Lease
	host    *hostQueue
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
	name   string
	items  []task
	flight map[string]int // by origin
	busy   int
	leases []*lease
	rules  map[string]*rules
	report feedback
	purse  *purse // whose pace holds for it
	alone  purse  // it, where the host is not merged
	self   [1]*hostQueue
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
		groups:    map[string]*purse{},
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
		h := s.host(g.Host)
		l := &lease{Lease: g, host: h, pace: g.Pace, granted: sent, total: len(g.Items), open: len(g.Items)}
		l.Items, l.Robots = nil, nil
		s.leases[g.ID] = l
		s.seen = max(s.seen, g.ID)
		h.leases = append(h.leases, l)
		h.learn(g.Robots, s.agents)
		fresh := make([]task, len(g.Items))
		for i, it := range g.Items {
			fresh[i] = task{Item: it, lease: l, host: h}
		}
		if g.Pace == 0 { // somebody was about to fetch them who is gone
			h.items = append(fresh, h.items...)
		} else {
			h.items = append(h.items, fresh...)
		}
		s.todo += len(g.Items)
		s.join(h, g.Group)
		s.repace(h.purse)
		h.purse.hasten()
		s.park(h.purse)
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
		h = newHost(name)
		s.hosts[name] = h
	}
	return h
}

func newHost(name string) *hostQueue {
	h := &hostQueue{name: name, alone: purse{place: -1}}
	h.self[0] = h // beside it in memory: most hosts are alone
	h.purse, h.alone.hosts = &h.alone, h.self[:]
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
func (s *schedule) pick() (task, bool, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := time.Now()
	for !s.frozen && !s.stalled && s.flying < s.most && len(s.ready) > 0 {
		if wait := s.ready[0].start().Sub(t); wait > 0 {
			return task{}, false, wait
		}
		p := s.foremost(t)
		if s.lapse(p) {
			continue
		}
		return s.begun(p, t), true, 0
	}
	return task{}, false, time.Second
}

// begun is the item that starts now, of a purse that has one.
func (s *schedule) begun(p *purse, t time.Time) task {
	n, i, _ := s.choose(p)
	p.turn = n + 1
	h := p.hosts[n]
	x := h.items[i]
	h.take(i)
	s.todo--
	s.begin(x.lease)
	h.launch(x.Origin)
	s.flying++
	x.begun = t
	p.step(t)
	if len(h.items) > 0 {
		h.report.limited = h.report.limited || p.pace < salvor.Unlimited
	} else {
		s.repace(p)
		kick(s.hands)
	}
	s.park(p)
	return x
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

// mostBrief bounds the leases of a session that is extended more often: an extend
// lists them all.
const mostBrief = 64

// brief says whether some lease has a pace that its items use up before the next
// extend is due: others who wait for that pace would wait for nothing.
func (s *schedule) brief() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.leases) > mostBrief || s.frozen || s.stalled {
		return false
	}
	t := time.Now()
	for _, l := range s.leases {
		left, p := l.total-l.started, l.host.purse
		if left > 0 && l.pace > 0 && l.pace < salvor.Unlimited && latest(t, p.start()).Add(time.Duration(left)*max(l.pace.Interval(), p.delay)).Before(t.Add(salvor.ExtendEvery)) {
			return true
		}
	}
	return false
}

// gaveUp says whether some lease got less at the last extend: others have it as soon
// as the coordinator knows that this session knows, which the next extend says.
func (s *schedule) gaveUp() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut
}

func (h *hostQueue) take(i int) {
	if i == 0 {
		h.items[0] = task{}
		h.items = h.items[1:]
		return
	}
	h.items = append(h.items[:i], h.items[i+1:]...)
}

// live reports whether an item's lease still allows a start.
func (s *schedule) live(x task) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leases[x.lease.ID] == x.lease && !s.expired(x.lease)
}

// launched corrects the next start when handing the item over took time, so
// that two starts never come closer than the pace and its slack allow.
func (s *schedule) launched(x task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := x.host.purse
	p.last = latest(p.last, time.Now())
	if p.interval() > 0 {
		s.postpone(p, p.last.Add(p.interval()-p.slack()))
	}
}

// landed says that an exchange is over, so that its origin has a slot again.
func (s *schedule) landed(x task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := x.host
	h.land(x.Origin)
	s.flying--
	s.park(h.purse)
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
		s.repace(x.host.purse)
		kick(s.hands)
	}
	s.forget(x.host)
}

// end forgets a lease.
func (s *schedule) end(h *hostQueue, l *lease) {
	delete(s.leases, l.ID)
	h.leases = slices.DeleteFunc(h.leases, func(o *lease) bool { return o == l })
}

// forget drops a host that nothing hangs on any more. The last of its purse
// stays until the next start would be due, so that a new lease cannot come too
// close to the last.
func (s *schedule) forget(h *hostQueue) {
	idle := len(h.leases) == 0 && h.busy == 0 && len(h.items) == 0 && h.report.empty()
	idle = idle && h.purse.brake.keep == 0 // else it waits to be released
	rested := len(h.purse.hosts) > 1 || time.Now().After(h.purse.start())
	if idle && rested && s.hosts[h.name] == h {
		delete(s.hosts, h.name)
		s.leave(h.purse, h)
	}
}

// rulesFor is what the host's origin said, or nil when it is not known.
func (s *schedule) rulesFor(x task) *rules {
	s.mu.Lock()
	defer s.mu.Unlock()
	return x.host.rules[x.Origin]
}
