package crawler

import (
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/fetch"
)

// waitFor is a verdict on a 503 that asks to wait.
func waitFor(d time.Duration, attempts uint16, at time.Time) (salvor.Item, verdict) {
	it := salvor.Item{Key: salvor.Key{1}, Attempts: attempts}
	c := &fetch.Capture{Status: 503, Header: fetch.Header{{Name: "Retry-After", Value: at.Add(d).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}}}
	return it, judge(it, c, 8, at)
}

// TestEndlessRetryAfter: a server that asks to wait for ever is asked a bounded
// number of times, and each wait is as long as it wanted.
func TestEndlessRetryAfter(t *testing.T) {
	start := time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		wait time.Duration
		free int // waits that cost no attempt
	}{
		{time.Minute, maxPostpones},
		{time.Hour, 24},
		{24 * time.Hour, 1},
		{0, maxPostpones},
	} {
		var p patience
		at, attempts, free := start, uint16(0), 0
		for asked := 1; ; asked++ {
			it, v := waitFor(c.wait, attempts, at)
			v = p.judge(it, v, 8, at)
			if v.verb == api.VerbSettle {
				if v.outcome != salvor.Failed || v.reason != "http-503" || asked != c.free+8 || free != c.free {
					t.Errorf("waits of %v: %v after %d requests, %d waits free, want %d", c.wait, v, asked, free, c.free)
				}
				break
			}
			if asked > 1000 {
				t.Fatalf("waits of %v: asked for ever", c.wait)
			}
			if v.verb == api.VerbRetry {
				attempts++
			} else {
				free++
			}
			if next := time.UnixMilli(v.retry); next.Before(at.Add(c.wait)) {
				t.Fatalf("request %d: asked again after %v, the server wanted %v", asked, next.Sub(at), c.wait)
			}
			at = time.UnixMilli(v.retry).Truncate(time.Second)
		}
		if len(p.items) != 0 {
			t.Errorf("waits of %v: %d items are counted still", c.wait, len(p.items))
		}
	}
}

// TestPatienceIsRegained: any other answer begins the count anew, and what is
// counted stays bounded.
func TestPatienceIsRegained(t *testing.T) {
	at := time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)
	var p patience
	for round := range 3 {
		for range maxPostpones {
			if it, v := waitFor(time.Minute, 0, at); p.judge(it, v, 8, at).verb != api.VerbPostpone {
				t.Fatalf("round %d: a wait cost an attempt", round)
			}
		}
		it, _ := waitFor(0, 0, at)
		p.judge(it, verdict{verb: api.VerbRetry, reason: "http-500"}, 8, at)
	}
	for i := range maxPatience + 100 {
		p.bear(salvor.Key{byte(i), byte(i >> 8), byte(i >> 16)}, 0)
	}
	if len(p.items) != maxPatience {
		t.Errorf("%d items are counted", len(p.items))
	}
}

// TestOwnCut: an exchange that we broke off says nothing about its server: the
// item stays open, however often that happens.
func TestOwnCut(t *testing.T) {
	w := New(Config{Tries: 1})
	x := task{Item: salvor.Item{Attempts: 5}}
	c := &fetch.Capture{Status: 200, Truncated: fetch.TruncatedTime}
	if v := w.verdict(x, c, time.Now()); v.verb != api.VerbSettle || v.outcome != salvor.Saved {
		t.Errorf("too slow for too often: %v", v)
	}
	w.Cut()
	if v := w.verdict(x, c, time.Now()); v.verb != api.VerbPostpone || v.outcome != salvor.Open || v.retry != 0 || v.unanswered {
		t.Errorf("cut by us: %+v", v)
	}
	c.Truncated = fetch.TruncatedDisconnect
	if v := w.verdict(x, c, time.Now()); v.verb != api.VerbSettle {
		t.Errorf("cut by the server meanwhile: %v", v)
	}
}
