package frontier

import (
	"slices"
	"strings"

	"salvor"
	"salvor/api"
)

// group is a budget group: whose requests are counted together, and how many
// there may be (protocol 2). A host has one of its own, shared by all crawls;
// hosts that an operator merged share one that has a name.
type group struct {
	name    string      // "" a host's own
	rate    salvor.Pace // adaptive
	ceiling salvor.Pace // the operator's, if own
	own     bool
	blocked int64
	note    string
	share   salvor.Pace // of a group that several Raft groups have a part of; 0 it is whole
	dirty   bool
	hosts   []*host // that are merged here; not stored, they say so

	// Of the leases; not stored, they are.
	booked    salvor.Pace // sum of finite paces
	paced     int         // leases with a pace
	unlimited int         // of these, leases whose pace has no limit
}

// budget is the pace that a group's leases of a crawl may sum up to.
func (g *group) budget(c *crawl) salvor.Pace {
	ceiling := c.Ceiling
	if g.own {
		ceiling = g.ceiling
	}
	if g.share > 0 {
		ceiling = min(ceiling, g.share)
	}
	return min(g.rate, ceiling, salvor.Unlimited)
}

// book adds a lease's pace to the sum; unbook takes it off.
func (g *group) book(p salvor.Pace) {
	if p == 0 {
		return
	}
	g.paced++
	if p >= salvor.Unlimited {
		g.unlimited++
	} else {
		g.booked += p
	}
}

func (g *group) unbook(p salvor.Pace) {
	if p == 0 {
		return
	}
	g.paced--
	if p >= salvor.Unlimited {
		g.unlimited--
	} else {
		g.booked -= p
	}
}

// free is what of a budget is not booked. A lease without limit, granted while
// the budget had none, takes all of a budget that has one.
func (g *group) free(budget salvor.Pace) salvor.Pace {
	switch {
	case budget >= salvor.Unlimited:
		return salvor.Unlimited
	case g.unlimited > 0 || g.booked >= budget:
		return 0
	}
	return budget - g.booked
}

func (g *group) putBudget(w *writer) {
	w.uint(uint64(g.rate))
	w.bool(g.own)
	w.uint(uint64(g.ceiling))
	w.int(g.blocked)
	w.string(g.note)
}

func (g *group) getBudget(r *reader) {
	g.rate = salvor.Pace(r.uint())
	g.own = r.bool()
	g.ceiling = salvor.Pace(r.uint())
	g.blocked = r.int()
	g.note = r.string()
}

func (g *group) encode(w *writer) {
	w.byte(recordVersion)
	g.putBudget(w)
	w.uint(uint64(g.share))
}

func decodeGroup(name, v string) (*group, bool) {
	g := &group{name: name}
	r := reader{s: v}
	if r.byte() != recordVersion {
		r.fail()
	}
	g.getBudget(&r)
	g.share = salvor.Pace(r.uint())
	return g, r.end()
}

// setGroup says which hosts are merged under a name. Those that are new to it
// bring their most careful limits; those that leave keep the group's.
func (t *tx) setGroup(c *SetGroup) error {
	for _, name := range c.Hosts {
		if h := t.m.hosts[name]; h != nil && h.group.name != "" && h.group.name != c.Name {
			return salvor.Errorf(salvor.Conflict, "host %s is merged in %s", name, h.group.name).
				WithHint("Take it out of there first.")
		}
	}
	cr, err := t.crawl(c.Crawl)
	if err != nil && slices.ContainsFunc(c.Hosts, func(name string) bool { return t.m.hosts[name] == nil }) {
		return err
	}
	g := t.m.groups[c.Name]
	if g == nil && len(c.Hosts) == 0 {
		return nil
	}
	if g == nil {
		g = &group{name: strings.Clone(c.Name), rate: salvor.Unlimited}
		t.m.groups[g.name] = g
	}
	g.share = c.Share
	for _, h := range g.members() {
		if !slices.Contains(c.Hosts, h.name) {
			t.move(h, &h.alone)
			h.alone.careful(g)
		}
	}
	for _, name := range c.Hosts {
		h := t.m.hosts[name]
		if h == nil {
			h = t.newHost(name, cr.Start)
		}
		if h.group != g {
			g.careful(&h.alone)
			t.move(h, g)
		}
	}
	if len(c.Hosts) == 0 {
		delete(t.m.groups, g.name)
	}
	t.touchGroup(g)
	return nil
}

// careful takes over what is stricter in another group.
func (g *group) careful(o *group) {
	if o.rate < g.rate {
		g.rate, g.note = o.rate, o.note
	}
	if o.own && (!g.own || o.ceiling < g.ceiling) {
		g.own, g.ceiling = true, o.ceiling
	}
	g.blocked = max(g.blocked, o.blocked)
}

// move puts a host in a group, with what its leases have booked. If that is more
// than the budget, the next extends cut it.
func (t *tx) move(h *host, to *group) {
	for _, l := range t.m.leases {
		if l.q.h == h {
			h.unbook(l.pace)
			to.book(l.pace)
		}
	}
	from := h.group
	if i := slices.Index(from.hosts, h); i >= 0 {
		from.hosts = slices.Delete(from.hosts, i, i+1)
	}
	h.join(to)
	t.touchHost(h)
}

// join is the host's part of being in a group.
func (h *host) join(g *group) {
	h.group = g
	if g != &h.alone {
		g.hosts = append(g.hosts, h)
	}
}

// members are the hosts of a group, by number.
func (g *group) members() []*host {
	list := slices.Clone(g.hosts)
	slices.SortFunc(list, func(a, b *host) int { return int(a.num) - int(b.num) })
	return list
}

func (t *tx) setShare(c *SetShare) error {
	g := t.m.groups[c.Name]
	if g == nil {
		return noGroup(c.Name)
	}
	g.share = c.Share
	t.touchGroup(g)
	return nil
}

func (t *tx) touchGroup(g *group) {
	if !g.dirty {
		g.dirty = true
		t.groups = append(t.groups, g)
	}
}

// Groups lists the merged hosts by the names of their groups. Their blocks end
// in group time.
func (m *Machine) Groups() ([]api.HostGroup, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]api.HostGroup, 0, len(m.groups))
	for _, g := range m.groups {
		list = append(list, m.viewGroup(g))
	}
	slices.SortFunc(list, func(a, b api.HostGroup) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Group is the one of a name.
func (m *Machine) Group(name string) (api.HostGroup, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	g := m.groups[name]
	if g == nil {
		return api.HostGroup{}, noGroup(name)
	}
	return m.viewGroup(g), nil
}

func noGroup(name string) error {
	return salvor.Errorf(salvor.NotFound, "no hosts are merged as %s", name)
}

func (m *Machine) viewGroup(g *group) api.HostGroup {
	x := api.HostGroup{Name: g.name, Share: g.share, Rate: g.rate, Ceiling: salvor.Unlimited, Blocked: g.blocked, Note: g.note}
	if g.own {
		x.Ceiling = g.ceiling
	}
	for _, h := range g.hosts {
		x.Hosts = append(x.Hosts, h.name)
		for _, c := range m.crawls {
			q := c.queues[h.num]
			if q == nil || c.State != salvor.CrawlRunning {
				continue
			}
			x.Open += q.t.Queued + q.t.Leased
			if !g.own {
				x.Ceiling = min(x.Ceiling, c.Ceiling)
			}
		}
	}
	slices.Sort(x.Hosts)
	return x
}

// purse names the budget of a host: a merged group's, or its own. No host has a
// name with a space.
func (h *host) purse() string {
	if h.group.name == "" {
		return h.name
	}
	return "group " + h.group.name
}
