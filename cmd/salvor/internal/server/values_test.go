package server

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/coordinator/audit"
	"salvor/coordinator/pilot"
	"salvor/coordinator/trust"
	"salvor/crawler/scope"
)

// pages is a registry of which only the audit log is there.
type pages map[string]api.Record

func (p pages) Records(_ context.Context, table string) (out []api.Record, err error) {
	for _, r := range p {
		if r.Table == table {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b api.Record) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

func (p pages) SetRecord(_ context.Context, r api.Record) (uint64, error) {
	r.Version = p[r.Key].Version + 1
	p[r.Key] = r
	return r.Version, nil
}

func crawlWith(t *testing.T, version uint64, rules ...string) api.Crawl {
	t.Helper()
	x, err := outfit.NewSpec(job.Settings{Name: "forum", Scope: "host", MaxRate: 5}, []string{"http://a.test/"})
	if err != nil {
		t.Fatal(err)
	}
	if rules != nil {
		x.Values = &outfit.Values{}
		for _, r := range rules {
			x.Values.Rules = append(x.Values.Rules, scope.ValueRule{Text: r})
		}
	}
	c := api.Crawl{ID: 1, Name: "forum", Version: version}
	if c.Settings, err = x.Encode(); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestValuesAreInTheAuditLog: who gave a crawl other value rules, and nothing else
// that is done to it.
func TestValuesAreInTheAuditLog(t *testing.T) {
	n := &node{audit: audit.New(pages{}, nil), log: slog.New(slog.DiscardHandler)}
	ada := trust.Caller{Key: &trust.Key{ID: "k7", Name: "Ada"}}
	before, after := crawlWith(t, 1), crawlWith(t, 2, "/t0/ 10")
	if what, _ := changeOf(after, after); what != "crawl.changed" {
		t.Errorf("another change is %s", what)
	}
	what, change := changeOf(before, after)
	n.note(trust.WithCaller(t.Context(), ada), what, after.Name, change)
	n.note(trust.WithCaller(t.Context(), trust.Caller{Node: &trust.Peer{}}), what, after.Name, change)
	lines, err := n.audit.Read(t.Context(), "", 10)
	if err != nil || len(lines) != 1 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	l := lines[0]
	if l.What != "crawl.value" || l.Subject != "forum" || l.By != "key k7 (Ada)" || !strings.Contains(string(l.Change), "/t0/ 10") {
		t.Errorf("%+v", l)
	}
}

// TestWorths: the planner counts by the rules of a crawl, by newer ones as soon as
// they are there, and as usual where there are none.
func TestWorths(t *testing.T) {
	w := worths{}
	page := salvor.BandPage
	usual := w.of(crawlWith(t, 1))
	if got, want := usual.Band(page+8), pilot.DefaultValues.Band(page+8); got != want || usual.Rules != nil || len(usual.First) != 2 {
		t.Errorf("without rules a page 9 links away is worth %g, want %g; first %v", got, want, usual.First)
	}
	c := crawlWith(t, 2, "/t0/ 10", "first 20 2")
	u := scope.Rules{Kind: "any", Value: scope.ValueRules{Rules: []scope.ValueRule{{Text: "/t0/ 10"}}}}
	s, err := scope.Compile(u)
	if err != nil {
		t.Fatal(err)
	}
	band := s.Rank(salvor.Item{URL: "http://a.test/t0/", Class: salvor.ClassPage}).Band
	v := w.of(c)
	if v.Band(band) != 10 || len(v.Rules(band)) != 1 || len(v.First) != 1 || v.First[0] != (pilot.First{Pages: 20, Times: 2}) {
		t.Errorf("band %#x is worth %g by %v, first %v", uint8(band), v.Band(band), v.Rules(band), v.First)
	}
	if again := w.of(c); again.Band(band) != 10 {
		t.Error("the second time it is another")
	}
	if only := w.of(crawlWith(t, 3, "first 1 1")); only.Band(page+8) != usual.Band(page+8) || len(only.First) != 1 {
		t.Errorf("with first pages only: %g, %v", only.Band(page+8), only.First)
	}
	c.Settings, c.Version = []byte("x"), 4
	if bad := w.of(c); bad.Band(page) != 1 {
		t.Error("settings that cannot be read")
	}
}
