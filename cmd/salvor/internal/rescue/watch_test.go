package rescue

import (
	"path/filepath"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
)

// TestFinishedByTwoLooks: a crawl is finished when two looks in a row show
// nothing open, nothing newly accepted, and no chore (docs/protocol.md 7).
func TestFinishedByTwoLooks(t *testing.T) {
	saved := func(n int64) (t api.Totals) {
		t.Accepted = n
		t.Outcomes[salvor.Saved] = n
		return t
	}
	open := saved(3)
	open.Leased, open.Accepted = 1, 4
	for name, looks := range map[string][]struct {
		t        api.Totals
		chore    bool
		finished bool
	}{
		"two alike":       {{saved(3), false, false}, {saved(3), false, true}},
		"grown between":   {{saved(3), false, false}, {saved(4), false, false}, {saved(4), false, true}},
		"open between":    {{saved(3), false, false}, {open, false, false}, {saved(4), false, false}, {saved(4), false, true}},
		"a chore is due":  {{saved(3), false, false}, {saved(3), true, false}},
		"nothing at all":  {{api.Totals{}, false, false}, {api.Totals{}, false, false}},
		"open throughout": {{open, false, false}, {open, false, false}},
	} {
		w := watch{rescue: &rescue{chores: newChores()}}
		for i, x := range looks {
			if x.chore {
				w.chores.ask(rescanning)
			}
			if got := w.finished(x.t); got != x.finished {
				t.Errorf("%s: look %d says %v", name, i, got)
			}
		}
	}
}

// TestResumeAfterDeadline: nothing is asked of any server any more.
func TestResumeAfterDeadline(t *testing.T) {
	url, hits := testSite(t, 5)
	j := testJob(t, filepath.Join(t.TempDir(), "archive"), url)
	j.Settings.Deadline = time.Now().Add(-time.Minute)
	res, err := Engine{}.Run(t.Context(), j)
	if err != nil || res.Reason != job.Deadline {
		t.Errorf("%q, %v", res.Reason, err)
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests after the deadline", n)
	}
}
