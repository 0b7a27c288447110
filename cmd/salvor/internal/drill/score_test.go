package drill

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/drill/platform"
	"salvor/warc/cdx"
)

// TestScore counts what lies in the archive with its very bytes, and nothing
// else: not what was only served, and not another page under the same URL.
func TestScore(t *testing.T) {
	s := Scenario{Name: "t", Seed: 1, Length: time.Minute, Capacity: 1, Sites: []Site{{
		Spec:    platform.Spec{Name: "a", Pages: 40, Tiers: tiers(1)},
		Notices: []Notice{{0, 30 * time.Second}},
	}}}
	set, err := platform.Start(t.Context(), "127.73.7", 1, s.specs())
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	set.Begin(time.Now())
	x := set.Sites[0]
	var lines []cdx.Line
	for i := range 12 {
		url := strings.TrimSuffix(x.URL, "/") + x.Path(i)
		fetch(t, url)
		digest := x.Digest(i)
		switch i {
		case 3:
			continue // it was lost on its way
		case 4:
			digest = salvor.SHA1{1} // a page that says that the account is suspended
		}
		lines = append(lines, cdx.Line{Key: cdx.SURT(url), Timestamp: "20261201000000", URL: url, Digest: digest.String(), Status: "200", Filename: "a.warc.gz"})
	}
	never := strings.TrimSuffix(x.URL, "/") + x.Path(20)
	lines = append(lines, cdx.Line{Key: cdx.SURT(never), Timestamp: "20261201000000", URL: never, Digest: x.Digest(20).String(), Filename: "a.warc.gz"})
	for n := 0; n < 12; n, _ = x.Progress() { // the last answer is counted after it was read
		runtime.Gosched()
	}
	a, err := readArchive(written(t, lines))
	if err != nil {
		t.Fatal(err)
	}
	sites, curve := score(a, &s, set)
	want := 0.0
	for i := range 12 {
		if i != 3 && i != 4 {
			want += x.Value(i)
		}
	}
	if got := sites[0]; got.Saved != 10 || got.Served != 12 || got.Got != want || got.Value != x.Total() || got.Deadline != 30*time.Second {
		t.Errorf("%+v, want 10 pages worth %g", got, want)
	}
	if len(curve) != 10 || curve[9].Value != want {
		t.Errorf("curve %v", curve)
	}
	for i := range curve[1:] {
		if curve[i+1].At < curve[i].At || curve[i+1].Value <= curve[i].Value {
			t.Errorf("the curve falls: %v", curve)
		}
	}
}

func fetch(t *testing.T, url string) {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		t.Fatal(err)
	}
}

func written(t *testing.T, lines []cdx.Line) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "a.cdxj"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := cdx.Write(f, lines); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestNoArchive(t *testing.T) {
	if _, err := readArchive(filepath.Join(t.TempDir(), "none")); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("%v", err)
	}
}
