package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

type registry struct {
	rows map[string]api.Record
	race func()
}

func (r *registry) Records(context.Context, string) (out []api.Record, _ error) {
	for _, x := range r.rows {
		out = append(out, x)
	}
	return out, nil
}

func (r *registry) SetRecord(_ context.Context, x api.Record) (uint64, error) {
	if f := r.race; f != nil {
		r.race = nil
		f()
	}
	if len(x.Value) > api.MaxRecord {
		return 0, salvor.Errorf(salvor.Invalid, "%d bytes", len(x.Value))
	}
	if r.rows[x.Key].Version != x.Version {
		return 0, salvor.Errorf(salvor.Conflict, "another version")
	}
	if len(x.Value) == 0 {
		delete(r.rows, x.Key)
		return 0, nil
	}
	x.Version++
	r.rows[x.Key] = x
	return x.Version, nil
}

func entry(i int) Entry {
	return Entry{At: time.Unix(int64(i), 0).UTC(), By: "key k1 (Ada)", What: "deadline.set", Subject: fmt.Sprintf("s%d.example", i%3), Note: fmt.Sprint(i)}
}

// TestEveryLineOnce: lines stay in their order, over pages, while another node
// writes too.
func TestEveryLineOnce(t *testing.T) {
	r := &registry{rows: map[string]api.Record{}}
	a, b := New(r, nil), New(r, nil)
	const n = 3000
	for i := range n {
		if i%100 == 50 {
			r.race = func() {
				if err := b.Append(t.Context(), Entry{By: "other", What: "crawl.paused", Subject: "c"}); err != nil {
					t.Error(err)
				}
			}
		}
		if err := a.Append(t.Context(), entry(i)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := a.Read(t.Context(), "", 2*n)
	if err != nil || len(all) != n+n/100 || len(r.rows) < 5 {
		t.Fatalf("%d lines on %d pages, %v", len(all), len(r.rows), err)
	}
	next := 0
	for _, e := range all {
		if e.By == "other" {
			continue
		}
		if e.Note != fmt.Sprint(next) {
			t.Fatalf("line %s where %d is next", e.Note, next)
		}
		next++
	}
	some, err := a.Read(t.Context(), "s1.example", 5)
	if err != nil || len(some) != 5 || some[4].Note != "2998" || some[0].Subject != "s1.example" {
		t.Errorf("the newest of a site: %+v, %v", some, err)
	}
}

// TestPagesMove: the oldest pages go to the Store, once they are there.
func TestPagesMove(t *testing.T) {
	r := &registry{rows: map[string]api.Record{}}
	kept, away := map[string]string{}, true
	l := New(r, func(_ context.Context, name string, lines []byte) error {
		if away {
			return salvor.Errorf(salvor.Unavailable, "away")
		}
		kept[name] = string(lines)
		return nil
	})
	big, _ := json.Marshal(strings.Repeat("x", 7000))
	for i := range 400 {
		e := entry(i)
		e.Change = big
		if err := l.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if away = i < 300; away && len(kept) > 0 {
			t.Fatal("a page was kept while the Store was away")
		}
	}
	if len(r.rows) > maxPages+1 || len(kept) == 0 {
		t.Errorf("%d pages are in the registry, %d in the Store", len(r.rows), len(kept))
	}
	lines := 0
	for _, p := range kept {
		lines += strings.Count(p, "\n")
	}
	for _, p := range r.rows {
		lines += strings.Count(string(p.Value), "\n")
	}
	if lines != 400 {
		t.Errorf("%d lines of 400", lines)
	}
}

// TestLongChange: what is too long for a page is not lost without a word.
func TestLongChange(t *testing.T) {
	r := &registry{rows: map[string]api.Record{}}
	l := New(r, nil)
	e := entry(1)
	e.Change, _ = json.Marshal(strings.Repeat("x", 60_000))
	if err := l.Append(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	all, err := l.Read(t.Context(), "", 1)
	if err != nil || !strings.Contains(string(all[0].Change), "too long") {
		t.Errorf("%+v, %v", all, err)
	}
}
