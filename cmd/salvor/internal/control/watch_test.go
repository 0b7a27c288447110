package control

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
)

// bench is a watcher under test with a fake clock.
type bench struct {
	t       *testing.T
	dir     string
	w       *Watcher
	reports []string
}

// run starts a watcher in a bubble. Reports are read after synctest.Wait or a
// sleep only.
func run(t *testing.T, files map[string]string, f func(*bench)) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "control")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, body := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, dir: dir}
		var err error
		if b.w, err = Watch(dir, func(s string) { b.reports = append(b.reports, s) }); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.w.Run(ctx) }()
		f(b)
		cancel()
		<-done
	})
}

func (b *bench) write(name, body string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(body), 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) remove(name string) {
	b.t.Helper()
	if err := os.Remove(filepath.Join(b.dir, name)); err != nil {
		b.t.Fatal(err)
	}
}

// soon is the change that arrives within the promised 2 s.
func (b *bench) soon() Change {
	b.t.Helper()
	select {
	case c := <-b.w.Changes():
		return c
	case <-time.After(2 * time.Second):
		b.t.Fatal("no change within 2 s")
		return Change{}
	}
}

// quiet fails when anything changes within 5 s.
func (b *bench) quiet() {
	b.t.Helper()
	select {
	case c := <-b.w.Changes():
		b.t.Fatalf("changed: %q", c.What)
	case <-time.After(5 * time.Second):
	}
}

func (b *bench) errors() string {
	body, _ := os.ReadFile(filepath.Join(b.dir, errorsFile))
	return string(body)
}

func TestOrdersAtStart(t *testing.T) {
	run(t, map[string]string{"exclude": "\\.iso$\n", "pause": "", "stop": ""}, func(b *bench) {
		c := b.soon()
		if len(c.State.Exclude) != 1 || !c.State.Paused {
			t.Errorf("state %+v", c.State)
		}
		if c.State.Stop {
			t.Error("an old stop order was obeyed")
		}
		b.quiet()
	})
}

func TestEachFile(t *testing.T) {
	run(t, nil, func(b *bench) {
		b.quiet()

		b.write("exclude", "\ufeff# junk\r\n\r\n/calendar/\r\n  [?&]sid=  \r\n")
		c := b.soon()
		if got := c.State.Exclude; len(got) != 2 || got[1].Text != "[?&]sid=" || got[1].Line != 4 || !got[0].Regexp.MatchString("http://a/calendar/1") {
			t.Errorf("exclude %+v", got)
		}

		b.write("rate", "5\nOther.example 0.5\nfast.example 0\n")
		c = b.soon()
		want := map[string]salvor.Pace{"": 5000, "other.example": 500, "fast.example": salvor.Unlimited}
		for host, p := range want {
			if c.State.Rates[host] != p {
				t.Errorf("rate of %q is %v", host, c.State.Rates[host])
			}
		}
		if !slices.Equal(c.What, []string{"rate: all 5/s, fast.example 0/s, other.example 0.5/s"}) {
			t.Errorf("what %q", c.What)
		}

		b.write("per-origin", "3\n")
		if c = b.soon(); c.State.PerOrigin != 3 || len(c.State.Exclude) != 2 {
			t.Errorf("state %+v", c.State)
		}

		b.write("pause", "")
		if c = b.soon(); !c.State.Paused {
			t.Error("not paused")
		}
		b.remove("pause")
		if c = b.soon(); c.State.Paused {
			t.Error("still paused")
		}

		b.remove("exclude")
		if c = b.soon(); len(c.State.Exclude) != 0 || len(c.What) != 2 {
			t.Errorf("after removal %+v, %q", c.State.Exclude, c.What)
		}

		b.write("stop", "")
		if c = b.soon(); !c.State.Stop {
			t.Error("not stopped")
		}
		if _, err := os.Stat(filepath.Join(b.dir, "stop")); err == nil {
			t.Error("the order is still there: a resume would stop at once")
		}
		b.quiet()
	})
}

func TestBadContentChangesNothing(t *testing.T) {
	run(t, map[string]string{"exclude": "ok\n", "rate": "2"}, func(b *bench) {
		b.soon()
		b.write("exclude", "ok\nnew\n(open\n[z-a]\n")
		b.write("rate", "fast\n")
		b.write("per-origin", "1\n2\n")
		b.quiet()
		for _, want := range []string{"control/exclude:3: ", "control/exclude:4: ", "control/rate:1: ", "control/per-origin:2: "} {
			if n := strings.Count(strings.Join(b.reports, "\n"), want); n != 1 {
				t.Errorf("%q reported %d times: %q", want, n, b.reports)
			}
			if !strings.Contains(b.errors(), want) {
				t.Errorf("errors file lacks %q: %q", want, b.errors())
			}
		}
		b.write("exclude", "ok\nnew\n")
		b.write("rate", "2")
		b.remove("per-origin")
		if c := b.soon(); len(c.State.Exclude) != 2 || c.State.Rates[""] != 2000 {
			t.Errorf("after mending %+v", c.State)
		}
		time.Sleep(2 * time.Second)
		if e := b.errors(); e != "" {
			t.Errorf("errors file after mending: %q", e)
		}
	})
}

func TestHalfWrittenFileWaits(t *testing.T) {
	run(t, nil, func(b *bench) {
		// Each look finds another content: none of them settles. Half a poll
		// apart from the looks, so that their order is certain.
		time.Sleep(poll / 2)
		for i := range 6 {
			b.write("exclude", strings.Repeat("a\n", i+1))
			time.Sleep(poll)
			select {
			case c := <-b.w.Changes():
				t.Fatalf("obeyed while it was written: %+v", c.State.Exclude)
			default:
			}
		}
		if c := b.soon(); len(c.State.Exclude) != 6 {
			t.Errorf("%d rules", len(c.State.Exclude))
		}
	})
}

// The same size and time as before: editors that keep times, and coarse clocks.
func TestSameStampOtherContent(t *testing.T) {
	run(t, map[string]string{"rate": "1\n"}, func(b *bench) {
		path := filepath.Join(b.dir, "rate")
		at := time.Now()
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		b.soon()
		time.Sleep(time.Second)
		b.write("rate", "9\n")
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		if c := b.soon(); c.State.Rates[""] != 9000 {
			t.Errorf("rate %v", c.State.Rates)
		}
	})
}

func TestNoFileThatBlocks(t *testing.T) {
	run(t, nil, func(b *bench) {
		pipe := filepath.Join(b.dir, "exclude")
		if err := syscall.Mkfifo(pipe, 0o644); err != nil {
			t.Skip(err)
		}
		if err := os.Mkdir(filepath.Join(b.dir, "rate"), 0o755); err != nil {
			t.Fatal(err)
		}
		b.quiet()
		if len(b.reports) != 2 {
			t.Errorf("reports %q", b.reports)
		}
		b.remove("exclude")
		b.remove("rate")
		time.Sleep(2 * time.Second)
		if e := b.errors(); e != "" {
			t.Errorf("errors file: %q", e)
		}
	})
}

func TestTooLargeFile(t *testing.T) {
	run(t, map[string]string{"exclude": strings.Repeat("#\n", maxFile/2+1)}, func(b *bench) {
		b.quiet()
		if len(b.reports) != 1 || !strings.Contains(b.reports[0], "larger than") {
			t.Errorf("reports %q", b.reports)
		}
	})
}

// A reader that comes late finds the newest state and all words.
func TestSlowReader(t *testing.T) {
	run(t, nil, func(b *bench) {
		b.write("per-origin", "1")
		time.Sleep(2 * time.Second)
		b.write("per-origin", "2")
		time.Sleep(2 * time.Second)
		c := b.soon()
		if c.State.PerOrigin != 2 || !slices.Equal(c.What, []string{"per-origin: 1", "per-origin: 2"}) {
			t.Errorf("%+v", c)
		}
		b.quiet()
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "5", "host 2.5\n# x\n", "\ufeffa\r\n(", "NaN", "1e300", "a b c", "0x1p-20", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		rules, _ := parseRules(b)
		for _, r := range rules {
			if r.Regexp == nil || r.Line < 1 {
				t.Fatalf("rule %+v", r)
			}
		}
		rates, _ := parseRates(b)
		for host, p := range rates {
			if p == 0 || p > salvor.Unlimited {
				t.Fatalf("rate of %q is %d", host, p)
			}
		}
		if n, _ := parsePerOrigin(b); n < 0 || n > maxPerOrigin {
			t.Fatalf("per-origin %d", n)
		}
	})
}
