package route

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
	"salvor/api/merge"
)

// keeper is a group as far as merged hosts go.
type keeper struct {
	api.Group
	rows    []api.Record
	crawls  []api.Crawl
	version uint64
	merged  []api.HostGroup
	err     error
	race    func() // before the next change
}

func (k *keeper) Crawls(context.Context) ([]api.Crawl, error) { return k.crawls, k.err }
func (k *keeper) Records(context.Context, string) ([]api.Record, error) {
	return slices.Clone(k.rows), k.err
}
func (k *keeper) HostGroups(context.Context) ([]api.HostGroup, error) { return k.merged, k.err }
func (k *keeper) MergeHosts(context.Context, api.HostGroup) error     { panic("the steward's") }
func (k *keeper) SetShare(context.Context, string, salvor.Pace) error { panic("the steward's") }
func (k *keeper) SetLimits(context.Context, api.GroupLimits) error    { panic("the steward's") }

func (k *keeper) SetRecord(_ context.Context, r api.Record) (uint64, error) {
	if f := k.race; f != nil {
		k.race = nil
		f()
	}
	i := slices.IndexFunc(k.rows, func(x api.Record) bool { return x.Key == r.Key })
	old := uint64(0)
	if i >= 0 {
		old = k.rows[i].Version
	}
	if old != r.Version {
		return 0, salvor.Errorf(salvor.Conflict, "another version")
	}
	if i >= 0 {
		k.rows = slices.Delete(k.rows, i, i+1)
	}
	if len(r.Value) == 0 {
		return 0, nil
	}
	k.version++
	r.Version = k.version
	k.rows = append(k.rows, r)
	return r.Version, nil
}

func TestMergeHosts(t *testing.T) {
	a, b := &keeper{crawls: []api.Crawl{{ID: 1}}}, &keeper{}
	r, ctx := New([]api.Group{a, b}), t.Context()
	hosts := []string{"h3.example", "h0.example", "h1.example"}
	one, changed, err := r.MergeHosts(ctx, merge.Group{Name: "cdn", Hosts: hosts, Ceiling: 5000, Made: 7})
	if err != nil || !changed || one.Hosts[0] != "h0.example" || hosts[0] != "h3.example" {
		t.Fatal(one, changed, err)
	}
	// Again is no change, and the ceiling stays where none is named.
	one, changed, err = r.MergeHosts(ctx, merge.Group{Name: "cdn", Hosts: hosts, Made: 9})
	if err != nil || changed || one.Ceiling != 5000 || one.Made != 7 {
		t.Error(one, changed, err)
	}
	if _, _, err := r.MergeHosts(ctx, merge.Group{Name: "x", Hosts: []string{"h1.example", "other"}}); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("a host in two groups: %v", err)
	}
	// Somebody else is faster: the change is made in the place of theirs.
	a.race = func() {
		if _, _, err := r.MergeHosts(ctx, merge.Group{Name: "cdn", Hosts: hosts[:2], Ceiling: 4000}); err != nil {
			t.Error(err)
		}
	}
	if one, changed, err = r.MergeHosts(ctx, merge.Group{Name: "cdn", Hosts: append(hosts, "h2.example")}); err != nil || !changed || one.Ceiling != 4000 || len(one.Hosts) != 4 {
		t.Error(one, changed, err)
	}
	must := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	must(r.SplitHosts(ctx, "cdn"))
	if err := r.SplitHosts(ctx, "cdn"); salvor.ClassOf(err) != salvor.NotFound || len(a.rows) != 0 {
		t.Errorf("%v, %v", err, a.rows)
	}
	a.crawls = nil
	if _, _, err := r.MergeHosts(ctx, merge.Group{Name: "cdn", Hosts: hosts}); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("without a crawl: %v", err)
	}
}

// TestHostGroupsTellWhatIsLacking in each Raft group.
func TestHostGroupsTellWhatIsLacking(t *testing.T) {
	a, b := &keeper{crawls: []api.Crawl{{ID: 1}}}, &keeper{}
	r, ctx := New([]api.Group{a, b}), t.Context()
	in := func(g int) string { return hostOfGroup(g, 2, 0) }
	if _, _, err := r.MergeHosts(ctx, merge.Group{Name: "cdn", Hosts: []string{in(0), in(1)}}); err != nil {
		t.Fatal(err)
	}
	lacks := func(want ...string) {
		t.Helper()
		list, err := r.HostGroups(ctx)
		var got []string
		for _, m := range list {
			got = append(got, m.Name+": "+m.Lacks())
		}
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Error(err, d)
		}
	}
	b.merged = []api.HostGroup{{Name: "old", Hosts: []string{"x"}}}
	lacks("cdn: group 0 (it is not merged there yet), group 1 (it is not merged there yet)", "old: group 1 (it is still merged there)")
	a.merged = []api.HostGroup{{Name: "cdn", Hosts: []string{in(0)}}}
	b.merged = []api.HostGroup{{Name: "cdn", Hosts: []string{"x", in(1)}}}
	lacks("cdn: group 1 (it has other hosts there yet)")
	b.merged[0].Hosts = b.merged[0].Hosts[1:]
	lacks("cdn: ")
	b.err = salvor.Errorf(salvor.Unavailable, "away")
	lacks("cdn: group 1 (away)")
	b.err = errors.New("a bug")
	if _, err := r.HostGroups(ctx); !errors.Is(err, b.err) {
		t.Error(err)
	}
}
