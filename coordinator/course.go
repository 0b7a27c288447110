package coordinator

import (
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

const (
	// paceKept is for how long a course's paces hold without a newer one: the
	// planner looks every few seconds. Without it capacity would lie idle.
	paceKept = 30 * time.Second
	// orderKept is the same for its order, which costs nothing.
	orderKept = 10 * time.Minute
)

// course is what the planner wants, as a leader follows it.
type course struct {
	api.Course
	heard time.Time
	hosts map[frontier.HostOf]api.Heading
	order []frontier.HostOf
}

// Steer gives a group a course to follow, in the place of an older one. It is
// kept in memory, by followers too: one of them may lead soon. Invalid for one
// that names too many hosts.
func (g *Group) Steer(c api.Course) error {
	if len(c.Hosts) > api.MaxHeadings {
		return salvor.Errorf(salvor.Invalid, "coordinator: a course of %d hosts: at most %d", len(c.Hosts), api.MaxHeadings)
	}
	next := &course{Course: c, heard: g.clock.Now(), hosts: make(map[frontier.HostOf]api.Heading, len(c.Hosts))}
	for _, h := range c.Hosts {
		k := frontier.HostOf{Crawl: h.Crawl, Host: h.Host}
		next.order = append(next.order, k)
		next.hosts[k] = h
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	// Another planner's clock may be behind; one that was silent is believed no more.
	if old := g.course; old != nil && c.Made < old.Made && next.heard.Sub(old.heard) < paceKept {
		return nil
	}
	g.course = next
	g.wake.ring()
	return nil
}

// heading is the course to follow now; nil: none.
func (g *Group) heading() *course {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.course == nil || g.clock.Now().Sub(g.course.heard) > orderKept {
		return nil
	}
	return g.course
}

// pace is at most what a host gets; Unlimited if the course does not say.
func (c *course) pace(now time.Time, k frontier.HostOf) salvor.Pace {
	if c == nil || now.Sub(c.heard) > paceKept {
		return salvor.Unlimited
	}
	h, named := c.hosts[k]
	if !named {
		h.Pace = c.Rest
	}
	if h.Pace == 0 {
		return salvor.Unlimited
	}
	return h.Pace
}

// lasts is for how long a host's leases last, at most leaseTime.
func (c *course) lasts(now time.Time, k frontier.HostOf) time.Duration {
	if c == nil || now.Sub(c.heard) > paceKept || c.hosts[k].Lasts <= 0 {
		return leaseTime
	}
	return min(time.Duration(c.hosts[k].Lasts)*time.Millisecond, leaseTime)
}

// candidates are hosts that a session could be granted, those first that the
// course names first; and those of whose budget nothing is free.
func (g *Group) candidates(m *frontier.Machine, c *course, w api.Want) (free, booked []frontier.ReadyHost) {
	// The hosts a session has enough of are ready too, hence the longer list.
	s := frontier.Search{Crawl: w.Crawl, Now: g.now(), Limit: w.Hosts + len(w.Not)}
	if c == nil {
		return m.Ready(s)
	}
	free, booked = m.ReadyOf(s, c.order)
	if len(free) >= s.Limit {
		return free, booked
	}
	more, stuck := m.Ready(s)
	return append(free, c.unnamed(more)...), append(booked, c.unnamed(stuck)...)
}

// unnamed are the hosts that the course does not name.
func (c *course) unnamed(hosts []frontier.ReadyHost) (out []frontier.ReadyHost) {
	for _, h := range hosts {
		if _, named := c.hosts[frontier.HostOf{Crawl: h.Crawl, Host: h.Host}]; !named {
			out = append(out, h)
		}
	}
	return out
}

// Steer gives all groups a course to follow; see Group.Steer.
func (n *Node) Steer(c api.Course) error {
	for _, g := range n.groups {
		if err := g.Steer(c); err != nil {
			return err
		}
	}
	return nil
}
