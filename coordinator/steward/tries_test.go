package steward

import (
	"slices"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// TestFailedIsNotFinal: before the deadline what failed is tried again when
// nothing else is left, less and less far apart, and once more at its end.
func TestFailedIsNotFinal(t *testing.T) {
	s, f := cluster(2)
	begin := time.Unix(1_800_000_000, 0)
	now := begin
	s.c.Now = func() time.Time { return now }
	c := f[0].crawls[1]
	c.Created, c.Deadline = begin.UnixMilli(), begin.Add(2*time.Hour).UnixMilli()
	f[0].crawls[1] = c
	failed := api.Totals{Accepted: 5}
	failed.Outcomes[salvor.Saved], failed.Outcomes[salvor.Failed], failed.Outcomes[salvor.Gone] = 2, 2, 1
	f[1].totals[1] = failed
	f[0].totals[1] = api.Totals{}

	tried := func() (at []time.Duration) {
		for ; f[0].state() == salvor.CrawlRunning && now.Before(begin.Add(3*time.Hour)); now = now.Add(10 * time.Second) {
			n := len(f[1].reopen)
			if err := s.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
			if len(f[1].reopen) > n {
				at = append(at, now.Sub(begin).Round(time.Minute))
			}
		}
		return at
	}
	at := tried()
	want := []time.Duration{24, 43, 59, 71, 81, 89, 95, 100, 104, 107, 108, 111, 113, 114, 115, 116, 117, 118, 119}
	for i := range want {
		want[i] *= time.Minute
	}
	if !slices.Equal(at, want) {
		t.Errorf("tried again after %v, want %v", at, want)
	}
	if got, end := now.Sub(begin), 2*time.Hour; got < end || got > end+time.Minute {
		t.Errorf("drained after %v", got)
	}
	for _, r := range slices.Concat(f[0].reopen, f[1].reopen) {
		if !slices.Equal(r.Outcomes, []salvor.Outcome{salvor.Failed}) || r.Crawl != 1 {
			t.Fatalf("reopened %+v", r)
		}
	}
}

// TestLastTry: where there is always something to do, what failed is tried again
// once, a tenth of the crawl's time before its end.
func TestLastTry(t *testing.T) {
	s, f := cluster(1)
	begin := time.Unix(1_800_000_000, 0)
	now := begin
	s.c.Now = func() time.Time { return now }
	c := f[0].crawls[1]
	c.Created, c.Deadline = begin.UnixMilli(), begin.Add(100*time.Minute).UnixMilli()
	f[0].crawls[1] = c
	busy := open(1000, 10)
	busy.Outcomes[salvor.Failed] = 3
	f[0].totals[1] = busy
	for ; now.Before(begin.Add(90 * time.Minute)); now = now.Add(time.Minute) {
		_ = s.Look(t.Context())
	}
	if len(f[0].reopen) > 0 {
		t.Fatal("tried again while there is time, and other work")
	}
	for ; now.Before(begin.Add(100 * time.Minute)); now = now.Add(time.Minute) {
		_ = s.Look(t.Context())
	}
	if len(f[0].reopen) != 1 {
		t.Errorf("tried again %d times at the end, want once", len(f[0].reopen))
	}
}
