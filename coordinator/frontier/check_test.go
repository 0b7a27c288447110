package frontier

import (
	"bytes"
	"fmt"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
)

// dump is every key and value of the state.
func dump(t testing.TB, m *Machine) map[string]string {
	t.Helper()
	out := map[string]string{}
	it, err := m.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		out[string(it.Key())] = string(it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// sameState fails unless two machines hold the same bytes.
func sameState(t testing.TB, a, b map[string]string) {
	t.Helper()
	n := 0
	for k, v := range a {
		if w, ok := b[k]; (!ok || w != v) && n < 10 {
			n++
			t.Errorf("key %q: %x in one, %x (%v) in the other", k, v, w, ok)
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok && n < 10 {
			n++
			t.Errorf("key %q only in the other", k)
		}
	}
}

// audit recomputes by a scan what the machine keeps by counting.
type audit struct {
	t       testing.TB
	m       *Machine
	totals  map[*queue]*api.Totals
	robots  map[*queue]int64
	lanes   map[string]int64
	stats   map[salvor.CrawlID]map[statKey]api.Count
	indexed map[string]bool // keys of q, r and n that must be there, and no other
	leased  map[salvor.LeaseID]int
}

// checkState fails where counters, indexes, lanes or leases disagree with the
// items: above all Accepted = Queued + Waiting + Leased + sum(Outcomes).
func checkState(t testing.TB, m *Machine) {
	t.Helper()
	a := &audit{
		t: t, m: m, totals: map[*queue]*api.Totals{}, robots: map[*queue]int64{}, lanes: map[string]int64{},
		stats: map[salvor.CrawlID]map[statKey]api.Count{}, indexed: map[string]bool{}, leased: map[salvor.LeaseID]int{},
	}
	if err := scan(m.db, []byte{tagItem}, nil, a.item); err != nil {
		t.Fatal(err)
	}
	a.checkQueues()
	a.checkIndexes()
	a.checkLeases()
	a.checkStats()
}

func (a *audit) item(k, v []byte) bool {
	id, ok := parseItem(k)
	it, ok2 := decodeItem(string(v))
	if !ok || !ok2 {
		a.t.Fatalf("malformed item %x", k)
	}
	q := a.m.crawls[id.crawl].queues[id.host]
	n := a.totals[q]
	if n == nil {
		n = new(api.Totals)
		a.totals[q] = n
	}
	n.Accepted++
	switch it.state {
	case api.StateQueued:
		n.Queued++
		key := keyQueued(nil, id.crawl, id.host, it.band, it.front, it.seq)
		a.indexed[string(key)] = true
		a.lanes[string(key[:len(key)-8])]++
	case api.StateWaiting:
		n.Waiting++
		a.indexed[string(keyWaiting(nil, it.due, id))] = true
	case api.StateLeased:
		n.Leased++
		a.leased[it.lease]++
		if l := a.m.leases[it.lease]; l == nil || !bytes.Contains(keysOf(l), id.key[:]) {
			a.t.Errorf("item %v is leased by %d, which does not have it", id, it.lease)
		}
	case api.StateSettled:
		n.Outcomes[it.outcome]++
		if !it.outcome.HasCapture() {
			a.indexed[string(keyUnsaved(nil, it.outcome, id))] = true
		} else if it.url != "" {
			a.t.Errorf("saved item %v has its URL", id)
		}
		a.stat(id.crawl, it)
	}
	if it.open() && it.band == salvor.BandRobots {
		a.robots[q]++
	}
	if _, known := a.m.origins[originKey{q, it.origin}]; it.open() && !known {
		a.t.Errorf("open item %v of %s, whose robots.txt is not known", id, it.origin)
	}
	if it.class == salvor.ClassRobots && it.band != salvor.BandRobots && !it.answered() {
		a.t.Errorf("robots item %v has band %x", id, it.band)
	}
	if it.open() && it.url == "" {
		a.t.Errorf("open item %v has no URL", id)
	}
	return true
}

func keysOf(l *lease) (b []byte) {
	for _, k := range l.items {
		b = append(b, k[:]...)
	}
	return b
}

func (a *audit) stat(c salvor.CrawlID, it *item) {
	if a.stats[c] == nil {
		a.stats[c] = map[statKey]api.Count{}
	}
	add := func(k statKey) {
		n := a.stats[c][k]
		a.stats[c][k] = api.Count{URLs: n.URLs + 1, Bytes: n.Bytes + it.ans.bytes}
	}
	if it.ans.status != 0 {
		add(statKey{kind: statCode, code: it.ans.status})
	}
	if it.ans.typ != "" || it.ans.place != (salvor.Place{}) {
		add(statKey{kind: statType, text: it.ans.typ})
	}
	if it.ans.reason != "" || !it.outcome.HasCapture() {
		add(statKey{kind: statReason, outcome: it.outcome, text: it.ans.reason})
	}
}

func (a *audit) checkQueues() {
	for _, c := range a.m.crawls {
		sum := api.Totals{}
		for _, q := range c.queues {
			want := a.totals[q]
			if want == nil {
				want = new(api.Totals)
			}
			got := q.t
			add(&sum, &got)
			got.Bytes, got.Captures, got.Late, got.Dups = 0, 0, 0, 0
			if got != *want {
				a.t.Errorf("host %s of crawl %d: counted %+v, there are %+v", q.h.name, c.ID, got, *want)
			}
			if q.robots != a.robots[q] {
				a.t.Errorf("host %s: %d robots items counted, %d there", q.h.name, q.robots, a.robots[q])
			}
			if (q.ready >= 0) != (q.t.Queued > 0) || q.ready >= 0 && q.c.ready[q.ready] != q {
				a.t.Errorf("host %s: place %d in the ready list with %d queued", q.h.name, q.ready, q.t.Queued)
			}
			a.checkLanes(q)
		}
		if sum != c.t {
			a.t.Errorf("crawl %d: counted %+v, its hosts sum up to %+v", c.ID, c.t, sum)
		}
	}
}

func add(sum, t *api.Totals) {
	sum.Accepted += t.Accepted
	sum.Queued += t.Queued
	sum.Waiting += t.Waiting
	sum.Leased += t.Leased
	sum.Bytes += t.Bytes
	sum.Captures += t.Captures
	sum.Late += t.Late
	sum.Dups += t.Dups
	for i := range sum.Outcomes {
		sum.Outcomes[i] += t.Outcomes[i]
	}
}

func (a *audit) checkLanes(q *queue) {
	for i := range q.lanes {
		l := &q.lanes[i]
		prefix := keyLane(nil, q.c.ID, q.h.num, l.band, l.front)
		if n := a.lanes[string(prefix)]; n != l.count {
			a.t.Errorf("host %s lane %x/%d: %d counted, %d there", q.h.name, l.band, l.front, l.count, n)
		}
		err := scan(a.m.db, prefix, nil, func(k, _ []byte) bool {
			if seqOf(k) < l.cursor {
				a.t.Errorf("host %s lane %x/%d: %d lies before the cursor %d", q.h.name, l.band, l.front, seqOf(k), l.cursor)
			}
			return true
		})
		if err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *audit) checkIndexes() {
	found := map[string]bool{}
	for _, tag := range []byte{tagQueued, tagWaiting, tagUnsaved} {
		err := scan(a.m.db, []byte{tag}, nil, func(k, _ []byte) bool { found[string(k)] = true; return true })
		if err != nil {
			a.t.Fatal(err)
		}
	}
	if !maps.Equal(found, a.indexed) {
		a.t.Errorf("index entries differ from the items: %s", cmp.Diff(a.indexed, found))
	}
	for k := range found {
		if k[0] == tagWaiting {
			if due, _ := parseWaiting([]byte(k)); due < a.m.due || due < a.m.meta.low {
				a.t.Errorf("an item waits until %d, before %d and %d", due, a.m.due, a.m.meta.low)
			}
		}
	}
}

func bookedText(g *group) string {
	if g == nil {
		g = &group{}
	}
	return fmt.Sprint(g.booked, g.paced, g.unlimited)
}

func (a *audit) checkLeases() {
	booked := map[*group]*group{}
	for _, l := range a.m.leases {
		if booked[l.q.h.group] == nil {
			booked[l.q.h.group] = &group{}
		}
		booked[l.q.h.group].book(l.pace)
	}
	for _, h := range a.m.hosts {
		want := bookedText(booked[h.group])
		if got := bookedText(h.group); got != want {
			a.t.Errorf("host %s: booked %s, leases sum up to %s", h.name, got, want)
		}
		if h.group != &h.alone && (a.m.groups[h.group.name] != h.group || bookedText(&h.alone) != bookedText(nil)) {
			a.t.Errorf("host %s is in group %q and has %s booked alone", h.name, h.group.name, bookedText(&h.alone))
		}
	}
	for id, s := range a.m.sessions {
		n := 0
		for _, l := range s.leases {
			if l.pace > 0 {
				n++
			}
		}
		if s.paced != n {
			a.t.Errorf("session %d: %d leases with a pace counted, %d there", id, s.paced, n)
		}
	}
	for id, l := range a.m.leases {
		if a.leased[id] != len(l.items) || len(l.items) == 0 {
			a.t.Errorf("lease %d lists %d items, %d name it", id, len(l.items), a.leased[id])
		}
	}
	n := 0
	err := scan(a.m.db, []byte{tagLease}, nil, func(_, _ []byte) bool { n++; return true })
	if err != nil || n != len(a.m.leases) {
		a.t.Errorf("%d leases stored, %d known, %v", n, len(a.m.leases), err)
	}
}

func (a *audit) checkStats() {
	for id, c := range a.m.crawls {
		for k, n := range c.stats {
			if want := a.stats[id][k]; want != *n {
				a.t.Errorf("crawl %d counter %+v: %+v, there are %+v", id, k, *n, want)
			}
		}
		for k := range a.stats[id] {
			if c.stats[k] == nil {
				a.t.Errorf("crawl %d: no counter %+v", id, k)
			}
		}
	}
}
