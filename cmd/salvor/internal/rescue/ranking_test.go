package rescue

import (
	"fmt"
	"path/filepath"
	"testing"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/canon"
	"salvor/crawler/scope"
)

// TestRankedWhenResumed: a run with other value rules moves what is queued, also
// when the run before was ended before it could; nothing is judged anew for it.
func TestRankedWhenResumed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	run := func(rules ...string) *rescue {
		j := testJob(t, dir, "http://a.test/")
		for i := range 20 {
			j.Seeds = append(j.Seeds, job.Seed{URL: fmt.Sprintf("http://a.test/t%d/%d", i%2, i)})
		}
		j.Seeds[1].Value = 7
		for _, r := range rules {
			j.Settings.ValueRules = append(j.Settings.ValueRules, scope.ValueRule{Text: r})
		}
		return opened(t, j)
	}
	end := func(r *rescue) {
		t.Helper()
		if err := r.close(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		r.pool, r.client, r.log, r.node = nil, nil, nil, nil
		r.job.Dir.Close()
	}
	check := func(r *rescue, due bool) {
		t.Helper()
		if r.memory.Unranked != due || r.memory.Widened || r.memory.Narrowed {
			t.Errorf("ranking is due: %v, want %v; widened %v, narrowed %v", r.memory.Unranked, due, r.memory.Widened, r.memory.Narrowed)
		}
		misplaced := 0
		for _, s := range r.job.Seeds {
			u := canon.Parts(s.URL)
			k, err := r.node.Lookup(t.Context(), r.crawl.ID, u.Host, salvor.ItemKey(r.crawl.HashKey, "", u.Href, nil))
			if err != nil {
				t.Fatal(err)
			}
			if k.Band != r.scope.Rank(k.Item).Band {
				misplaced++
			}
		}
		if (misplaced > 0) != due {
			t.Errorf("%d seeds are not in the place of their value; ranking is due: %v", misplaced, due)
		}
	}
	r := run("/t0/ 10")
	check(r, false)
	end(r)

	r = run("/t1/ 10") // it ends before anything is moved
	check(r, true)
	end(r)

	r = run("/t1/ 10")
	check(r, true)
	if err := r.rank(t.Context()); err != nil {
		t.Fatal(err)
	}
	check(r, false)
	end(r)

	r = run("/t1/ 10")
	check(r, false)
	end(r)
}
