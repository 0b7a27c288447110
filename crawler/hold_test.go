package crawler

import (
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/warc"
)

func capture(n byte, segment salvor.SegmentID) finished {
	return finished{
		entry:   api.Entry{Key: salvor.Key{n}, Outcome: salvor.Saved},
		receipt: &warc.Receipt{Ticket: warc.Ticket{Segment: segment}},
	}
}

// TestShelf: what cites bytes waits for its segment, all else does not, and a
// robots.txt's rules go ahead of its bytes.
func TestShelf(t *testing.T) {
	s := newShelf(Hold{On: true})
	robots := capture(3, 2)
	robots.robots = &api.Robots{Origin: "http://a"}
	retry := capture(4, 2)
	retry.entry.Verb = api.VerbRetry
	rest := s.keep([]finished{capture(1, 1), {entry: api.Entry{Key: salvor.Key{2}, Outcome: salvor.Excluded}}, robots, retry}, 70)
	if len(rest) != 3 || rest[1].robots == nil || rest[1].entry.Verb != api.VerbHold || rest[1].receipt != nil || rest[2].entry.Verb != api.VerbRetry {
		t.Errorf("not held: %+v", rest)
	}
	if s.len() != 2 {
		t.Errorf("%d are held", s.len())
	}
	only := func(want salvor.SegmentID) func(salvor.SegmentID) bool {
		return func(id salvor.SegmentID) bool { return id == want }
	}
	if got := s.take(10, only(9)); len(got) != 0 {
		t.Errorf("taken of nothing: %v", got)
	}
	got := s.take(10, only(2))
	if len(got) != 1 || got[0].entry.Key != (salvor.Key{3}) || got[0].entry.Verb != api.VerbSettle || got[0].robots != nil {
		t.Errorf("of segment 2: %+v", got)
	}
	if w := (&Worker{shelf: s}); w.LogMark(100) != 70 {
		t.Errorf("the log is reported up to %d", w.LogMark(100))
	}
	s.putBack(got)
	if got := s.take(1, func(salvor.SegmentID) bool { return true }); len(got) != 1 || s.len() != 1 {
		t.Errorf("one of two: %v, %d left", got, s.len())
	}
	if off := newShelf(Hold{}); len(off.keep([]finished{capture(1, 1)}, 0)) != 1 {
		t.Error("held although the Store is a disk here")
	}
}

// TestCrowded: the intake stops at a bound and goes on at four fifths of it.
func TestCrowded(t *testing.T) {
	s := newShelf(Hold{On: true, MaxItems: 100, MaxSpool: 1000})
	fill := func(n int) {
		s.n = n
		s.full = s.crowded(0)
	}
	for _, c := range []struct {
		n    int
		full bool
	}{{99, false}, {100, true}, {99, true}, {80, true}, {79, false}, {99, false}} {
		if fill(c.n); (s.full != "") != c.full {
			t.Errorf("with %d held: %q", c.n, s.full)
		}
	}
	s.n = 0
	if why := s.crowded(1000); !strings.Contains(why, "wait for the Store") {
		t.Errorf("with a full spool: %q", why)
	}
	s.Room = func() error { return salvor.Errorf(salvor.Exhausted, "no room") }
	if why := s.crowded(0); why != "no room" {
		t.Errorf("without room: %q", why)
	}
}

// TestIdle: it is idle only when nothing is under way and nothing was asked for
// a while.
func TestIdle(t *testing.T) {
	s := newShelf(Hold{Idle: time.Second})
	at := time.Unix(1000, 0)
	for i, c := range []struct {
		after          time.Duration
		requests, busy int64
		idle           bool
	}{
		{0, 1, 0, false},
		{999 * time.Millisecond, 1, 0, false},
		{time.Millisecond, 1, 0, true},
		{time.Second, 2, 0, false},
		{2 * time.Second, 2, 1, false},
		{time.Second, 2, 0, true},
	} {
		if at = at.Add(c.after); s.idle(at, c.requests, c.busy) != c.idle {
			t.Errorf("%d: %+v", i, c)
		}
	}
}
