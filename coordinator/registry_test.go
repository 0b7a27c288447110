package coordinator

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
)

func TestRegistry(t *testing.T) {
	dir := t.TempDir()
	n := startNode(t, dir)
	set := func(r api.Record) uint64 {
		t.Helper()
		v, err := n.SetRecord(t.Context(), r)
		must(t, err)
		return v
	}
	r := api.Record{Table: api.TableNodes, Key: "b", Value: []byte("one")}
	r.Version = set(r)
	if _, err := n.SetRecord(t.Context(), api.Record{Table: r.Table, Key: r.Key, Value: []byte("two")}); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("a record was made twice: %v", err)
	}
	first := r.Version
	r.Value = []byte("two")
	if r.Version = set(r); r.Version <= first {
		t.Errorf("version %d follows %d", r.Version, first)
	}
	a := api.Record{Table: api.TableNodes, Key: "a", Value: make([]byte, api.MaxRecord)}
	a.Version = set(a)
	set(api.Record{Table: api.TableKeys, Key: "k", Value: []byte("x")})
	n = restart(t, n, dir)
	got, err := n.Records(t.Context(), api.TableNodes)
	must(t, err)
	if diff := cmp.Diff([]api.Record{a, r}, got); diff != "" {
		t.Error(diff)
	}
	a.Value = nil
	if v := set(a); v != 0 {
		t.Errorf("a removed record has version %d", v)
	}
	if got, _ := n.Records(t.Context(), api.TableNodes); len(got) != 1 {
		t.Errorf("after a removal: %v", got)
	}
	for _, x := range []api.Record{
		{Key: "k"}, {Table: "t"}, {Table: strings.Repeat("t", 33), Key: "k"}, {Table: "t", Key: strings.Repeat("k", 256)},
		{Table: "t", Key: "k", Value: make([]byte, api.MaxRecord+1)},
	} {
		if _, err := n.SetRecord(t.Context(), x); salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("table %q, key of %d bytes, value of %d: %v", x.Table, len(x.Key), len(x.Value), err)
		}
	}
	if _, err := n.Records(t.Context(), ""); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("no table: %v", err)
	}
}

// Of many that change a record at once, each change is made on top of the last.
func TestRegistryLosesNoUpdate(t *testing.T) {
	n := startNode(t, t.TempDir())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for done := 0; done < 25; {
				list, err := n.Records(t.Context(), "counter")
				if err != nil {
					t.Error(err)
					return
				}
				r := api.Record{Table: "counter", Key: "n"}
				if len(list) > 0 {
					r = list[0]
				}
				r.Value = []byte(fmt.Sprint(len(r.Value)) + string(r.Value))[:len(r.Value)+1]
				switch _, err := n.SetRecord(t.Context(), r); {
				case err == nil:
					done++
				case salvor.ClassOf(err) != salvor.Conflict:
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if list, err := n.Records(t.Context(), "counter"); err != nil || len(list[0].Value) != 100 {
		t.Errorf("%v, %v", list, err)
	}
}
