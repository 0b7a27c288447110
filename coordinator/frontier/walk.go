package frontier

import (
	"cmp"
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"salvor"
	"salvor/api"
)

// Walk calls f for every item that is in one of the outcomes, none given
// meaning all, by host name, as of one moment. Items not saved are found
// through their index, others by a scan of the hosts that have such items. f
// returning an error ends it.
func (m *Machine) Walk(ctx context.Context, id salvor.CrawlID, outcomes []salvor.Outcome, f func(api.Known) error) error {
	hosts, snap, err := m.walkHosts(id)
	if err != nil {
		return err
	}
	w := walk{ctx: ctx, snap: snap, id: id, f: f}
	for o := range salvor.NumOutcomes {
		w.want[o] = len(outcomes) == 0 || slices.Contains(outcomes, o)
	}
	for _, h := range hosts {
		if err = w.host(h); err != nil {
			break
		}
	}
	if cerr := snap.Close(); err == nil {
		err = cerr
	}
	return err
}

// walkHost is a host as it was when the snapshot was taken.
type walkHost struct {
	num    uint32
	name   string
	totals api.Totals
}

func (m *Machine) walkHosts(id salvor.CrawlID) ([]walkHost, *pebble.Snapshot, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	c, err := m.view(id)
	if err != nil {
		return nil, nil, err
	}
	list := make([]walkHost, 0, len(c.queues))
	for _, q := range c.queues {
		list = append(list, walkHost{q.h.num, q.h.name, q.t})
	}
	slices.SortFunc(list, func(a, b walkHost) int { return cmp.Compare(a.name, b.name) })
	return list, m.db.NewSnapshot(), nil
}

type walk struct {
	ctx  context.Context
	snap *pebble.Snapshot
	id   salvor.CrawlID
	want [salvor.NumOutcomes]bool
	f    func(api.Known) error
}

// host visits one host: through the index if all that is wanted there is in
// it, else by a scan of its items.
func (w *walk) host(h walkHost) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	open := w.want[salvor.Open] && h.totals.Open() > 0
	if open || w.some(h, salvor.Saved) || w.some(h, salvor.Revisit) {
		return w.scan(h)
	}
	for o := salvor.Gone; o < salvor.NumOutcomes; o++ {
		if w.some(h, o) {
			if err := w.index(h, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *walk) some(h walkHost, o salvor.Outcome) bool { return w.want[o] && h.totals.Outcomes[o] > 0 }

func (w *walk) index(h walkHost, o salvor.Outcome) error {
	return w.each(keyUnsavedHost(nil, w.id, o, h.num), func(k, _ []byte) error {
		_, id := parseUnsaved(k)
		it, err := readItem(w.snap, id)
		if err != nil || it == nil {
			return err
		}
		return w.f(it.known(id, h.name))
	})
}

func (w *walk) scan(h walkHost) error {
	return w.each(keyQueue(nil, tagItem, w.id, h.num), func(k, v []byte) error {
		var head head
		r := reader{s: view(v)}
		decodeHead(&r, &head)
		if r.bad {
			return salvor.Errorf(salvor.Internal, "read state: malformed item")
		}
		if !w.want[head.outcome] {
			return nil
		}
		it, ok := decodeItem(string(v))
		id, ok2 := parseItem(k)
		if !ok || !ok2 {
			return salvor.Errorf(salvor.Internal, "read state: malformed item")
		}
		return w.f(it.known(id, h.name))
	})
}

func (w *walk) each(prefix []byte, f func(k, v []byte) error) error {
	var failed error
	n := 0
	err := scan(w.snap, prefix, nil, func(k, v []byte) bool {
		if n++; n%1024 == 0 {
			failed = w.ctx.Err()
		}
		if failed == nil {
			failed = f(k, v)
		}
		return failed == nil
	})
	if failed != nil {
		return failed
	}
	return err
}
