package frontier

import (
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
)

// checkRobotsFirst: whatever is granted, the robots.txt of its origin is known
// and has an outcome, or was captured, unless it is a robots.txt itself (protocol 4).
func checkRobotsFirst(t *testing.T, m *model, result any) {
	leases, _ := result.([]api.Lease)
	for _, l := range leases {
		if uint64(l.ID>>16) != m.index {
			continue // granted before, and said again
		}
		for _, x := range l.Items {
			it := m.items[m.robotsOf(x.Crawl, &mItem{Known: api.Known{Item: x}})]
			if x.Band != salvor.BandRobots && (it == nil || it.State != api.StateSettled && !it.answered()) {
				t.Errorf("%s was granted, of its robots.txt is known %+v", x.URL, it)
			}
		}
	}
}

// compare looks every item and every total up.
func compare(t *testing.T, m *Machine, want *model) {
	for id, c := range want.crawls {
		got, err := m.Totals(id)
		if w := want.totals(id); err != nil || got != w {
			t.Errorf("totals of %d: %v %s", id, err, cmp.Diff(w, got))
		}
		if gc, _ := m.Crawl(id); !cmp.Equal(gc, *c) {
			t.Errorf("crawl %d: %s", id, cmp.Diff(*c, gc))
		}
	}
	compareRecords(t, m, want)
	for h := range want.budgets {
		checkBudget(t, m, want, h)
	}
	for k, it := range want.items {
		got, err := m.Lookup(k.crawl, k.host, k.key)
		if err != nil {
			t.Fatal(err)
		}
		w := it.Known
		if w.Outcome.HasCapture() {
			w.URL, w.Via, w.Origin, w.Hop.Path = "", "", "", ""
		}
		if it.State == api.StateSettled {
			w.Reason, w.Status, w.Place, w.Digest, w.At = it.ans.reason, it.ans.status, it.ans.place, it.ans.digest, it.ans.at
		} else {
			got.Reason, got.Status, got.At = "", 0, 0
		}
		if !reflect.DeepEqual(got, w) {
			t.Errorf("item %v: %s", k, cmp.Diff(w, got))
		}
	}
}

func checkBudget(t *testing.T, m *Machine, want *model, h string) {
	for id, c := range want.crawls {
		got, err := m.Host(id, h)
		if err != nil {
			continue // nobody offered it there
		}
		b := want.purse(h)
		w := api.Host{Name: h, Totals: got.Totals, Rate: b.rate, Ceiling: c.Ceiling, Blocked: b.blocked, Note: got.Note, Group: want.merged[h]}
		if b.own {
			w.Ceiling = b.ceiling
		}
		for _, l := range want.leases {
			if want.purse(l.host) == b && l.pace < salvor.Unlimited {
				w.Booked += l.pace
			}
		}
		w.Bands = want.bands(id, h)
		if !cmp.Equal(got, w) {
			t.Errorf("host of crawl %d: %s", id, cmp.Diff(w, got))
		}
	}
}

func compareRecords(t *testing.T, m *Machine, want *model) {
	list, err := m.Records("nodes")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]api.Record{}
	for _, x := range list {
		got[x.Key] = x
	}
	if !cmp.Equal(got, want.records) {
		t.Errorf("records: %s", cmp.Diff(want.records, got))
	}
	for _, s := range m.Sessions() {
		if x := want.sessions[s.ID]; x == nil || x.n != s.Answers || len(want.leasesOf(s.ID)) != s.Leases {
			t.Errorf("session %+v, want %+v", s, x)
		}
	}
}
