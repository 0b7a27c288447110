package frontier

import (
	"fmt"
	"unsafe"

	"salvor"
)

// meta is the state's own record.
type meta struct {
	applied uint64
	clock   int64 // the group clock: the latest time any command carried
	low     int64 // no waiting item is due before it
	host    uint32
	segment uint32
	crawl   uint32
	level   uint16 // the highest that any command applied had; 0 none had one
}

// leveledMeta is the version of the record in a state whose commands had
// feature levels. Other records of such a state may be of a form that a program
// without levels cannot read; this one tells it so.
const leveledMeta = 2

func (m *meta) encode(w *writer) {
	if m.level == 0 {
		w.byte(recordVersion)
	} else {
		w.byte(leveledMeta)
	}
	w.uint(m.applied)
	w.int(m.clock)
	w.int(m.low)
	w.uint(uint64(m.host))
	w.uint(uint64(m.segment))
	w.uint(uint64(m.crawl))
	if m.level != 0 {
		w.uint(uint64(m.level))
	}
}

func (m *meta) decode(s string) bool {
	r := reader{s: s}
	version := r.byte()
	if version != recordVersion && version != leveledMeta {
		r.fail()
	}
	m.applied = r.uint()
	m.clock = r.int()
	m.low = r.int()
	m.host = uint32(r.uint())
	m.segment = uint32(r.uint())
	m.crawl = uint32(r.uint())
	if version == leveledMeta {
		m.level = uint16(r.small(1<<16 - 1))
	}
	return r.end()
}

// view is b as a string, for as long as b does not change.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Apply applies one committed command.
func (m *Machine) Apply(index uint64, env Envelope) (any, error) {
	out := m.applyAll(1, func(int) (uint64, Envelope, error) { return index, env, nil })
	return out[0].Result, out[0].Err
}

// ApplyBatch applies committed entries in order. Entries at or below the
// applied index are skipped: their Outcome is empty.
func (m *Machine) ApplyBatch(entries []Entry) []Outcome {
	return m.applyAll(len(entries), func(i int) (uint64, Envelope, error) {
		e := entries[i]
		if e.Index <= m.meta.applied {
			return e.Index, Envelope{}, nil
		}
		env, err := Decode(e.Data)
		return e.Index, env, err
	})
}

func (m *Machine) applyAll(n int, entry func(int) (uint64, Envelope, error)) []Outcome {
	out := make([]Outcome, n)
	for i := 0; i < n; {
		i = m.applySome(out, i, entry)
	}
	return out
}

// applySome applies entries from i on in one Pebble batch, under one hold of
// the lock, and returns where the next batch begins.
func (m *Machine) applySome(out []Outcome, i int, entry func(int) (uint64, Envelope, error)) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trim()
	t := m.begin()
	first := i
	for ; i < len(out) && !t.full() && m.halted == nil && t.err == nil; i++ {
		index, env, err := entry(i)
		if err == nil {
			err = m.admit(&env)
		}
		if err != nil {
			m.halted = fmt.Errorf("apply entry %d: %w", index, err)
			break
		}
		if index <= max(m.meta.applied, t.index) {
			continue
		}
		if _, ok := env.Command.(*Reopen); ok && t.index != 0 {
			break // it reads an index that must hold all that went before
		}
		t.index = index
		out[i].Result, out[i].Err = t.apply(&env)
	}
	m.finish(t)
	if m.halted == nil {
		return i
	}
	for j := first; j < len(out); j++ {
		if j >= i || t.err != nil {
			out[j] = Outcome{Err: m.halted, Fatal: true}
		}
	}
	return len(out)
}

// finish commits what there is. An error of storage leaves memory ahead of the
// disk, so the machine takes nothing more: it must be opened again.
func (m *Machine) finish(t *tx) {
	if t.index == 0 {
		return
	}
	if t.err == nil {
		b := m.db.NewBatchWithSize(len(t.data) + 16*len(t.ops))
		t.err = t.commit(b)
		t.fail(b.Close())
	}
	if t.err != nil {
		m.halted = fmt.Errorf("apply entry %d: %w", t.index, t.err)
		return
	}
	m.applied.Store(m.meta.applied)
}

// apply applies one entry. An error means it was refused and changed nothing
// but the clock.
func (t *tx) apply(env *Envelope) (any, error) {
	m := &t.m.meta
	m.clock = max(m.clock, env.Now)
	m.level = max(m.level, env.Level)
	t.level = env.Level
	t.release()
	s := t.m.sessions[env.Session]
	if s != nil && env.Request != 0 {
		if slot, ok := s.answers[env.Request]; ok {
			return t.recall(s.ring[slot].data)
		}
	}
	if err := Validate(env.Command); err != nil {
		return nil, err
	}
	result, err := t.run(env)
	if err == nil && s != nil && env.Request != 0 && t.m.sessions[s.id] == s {
		t.remember(s, env.Request, result)
	}
	return result, err
}

func (t *tx) run(env *Envelope) (any, error) {
	switch c := env.Command.(type) {
	case *CreateCrawl:
		return t.createCrawl(c)
	case *SetCrawl:
		return nil, t.setCrawl(c)
	case *Register:
		return nil, t.register(c)
	case *End:
		t.end(t.m.sessions[c.Session])
		return nil, nil
	case *Discover:
		return t.discover(&c.Discovery)
	case *Grant:
		return t.grant(c)
	case *Extend:
		return t.extend(c)
	case *Expire:
		t.expire(c)
		return nil, nil
	case *Settle:
		return t.settle(env.Session, &c.Settlement)
	case *SetBudget:
		return nil, t.setBudget(c)
	case *OpenSegment:
		return t.openSegment(c.Name), nil
	case *SetSegment:
		return nil, t.setSegment(&c.Segment)
	case *Reopen:
		return t.reopen(c)
	case *Exclude:
		return t.exclude(c)
	case *Close:
		return nil, t.closeCrawl(c.Crawl)
	case *Tick:
		return nil, nil
	case *SetRecord:
		return t.setRecord(&c.Record)
	case *AdoptCrawl:
		return nil, t.adoptCrawl(c)
	case *EndIdle:
		t.endIdle(c)
		return nil, nil
	case *SetGroup:
		return nil, t.setGroup(c)
	case *SetShare:
		return nil, t.setShare(c)
	case *Rank:
		return t.rank(c)
	}
	return nil, salvor.Errorf(salvor.TooNew, "apply command: unknown type %T", env.Command)
}

// admit refuses what needs a newer feature level than this node runs at. It must
// stop, and never skip a command that the others apply (protocol 9).
func (m *Machine) admit(env *Envelope) error {
	if env.Command == nil {
		return nil // applied before
	}
	if need := max(env.Level, LevelOf(env.Command)); need > m.level {
		return salvor.Errorf(salvor.TooNew, "command %s needs feature level %d, this node runs at %d", name(env.Command), need, m.level).
			WithHint(newerHint)
	}
	return nil
}

// crawl is a crawl that commands may change.
func (t *tx) crawl(id salvor.CrawlID) (*crawl, error) {
	c := t.m.crawls[id]
	if c == nil {
		return nil, salvor.Errorf(salvor.NotFound, "no crawl %d", id)
	}
	if c.State >= salvor.CrawlDeleting {
		return nil, salvor.Errorf(salvor.NotFound, "crawl %d was deleted", id)
	}
	return c, nil
}

// queue is a host's queue in a crawl; nil if nothing was ever offered there.
func (t *tx) queue(c *crawl, name string) *queue {
	h := t.m.hosts[name]
	if h == nil {
		return nil
	}
	return c.queues[h.num]
}
