package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// Exit codes, as docs/exit-codes.md promises them.
const (
	exitDone        = 0
	exitFailed      = 3
	exitDeadline    = 4
	exitLimit       = 5
	exitInterrupted = 6
	exitNoSpace     = 7
	exitLocked      = 8
)

// crawl is one archive directory and the binary that works on it.
type crawl struct {
	t    *testing.T
	bin  string
	dir  string
	args []string // of every run
}

// newCrawl prepares crawls into an archive; full speed, loopback allowed.
func newCrawl(t *testing.T, build func() (string, error), args ...string) *crawl {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return &crawl{t: t, bin: bin, dir: scratch(t), args: append([]string{"--max-rate", "0", "--allow-net", "127.0.0.0/8"}, args...)}
}

// start runs salvor save; the process is gone when the test ends.
func (c *crawl) start(more ...string) *rig.Process {
	c.t.Helper()
	args := append(append([]string{"save", "--dir", c.dir}, c.args...), more...)
	return c.exec(args...)
}

func (c *crawl) exec(args ...string) *rig.Process {
	c.t.Helper()
	p, err := rig.Start("", []string{"GORACE=halt_on_error=1 exitcode=66"}, c.bin, args...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() {
		_ = p.Signal(syscall.SIGKILL)
		<-p.Done()
	})
	return p
}

// wait fails the test unless the process ends in time with this exit code.
func (c *crawl) wait(p *rig.Process, limit time.Duration, want int) rig.Usage {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), limit)
	defer cancel()
	u, err := p.Wait(ctx)
	if err != nil || u.Exit != want {
		c.t.Fatalf("exit code %d, want %d, %v\nstdout:\n%s\nstderr:\n%s", u.Exit, want, err, end(p.Stdout()), end(p.Stderr()))
	}
	return u
}

// save crawls to the end.
func (c *crawl) save(limit time.Duration, want int, more ...string) *rig.Process {
	c.t.Helper()
	p := c.start(more...)
	c.wait(p, limit, want)
	return p
}

// end shortens an output to what a reader needs: its last lines, but when the
// program printed its goroutines, what it said before.
func end(s string) string {
	said, goroutines, dumped := strings.Cut(s, "SIGQUIT: quit")
	if len(said) > 4000 {
		said = "...\n" + said[len(said)-4000:]
	}
	if dumped {
		said += "SIGQUIT: quit" + goroutines[:min(len(goroutines), 6000)] + "\n..."
	}
	return said
}

// sound reads all that the archive holds and fails the test unless every byte
// of it is as it must be after a clean end.
func (c *crawl) sound() *rig.Archive {
	c.t.Helper()
	a, err := rig.ReadArchive(c.dir)
	if err != nil {
		c.t.Fatalf("the archive is not sound:\n%v", err)
	}
	if err := rig.CheckManifest(c.dir); err != nil {
		c.t.Errorf("%v", err)
	}
	for _, name := range []string{"report.html", "crawl.log", "seeds-report.tsv", "hosts-report.tsv", "types-report.tsv"} {
		if info, err := os.Stat(filepath.Join(c.dir, name)); err != nil || info.Size() == 0 {
			c.t.Errorf("%s is missing or empty: %v", name, err)
		}
	}
	return a
}

// report is what these tests read of report.json.
type report struct {
	Crawl struct {
		End string `json:"end"`
	} `json:"crawl"`
	Totals struct {
		Known      int64 `json:"known"`
		Saved      int64 `json:"saved"`
		Open       int64 `json:"open"`
		Captures   int64 `json:"captures"`
		Excluded   int64 `json:"excluded"`
		Duplicates int64 `json:"duplicates"`
	} `json:"totals"`
	Outcomes []struct {
		Name string `json:"outcome"`
		URLs int64  `json:"urls"`
	} `json:"outcomes"`
	Excludes []struct {
		Rule string `json:"rule"`
		Hits int64  `json:"hits"`
	} `json:"excludes"`
}

func (r *report) outcome(name string) int64 {
	for _, o := range r.Outcomes {
		if o.Name == name {
			return o.URLs
		}
	}
	return 0
}

func (c *crawl) report() *report {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.dir, "report.json"))
	if err != nil {
		c.t.Fatal(err)
	}
	r := new(report)
	if err := json.Unmarshal(b, r); err != nil {
		c.t.Fatal(err)
	}
	var sum int64
	for _, o := range r.Outcomes {
		sum += o.URLs
	}
	if sum != r.Totals.Known || r.outcome("open") != r.Totals.Open {
		c.t.Errorf("report.json: outcomes (%d, %d of them open) do not add up to known (%d) and open (%d)",
			sum, r.outcome("open"), r.Totals.Known, r.Totals.Open)
	}
	return r
}

// control writes an order for a running crawl.
func (c *crawl) control(name, text string) {
	c.t.Helper()
	if err := os.WriteFile(filepath.Join(c.dir, "control", name), []byte(text), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// synthetic serves a synthetic site.
func synthetic(t *testing.T, s site.Site, more ...string) *rig.Nginx {
	t.Helper()
	root := t.TempDir()
	if err := s.Write(root); err != nil {
		t.Fatal(err)
	}
	return rig.ServeFiles(t, rig.NginxConfig{Root: root, Server: strings.Join(more, "\n")})
}

// holds fails the test unless every page of a site is in the archive once, with
// the bytes that the site has, and nothing else but a robots.txt.
func holds(t *testing.T, a *rig.Archive, s site.Site, origin string) {
	t.Helper()
	by := a.ByURI()
	for i := range s.Pages {
		uri := origin + s.Path(i)
		got := by[uri]
		delete(by, uri)
		if i == 0 {
			// The start page has two names; either may be the revisit.
			got = append(got, by[origin+"/"]...)
			delete(by, origin+"/")
			if len(got) == 2 && got[0].URI != got[1].URI {
				got = got[1:]
			}
		}
		switch {
		case len(got) == 0:
			t.Errorf("%s is in no WARC", uri)
		case len(got) > 1:
			t.Errorf("%s was saved %d times", uri, len(got))
		case got[0].Status != 200 || got[0].Type == "response" && got[0].SHA256 != sum(s.Page(i)):
			t.Errorf("%s: %+v has other bytes", uri, got[0])
		}
	}
	delete(by, origin+"/robots.txt")
	for uri := range by {
		t.Errorf("%s is in the archive, but not on the site", uri)
	}
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:])
}

// log is crawl.log as far as it is written.
func (c *crawl) log() string {
	b, err := os.ReadFile(filepath.Join(c.dir, "crawl.log"))
	if err != nil {
		return ""
	}
	return string(b)
}
