package rescue

import (
	"path/filepath"
	"strings"
	"testing"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
)

// TestTrace: every URL that the archive knows is told of, captured or not; while
// another process holds the directory, what was tried.
func TestTrace(t *testing.T) {
	url, _ := testSite(t, 30)
	dir := filepath.Join(t.TempDir(), "archive")
	j := testJob(t, dir, url)
	j.Orders = ordered("/p/2$")
	j.Settings.LimitURLs = 3
	if res := runs(t, j); res.Reason != job.Limit {
		t.Fatalf("ended %q", res.Reason)
	}
	ask := func(path string) job.Trace {
		t.Helper()
		d, err := archive.OpenRead(dir)
		if err != nil {
			t.Fatal(err)
		}
		tr, err := Engine{}.Trace(t.Context(), job.Inquiry{Dir: d, URL: url + path})
		if err != nil {
			t.Fatal(err)
		}
		return tr
	}
	for path, want := range map[string]job.Trace{
		"":           {State: "settled", Outcome: salvor.Saved, Status: 200},
		"p/9":        {State: "queued"},
		"p/2":        {State: "settled", Outcome: salvor.Excluded, Status: -5002, Reason: "exclude:live /p/2$"},
		"robots.txt": {State: "settled", Outcome: salvor.Saved, Status: 200},
	} {
		got := ask(path)
		if !got.Known || got.State != want.State || got.Outcome != want.Outcome || got.Status != want.Status || got.Reason != want.Reason || got.Partial || got.Note != "" {
			t.Errorf("/%s: %+v", path, got)
		}
		if len(got.Live) != 1 || got.Path[0].URL != url || got.Path[len(got.Path)-1].URL != url+path {
			t.Errorf("/%s: through %v, rules %v", path, got.Path, got.Live)
		}
	}
	if got := ask("unheard-of"); got.Known || !got.Partial {
		t.Errorf("unknown: %+v", got)
	}

	held, err := archive.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if got := ask(""); got.State != "settled" || !strings.Contains(got.Note, "is in use by process") {
		t.Errorf("held, tried: %+v", got)
	}
	if got := ask("p/9"); got.Known || !strings.Contains(got.Note, "crawl.log") {
		t.Errorf("held, queued: %+v", got)
	}
}
