package crawler

import (
	"context"
	"testing"
	"testing/synctest"

	"salvor"
	"salvor/api"
)

// TestQuota: what an exchange took and did not use goes to one that waits; what
// counts is gone, and then the rest is told so.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(3, 1) // two are left
		ctx, stop := context.WithCancel(t.Context())
		for range 2 {
			if !q.take(ctx) {
				t.Fatal("nothing left of two")
			}
		}
		got := make(chan bool)
		go func() { got <- q.take(ctx) }()
		synctest.Wait()
		if q.spent() {
			t.Error("spent, while two exchanges are under way")
		}
		q.settled(api.Entry{Verb: api.VerbRetry})
		if !<-got {
			t.Error("the share of an attempt without a record was not given on")
		}
		go func() { got <- q.take(ctx) }()
		q.settled(api.Entry{Verb: api.VerbRetry, Place: salvor.Place{Length: 1}}) // recorded, so it counts
		q.settled(api.Entry{Place: salvor.Place{Length: 1}})
		synctest.Wait()
		if !q.spent() {
			t.Error("three captures of three are not all")
		}
		stop()
		if <-got {
			t.Error("a share beyond the limit")
		}
	})
}

func TestNoQuota(t *testing.T) {
	q := newQuota(0, 5)
	q.settled(api.Entry{})
	if !q.take(t.Context()) || q.spent() {
		t.Error("a limit of none holds something back")
	}
}
