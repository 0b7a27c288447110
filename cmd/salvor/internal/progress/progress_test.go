package progress

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/mattn/go-runewidth"
)

var update_ = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update_ {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

var epoch = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// busy is a crawl in full swing, seen for two minutes.
func busy() *model {
	m := &model{started: epoch, deadline: time.Date(2026, 12, 1, 18, 0, 0, 0, time.FixedZone("", 3600))}
	for s := range int64(121) {
		m.feed(epoch.Add(time.Duration(s)*time.Second), Snapshot{
			Phase: Crawling, Saved: 12000 + 20*s, Gone: 120, Refused: 3, Failed: 2, Excluded: 400, Known: 1040112,
			Queued: 1027900 - 20*s, Waiting: 12, Leased: 6, Captures: 12125 + 20*s, Bytes: (12125 + 20*s) * 99_000,
			Errors: map[string]int64{"timeout": 12, "http_5xx": 3, "dns_failed": 3, "reset": 1, "tls": 1, "empty": 1, "connect": 1},
			Hosts: []Host{
				{Name: "forum.example.org", Open: 900000, Saved: 9000, Rate: 18, Captures: 9000 + 18*s},
				{Name: "img.example.org", Open: 128000, Saved: 3000, Rate: 0.5, Captures: 3000 + 2*s, Why: "429, waits until 12:03:10"},
				{Name: "a-very-long-host-name-that-never-ends.cdn.example.net", Open: 2, Saved: 1},
				{Name: "evil\x1b[2J.example", Open: 1, Why: "slow\nanswers"},
			},
			Spool: 12_300_000, SpoolMax: 256_000_000, Open: 2, Sealed: 3,
		})
	}
	return m
}

func TestFrames(t *testing.T) {
	now := epoch.Add(120 * time.Second)
	young := &model{started: now.Add(-time.Second)}
	young.feed(now, Snapshot{Phase: Crawling, Known: 1, Queued: 1})
	late := busy()
	late.deadline = now.Add(-time.Minute)
	late.last.Phase = Draining
	var b strings.Builder
	for _, c := range []struct {
		name string
		m    *model
		w, h int
	}{
		{"before the first snapshot", &model{started: now}, 80, 24},
		{"the first seconds", young, 80, 24},
		{"in full swing", busy(), 80, 24},
		{"a wide terminal", busy(), 132, 43},
		{"a low terminal", busy(), 80, 8},
		{"a tiny terminal", busy(), 30, 4},
		{"after the deadline", late, 80, 24},
	} {
		lines := frame(c.m.view(now), "example.org-20261201120000", c.w, c.h)
		fmt.Fprintf(&b, "# %s: %dx%d\n%s\n\n", c.name, c.w, c.h, strings.Join(lines, "\n"))
		if len(lines) > c.h-2 {
			t.Errorf("%s: %d lines", c.name, len(lines))
		}
		for _, l := range lines {
			if w := runewidth.StringWidth(l); w >= c.w {
				t.Errorf("%s: %d cells in %q", c.name, w, l)
			}
			if strings.ContainsAny(l, "\x1b\n\r") {
				t.Errorf("%s: control character in %q", c.name, l)
			}
		}
	}
	golden(t, "frames.txt", b.String())
}

func TestPlainLines(t *testing.T) {
	now := epoch.Add(120 * time.Second)
	empty := &model{started: now}
	empty.feed(now, Snapshot{Phase: Mending})
	ended := busy()
	ended.last.Phase = Ended
	golden(t, "plain.txt", plain(busy().view(now))+"\n"+plain(empty.view(now))+"\n"+plain(ended.view(now))+"\n")
}

func TestJSONLines(t *testing.T) {
	now := epoch.Add(120 * time.Second)
	var b bytes.Buffer
	deadline := epoch
	for _, l := range []struct {
		kind string
		v    any
	}{
		{"start", StartEvent{Version: "v1", Format: JSONFormat, Dir: "d", Seeds: 1, Round: 1, Deadline: &deadline, Settings: map[string]string{"scope": "host"}}},
		{"progress", progressOf(busy().view(now))},
		{"notice", noticeOf(Notice{Level: Note, Text: "an <a> & \x1b", Code: "x", Host: "h"})},
		{"nothing", struct{}{}},
	} {
		if err := WriteJSON(&b, l.kind, now, l.v); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(b.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	golden(t, "lines.ndjson", b.String())
}

func TestMeanCountsThisRunOnly(t *testing.T) {
	m := &model{started: epoch}
	m.feed(epoch, Snapshot{Phase: Crawling, Captures: 1e6, Bytes: 1e9, Known: 2e6})
	m.feed(epoch.Add(10*time.Second), Snapshot{Phase: Crawling, Captures: 1e6 + 50, Bytes: 1e9, Known: 2e6})
	v := m.view(epoch.Add(10 * time.Second))
	if v.RateMean != 5 || v.RateNow != 5 {
		t.Errorf("mean %v, now %v", v.RateMean, v.RateNow)
	}
}

func TestModelMemoryIsBounded(t *testing.T) {
	m := &model{started: epoch}
	for i := range 100_000 {
		m.feed(epoch.Add(time.Duration(i)*10*time.Millisecond), Snapshot{})
	}
	if n := len(m.points); n > int(trend/spacing)+2 {
		t.Errorf("%d points kept", n)
	}
}

func TestNeverWholeBeforeTheEnd(t *testing.T) {
	if got := percent(999_999, 1_000_000); got != "99 %" {
		t.Error(got)
	}
	if got := percent(5, 5); got != "100 %" {
		t.Error(got)
	}
}

func TestNumbers(t *testing.T) {
	for got, want := range map[string]string{
		Count(0): "0", Count(-1234567): "-1,234,567", Count(999): "999",
		Bytes(0): "0 B", Bytes(999): "999 B", Bytes(999_999): "1.0 MB", Bytes(1500): "1.5 kB", Bytes(12e9): "12 GB",
		Span(9*time.Second + 499*time.Millisecond): "9s", Span(245 * time.Second): "4m05s", Span(17*time.Hour + 12*time.Minute): "17h12m",
		Span(76 * time.Hour): "3d04h", Span(-61 * time.Second): "-1m01s", rateText(0.04): "0.0/s", rateText(9.96): "10/s",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// screen is what a terminal shows: enough of one to see what a painter did.
type screen struct {
	mu    sync.Mutex
	lines []string
	row   int
	raw   strings.Builder
	fail  error
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return 0, s.fail
	}
	s.raw.Write(p)
	text := string(p)
	for text != "" {
		if rest, ok := strings.CutPrefix(text, "\r\x1b["); ok {
			n, tail, _ := strings.Cut(rest, "A\x1b[J")
			var up int
			fmt.Sscan(n, &up)
			s.row -= up
			s.lines = s.lines[:s.row]
			text = tail
			continue
		}
		line, tail, _ := strings.Cut(text, "\n")
		s.lines = append(s.lines[:s.row], line)
		s.row++
		text = tail
	}
	return len(p), nil
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func size80() (int, int) { return 80, 24 }

func TestLiveBlockStaysAtTheBottom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(screen)
		r := Start(Options{Mode: Live, Out: s, Size: size80, Name: "x"})
		r.Update(Snapshot{Phase: Crawling, Known: 5, Saved: 1})
		time.Sleep(time.Second)
		r.Notice(Notice{Level: Note, Text: "first"})
		time.Sleep(time.Second)
		r.Notice(Notice{Level: Info, Text: "only with -v"})
		r.Notice(Notice{Level: Error, Text: "second", Hint: "do this"})
		time.Sleep(time.Second)
		got := s.text()
		if !strings.HasPrefix(got, "first\nerror: second (do this)\nx  crawling  3s\n") || strings.Count(got, "crawling") != 1 {
			t.Errorf("screen:\n%s", got)
		}
		r.Close()
		if got := s.text(); got != "first\nerror: second (do this)" {
			t.Errorf("after the end:\n%s", got)
		}
		if strings.Contains(s.raw.String(), "\x1b[?") {
			t.Error("a mode of the terminal was changed: a kill would leave it so")
		}
	})
}

func TestNarrowedTerminal(t *testing.T) {
	width := 80
	p := painter{out: new(screen), size: func() (int, int) { return width, 24 }}
	p.shown = []string{strings.Repeat("x", 79), "", "y"}
	if n := p.rows(); n != 3 {
		t.Errorf("%d rows at 80", n)
	}
	width = 40
	if n := p.rows(); n != 4 {
		t.Errorf("%d rows at 40", n)
	}
}

func TestPlainEveryTenSecondsAndOnEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(screen)
		r := Start(Options{Mode: Plain, Out: s})
		time.Sleep(100 * time.Millisecond) // apart from the ticks, so that their order is certain
		for range 30 {
			r.Update(Snapshot{Phase: Crawling, Known: 1})
			time.Sleep(time.Second)
		}
		r.Update(Snapshot{Phase: Sealing, Known: 1})
		time.Sleep(time.Second)
		r.Close()
		if n := strings.Count(s.text(), " crawling: "); n != 4 {
			t.Errorf("%d lines about crawling:\n%s", n, s.text())
		}
		if n := strings.Count(s.text(), " sealing: "); n != 1 {
			t.Errorf("%d lines about sealing:\n%s", n, s.text())
		}
	})
}

func TestLastSnapshot(t *testing.T) {
	r := Start(Options{Mode: Silent, Out: new(screen)})
	r.Update(Snapshot{Known: 5, Saved: 1, Errors: map[string]int64{"timeout": 1}})
	r.Update(Snapshot{Phase: Draining, Known: 5, Saved: 2})
	r.Update(Snapshot{Phase: Ended}) // by an engine that cannot count any more
	r.Close()
	if s := r.Last(); s.Saved != 2 || s.Known != 5 {
		t.Errorf("%+v", s)
	}
}

func TestSeconds(t *testing.T) {
	for d, want := range map[time.Duration]string{5387 * time.Millisecond: "5.387", -61 * time.Second: "-61", 1499 * time.Microsecond: "0.001"} {
		if got := fmt.Sprint(Seconds(d)); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}

func TestCounted(t *testing.T) {
	for n, want := range map[int64]string{0: "0 URLs", 1: "1 URL", 2: "2 URLs", 1000: "1,000 URLs"} {
		if got := Counted(n, "URL"); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
	one := view{Snapshot: Snapshot{Revisits: 1, Gone: 2}}
	if got := endedText(one); got != "1 revisit, 2 gone" {
		t.Error(got)
	}
}

func TestQuietPrintsErrorsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(screen)
		var log bytes.Buffer
		r := Start(Options{Mode: Silent, Out: s, Log: slog.New(slog.NewTextHandler(&log, nil))})
		r.Update(Snapshot{Phase: Crawling})
		r.Notice(Notice{Level: Note, Text: "a note", Code: "c"})
		r.Notice(Notice{Level: Error, Text: "an error"})
		time.Sleep(time.Minute)
		r.Close()
		if got := s.text(); got != "salvor: error: an error" {
			t.Errorf("printed %q", got)
		}
		if !strings.Contains(log.String(), `msg="a note" code=c`) {
			t.Errorf("log: %s", log.String())
		}
	})
}

// stuck is a terminal after Ctrl-S.
type stuck struct{ until context.Context }

func (s stuck) Write(p []byte) (int, error) {
	<-s.until.Done()
	return 0, errors.New("gone")
}

func TestStuckOutputStopsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, free := context.WithCancel(context.Background())
		r := Start(Options{Mode: Live, Out: stuck{ctx}, Size: size80})
		begin := time.Now()
		for range 10 * maxNotices {
			r.Update(Snapshot{Phase: Crawling})
			r.Notice(Notice{Level: Note, Text: "x"})
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("the engine waited %v", d)
		}
		r.Close()
		if d := time.Since(begin); d > closeWait {
			t.Errorf("the end waited %v", d)
		}
		free()
		<-r.done
	})
}

func TestGoneOutputAndHangup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tty, file := &screen{}, new(screen)
		var log bytes.Buffer
		r := Start(Options{Mode: Live, Out: tty, Size: size80, Log: slog.New(slog.NewTextHandler(&log, nil))})
		r.Update(Snapshot{Phase: Crawling, Known: 7})
		time.Sleep(time.Second)
		tty.mu.Lock()
		tty.fail = errors.New("input/output error")
		tty.mu.Unlock()
		time.Sleep(time.Second)
		r.Move(file)
		time.Sleep(31 * time.Second)
		r.Close()
		if n := strings.Count(file.text(), "of 7 known"); n != 3 {
			t.Errorf("%d plain lines:\n%s", n, file.text())
		}
		if n := strings.Count(log.String(), "progress output is gone"); n != 1 {
			t.Errorf("log: %s", log.String())
		}
	})
}

func TestDroppedNoticesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(screen)
		r := Start(Options{Mode: Plain, Out: s})
		for range maxNotices + 7 {
			r.Notice(Notice{Level: Note, Text: "flood"})
		}
		r.Update(Snapshot{Phase: Crawling})
		time.Sleep(time.Second)
		r.Close()
		flood := strings.Count(s.text(), "flood")
		var lost int
		if i := strings.Index(s.text(), " more notices"); i >= 0 {
			fmt.Sscan(s.text()[strings.LastIndexByte(s.text()[:i], ' ')+1:], &lost)
		}
		if flood < maxNotices || flood+lost != maxNotices+7 {
			t.Errorf("%d printed, %d told lost", flood, lost)
		}
	})
}
