package crawler

import (
	"time"

	"salvor"
	"salvor/api"
)

// holdings lists every lease and the pace it still needs.
func (s *schedule) holdings() api.Holdings {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveBack()
	h := api.Holdings{Seen: s.seen, Leases: make([]api.Extension, 0, len(s.leases))}
	for _, l := range s.leases {
		e := api.Extension{Lease: l.ID}
		if l.started < len(l.Items) {
			e.Pace = salvor.Unlimited // as much as the budget allows
		}
		h.Leases = append(h.Leases, e)
	}
	return h
}

// giveBack drops what could not start before its lease ends anyway: a lease
// that is not listed returns to the queue, and its place to another host.
func (s *schedule) giveBack() {
	late := time.Now().Add(salvor.LeaseTTL)
	for _, h := range s.hosts {
		if len(h.items) == 0 || !h.blocked.After(late) {
			continue
		}
		s.filter(h, func(x task) bool {
			s.begin(x.lease)
			s.drop(x)
			return false
		})
		s.park(h)
	}
}

// renewed takes the answer to holdings sent at sent.
func (s *schedule) renewed(r api.Renewal, sent instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range r.Granted {
		if l := s.leases[e.Lease]; l != nil {
			l.pace, l.granted = e.Pace, sent
		}
	}
	for _, id := range r.Lost {
		s.lose(id)
	}
	s.strike(r.Struck)
	for _, h := range s.hosts {
		s.repace(h)
		s.park(h)
	}
	kick(s.wake)
}

// lose removes a lease; its items not yet started are no longer ours.
func (s *schedule) lose(id salvor.LeaseID) {
	l := s.leases[id]
	if l == nil {
		return
	}
	delete(s.leases, id)
	h := s.hosts[l.Host]
	h.leases--
	s.filter(h, func(x task) bool { return x.lease != l })
	s.park(h)
}

// strike removes items that somebody else settled meanwhile.
func (s *schedule) strike(keys []salvor.Key) {
	if len(keys) == 0 {
		return
	}
	gone := make(map[salvor.Key]bool, len(keys))
	for _, k := range keys {
		gone[k] = true
	}
	for _, h := range s.hosts {
		s.filter(h, func(x task) bool {
			if gone[x.Key] {
				s.begin(x.lease)
				s.drop(x)
			}
			return !gone[x.Key]
		})
		s.park(h)
	}
}

func (s *schedule) filter(h *hostQueue, keep func(task) bool) {
	items := h.items
	h.items = make([]task, 0, len(items))
	for _, x := range items {
		if keep(x) {
			h.items = append(h.items, x)
		} else {
			s.todo--
		}
	}
}

// clear drops everything not started: a drain. The items return to the queue
// when their lease is no longer listed.
func (s *schedule) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hosts {
		s.filter(h, func(x task) bool {
			s.begin(x.lease)
			s.drop(x)
			return false
		})
		s.park(h)
	}
}
