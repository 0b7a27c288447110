package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// drilled is what tests read of `salvor drill --json`.
type drilled struct {
	Length   float64 `json:"length"`
	Policies []struct {
		Policy string       `json:"policy"`
		Value  float64      `json:"value"`
		Saved  float64      `json:"value_saved"`
		Curve  [][2]float64 `json:"curve"`
		Sites  []struct {
			Name    string  `json:"name"`
			Death   float64 `json:"death"`
			Pages   int     `json:"pages"`
			Saved   int     `json:"pages_saved"`
			Served  int     `json:"pages_served"`
			Answers int     `json:"answers"`
			Refused int     `json:"refusals"`
		} `json:"sites"`
	} `json:"policies"`
}

// startDrill starts one whose nodes live below the directory that is returned,
// for nothing but for them.
func startDrill(t *testing.T, args ...string) (*rig.Process, string) {
	t.Helper()
	bin, err := buildPlain()
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	p, err := rig.Start(tmp, []string{"TMPDIR=" + tmp}, bin, append([]string{"drill"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Signal(syscall.SIGKILL); <-p.Done() })
	return p, tmp
}

// nothingLeft fails the test for files, but those named, and for processes.
func nothingLeft(t *testing.T, tmp string, but ...string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.Contains(strings.Join(but, " "), filepath.Base(f)) {
			t.Errorf("%s is left", f)
		}
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if b, err := os.ReadFile(l); err == nil && strings.Contains(string(b), tmp) {
			t.Errorf("a process is left: %q", b)
		}
	}
}

// TestDrill: everything that the platforms gave out whole before they died is in
// the archive, no platform was asked more often than it bears, and the policies
// make a difference.
func TestDrill(t *testing.T) {
	parallel(t)
	p, tmp := startDrill(t, "brief", "--policy", "rr,edf", "--json", "--plot", "drill.svg")
	u, err := p.Wait(t.Context())
	if err != nil || u.Exit != 0 {
		t.Fatalf("exit code %d, %v\n%s", u.Exit, err, end(p.Stderr()))
	}
	nothingLeft(t, tmp, "drill.svg")
	var d drilled
	if err := json.Unmarshal([]byte(p.Stdout()), &d); err != nil {
		t.Fatalf("%v: %s", err, p.Stdout())
	}
	if len(d.Policies) != 2 {
		t.Fatalf("%d policies", len(d.Policies))
	}
	first := map[string]int{} // pages saved of the platform that dies first
	for _, r := range d.Policies {
		t.Logf("%s saved %.0f of %.0f", r.Policy, r.Saved, r.Value)
		if n := len(r.Curve); n == 0 || r.Curve[n-1][1] != r.Saved || r.Curve[n-1][0] > d.Length+1 {
			t.Errorf("%s: the curve ends at %v, saved were %g", r.Policy, r.Curve[max(0, n-1):], r.Saved)
		}
		if r.Saved < r.Value/5 {
			t.Errorf("%s saved %g of %g", r.Policy, r.Saved, r.Value)
		}
		for _, x := range r.Sites {
			if x.Saved != x.Served {
				t.Errorf("%s %s: %d pages are stored of %d that were given out", r.Policy, x.Name, x.Saved, x.Served)
			}
			if most := 25*x.Death + 43; float64(x.Answers) > most {
				t.Errorf("%s %s: %d requests in %g s, it bears %g", r.Policy, x.Name, x.Answers, x.Death, most)
			}
			if x.Refused > 0 {
				t.Errorf("%s %s: %d requests were refused", r.Policy, x.Name, x.Refused)
			}
		}
		first[r.Policy] = r.Sites[0].Saved
	}
	if first["edf"] <= first["rr"] {
		t.Errorf("of the platform that dies first EDF saved %d pages, round robin %d", first["edf"], first["rr"])
	}
}

// TestDrillInterrupted leaves nothing behind.
func TestDrillInterrupted(t *testing.T) {
	parallel(t)
	for _, when := range []string{"starting", "running", "pages fetched"} {
		p, tmp := startDrill(t, "brief", "--policy", "salvor")
		if when == "running" {
			when = " of 12s"
		}
		eventually(t, time.Minute, when, func() bool { return strings.Contains(p.Stderr(), when) || p.Ended() })
		signal(t, p, syscall.SIGINT)
		u, err := p.Wait(t.Context())
		if err != nil || u.Exit != 6 {
			t.Errorf("%s: exit code %d, %v\n%s", when, u.Exit, err, end(p.Stderr()))
		}
		nothingLeft(t, tmp)
	}
}

// TestDrillKilled takes its nodes with it, though not its files.
func TestDrillKilled(t *testing.T) {
	parallel(t)
	p, tmp := startDrill(t, "brief", "--policy", "salvor")
	eventually(t, time.Minute, "a drill under way", func() bool { return strings.Contains(p.Stderr(), " of 12s") || p.Ended() })
	signal(t, p, syscall.SIGKILL)
	<-p.Done()
	eventually(t, 10*time.Second, "no process is left", func() bool {
		lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, l := range lines {
			if b, err := os.ReadFile(l); err == nil && strings.Contains(string(b), tmp) {
				return false
			}
		}
		return err == nil
	})
}
