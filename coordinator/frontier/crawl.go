package frontier

import (
	"bytes"
	"slices"
	"strings"

	"salvor"
	"salvor/api"
)

// createCrawl makes a crawl; the same name again gets the one that is there.
func (t *tx) createCrawl(cmd *CreateCrawl) (api.Crawl, error) {
	for _, c := range t.m.crawls {
		if c.Name == cmd.Crawl.Name && c.State < salvor.CrawlDeleting {
			return c.Crawl, nil
		}
	}
	id := cmd.Crawl.ID
	if id == 0 {
		id = salvor.CrawlID(t.m.meta.crawl + 1)
	}
	if uint32(id) <= t.m.meta.crawl {
		return api.Crawl{}, salvor.Errorf(salvor.Conflict, "crawl number %d was used before", id)
	}
	t.m.meta.crawl = uint32(id)
	c := newCrawl(own(cmd.Crawl))
	c.ID, c.Version = id, t.nextVersion(0)
	t.m.crawls[id] = c
	t.touchCrawl(c)
	return c.Crawl, nil
}

// own clones what would keep the whole command in memory, and puts the
// defaults where nothing was said.
func own(c api.Crawl) api.Crawl {
	c.Name = strings.Clone(c.Name)
	c.Settings = slices.Clone(c.Settings)
	if c.Ceiling == 0 {
		c.Ceiling = salvor.Unlimited
	}
	if c.Start == 0 {
		c.Start = c.Ceiling
	}
	return c
}

// setCrawl replaces what of a crawl may change.
func (t *tx) setCrawl(cmd *SetCrawl) error {
	c, err := t.crawl(cmd.Crawl.ID)
	if err != nil {
		return err
	}
	n := own(cmd.Crawl)
	n.ID, n.Name, n.HashKey, n.Canon, n.Basis, n.Created = c.ID, c.Name, c.HashKey, c.Canon, c.Basis, c.Created
	switch {
	case n.Version != 0 && n.Version == c.Version && equal(&n, &c.Crawl):
		return nil // said before
	case n.Version != 0 && n.Version != c.Version+1:
		return salvor.Errorf(salvor.Conflict, "crawl %d is at version %d, which %d does not follow", c.ID, c.Version, n.Version).
			WithHint("Read the crawl again and repeat the change.")
	case n.Scope < c.Scope:
		return salvor.Errorf(salvor.Conflict, "crawl %d is at scope version %d, not %d", c.ID, c.Scope, n.Scope).
			WithHint("Read the crawl again and repeat the change.")
	case n.State == salvor.CrawlFinished && c.State != n.State && c.t.Open() > 0:
		return openError(c)
	}
	n.Version = t.nextVersion(c.Version)
	c.Crawl = n
	t.touchCrawl(c)
	return nil
}

// nextVersion is the version after a change. Commands from before there were
// versions leave none, so that their log gives the state it always gave.
func (t *tx) nextVersion(v uint64) uint64 {
	if t.level == 0 {
		return v
	}
	return v + 1
}

// equal compares all but the versions.
func equal(a, b *api.Crawl) bool {
	var x, y writer
	putCrawl(&x, a)
	putCrawl(&y, b)
	return bytes.Equal(x.b, y.b)
}

// adoptCrawl brings this group's copy of a crawl up to a newer version, or makes
// it. What the group itself did to its copy, finishing it or setting it running
// again, has no version and stands until the source changes the crawl.
func (t *tx) adoptCrawl(cmd *AdoptCrawl) error {
	c := t.m.crawls[cmd.Crawl.ID]
	n := own(cmd.Crawl)
	switch {
	case c == nil:
		c = newCrawl(n)
		t.m.crawls[c.ID] = c
		t.m.meta.crawl = max(t.m.meta.crawl, uint32(c.ID))
		t.touchCrawl(c)
		return nil
	case c.HashKey != n.HashKey:
		return salvor.Errorf(salvor.Conflict, "crawl %d is %q here, with another hash key", c.ID, c.Name)
	case n.Version <= c.Version:
		return nil
	case n.State == salvor.CrawlFinished && c.State != n.State && c.t.Open() > 0:
		return openError(c)
	}
	n.Canon, n.Basis, n.Created = c.Canon, c.Basis, c.Created
	c.Crawl = n
	t.touchCrawl(c)
	return nil
}

// outOfTime says that the deadline has passed and nothing is under way: what is
// open stays so, and is reported as out of time (protocol 5).
func (t *tx) outOfTime(c *crawl) bool {
	return c.Deadline > 0 && t.m.meta.clock >= c.Deadline && c.t.Leased == 0
}

func openError(c *crawl) error {
	return salvor.Errorf(salvor.Conflict, "crawl %d has %d open items", c.ID, c.t.Open())
}

// closeCrawl finishes a crawl that has nothing open (protocol 7).
func (t *tx) closeCrawl(id salvor.CrawlID) error {
	c, err := t.crawl(id)
	if err != nil {
		return err
	}
	if c.t.Open() > 0 && !(t.level > 0 && t.outOfTime(c)) {
		return openError(c)
	}
	c.State = salvor.CrawlFinished
	t.touchCrawl(c)
	return nil
}

// setBudget changes a host's budget, or a crawl's default ceiling. A host may
// be told its ceiling before anything of it was offered.
func (t *tx) setBudget(cmd *SetBudget) error {
	if cmd.Host == "" {
		c, err := t.crawl(cmd.Crawl)
		if err != nil {
			return err
		}
		if cmd.Ceiling != nil {
			c.Ceiling = *cmd.Ceiling
			t.touchCrawl(c)
		}
		return nil
	}
	h := t.m.hosts[cmd.Host]
	if h == nil {
		c, err := t.crawl(cmd.Crawl)
		if err != nil {
			return err
		}
		h = t.newHost(cmd.Host, c.Start)
	}
	set(&h.rate, cmd.Rate)
	set(&h.blocked, cmd.Blocked)
	set(&h.ceiling, cmd.Ceiling)
	if cmd.Ceiling != nil {
		h.own = *cmd.Ceiling > 0 // else the crawl's holds again
	}
	if cmd.Note != nil {
		h.note = strings.Clone(*cmd.Note)
	}
	t.touchHost(h)
	if h.group != &h.alone {
		t.touchGroup(h.group)
	}
	return nil
}

func set[T any](dst *T, v *T) {
	if v != nil {
		*dst = *v
	}
}

// openSegment numbers a name; the same name gets the same number.
func (t *tx) openSegment(name string) salvor.SegmentID {
	if id, ok := t.m.segmentOf[name]; ok {
		return id
	}
	s := t.newSegment(salvor.SegmentID(t.m.meta.segment+1), name)
	t.putSegment(s)
	return s.ID
}

func (t *tx) newSegment(id salvor.SegmentID, name string) *api.Segment {
	t.m.meta.segment = max(t.m.meta.segment, uint32(id))
	s := &api.Segment{ID: id, Name: strings.Clone(name)}
	t.m.segments[s.ID] = s
	t.m.segmentOf[s.Name] = s.ID
	return s
}

func (t *tx) putSegment(s *api.Segment) {
	t.w.b = t.w.b[:0]
	t.w.byte(recordVersion)
	putSegment(&t.w, s)
	t.k = key32(t.k[:0], tagSegment, uint32(s.ID))
	t.set(t.k, t.w.b)
}

// setSegment records how far a segment got. It never goes back: a late
// "sealed" must not undo "stored". A stored one may move (protocol 6). One that is
// not known is a worker's who numbered it before the state was lost and brought
// back: it keeps its number, which its captures cite.
func (t *tx) setSegment(n *api.Segment) error {
	s := t.m.segments[n.ID]
	if s == nil && t.level > 0 && n.ID > 0 && n.Name != "" && t.m.segmentOf[n.Name] == 0 {
		s = t.newSegment(n.ID, n.Name)
	}
	if s == nil {
		return salvor.Errorf(salvor.NotFound, "no segment %d", n.ID)
	}
	if n.State < s.State {
		return nil
	}
	if n.Name != "" && n.Name != s.Name {
		return salvor.Errorf(salvor.Conflict, "segment %d is %s, not %s", n.ID, s.Name, n.Name)
	}
	name := s.Name
	*s = *n
	s.Name, s.Object = name, strings.Clone(n.Object)
	t.putSegment(s)
	return nil
}
