package coordinator

import (
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

func TestShare(t *testing.T) {
	for _, c := range []struct {
		budget salvor.Pace
		n      int
		want   salvor.Pace
	}{
		{20_000, 1, 20_000},
		{20_000, 4, 5_000},
		{20_000, 0, 20_000},
		{20_000, 100, 1_000}, // twenty of a hundred have some
		{2_000, 4, 1_000},
		{500, 4, 500}, // one at a time
		{1_999, 2, 1_999},
		{7_000, 3, 2_333},
		{salvor.Unlimited, 4, salvor.Unlimited},
		{0, 2, 0},
	} {
		if got := share(c.budget, c.n); got != c.want {
			t.Errorf("%d of %v: %v, want %v", c.n, c.budget, got, c.want)
		}
		if k := salvor.Pace(max(1, min(salvor.Pace(c.n), c.budget/leastShare))); c.budget < salvor.Unlimited && share(c.budget, c.n)*k > c.budget {
			t.Errorf("%d of %v: the shares are more than all", c.n, c.budget)
		}
	}
}

func TestRecall(t *testing.T) {
	for _, c := range []struct {
		unstarted int
		perSecond float64
		idle      int
		want      int
	}{
		{1000, 0, 1, 500}, // its speed is not known
		{1000, 0, 3, 750},
		{1000, 2, 3, 992}, // it would take ten minutes
		{1000, 200, 1, 500},
		{1000, 200, 3, 599}, // it begins 400 before it can be told
		{400, 200, 3, 0},
		{5, 2, 3, 0},
		{6, 2, 3, 1},
		{1, 0, 9, 0},
		{0, 0, 1, 0},
	} {
		if got := recall(c.unstarted, c.perSecond, c.idle); got != c.want {
			t.Errorf("of %d at %v/s with %d idle: %d, want %d", c.unstarted, c.perSecond, c.idle, got, c.want)
		}
	}
}

func TestDemand(t *testing.T) {
	at := func(s float64) time.Time { return benchEpoch.Add(time.Duration(s * float64(time.Second))) }
	var d demand
	want := api.Want{Crawl: 1}
	d.look(at(0), 1, want, false, true, nil)
	d.look(at(0), 2, want, true, false, []string{"a"})
	d.look(at(0), 3, want, true, false, nil)
	d.look(at(0), 4, api.Want{Crawl: 2}, true, false, nil)
	d.look(at(0), 5, api.Want{}, false, false, nil) // it has work of before
	d.look(at(1), 3, want, true, false, nil)
	for _, c := range []struct {
		what      string
		got, want int
	}{
		{"asking for crawl 1", d.asking(at(1), 1), 4},
		{"asking for any", d.asking(at(1), 0), 5},
		{"waiting for a", d.waiting(at(1), "a", 9), 1},
		{"waiting for a beside itself", d.waiting(at(1), "a", 2), 0},
		{"waiting for b", d.waiting(at(1), "b", 9), 0},
		{"starving at once", d.starving(at(0.5), 1, 9), 0},
		{"starving", d.starving(at(1), 1, 9), 1},
		{"starving beside itself", d.starving(at(1), 1, 3), 0},
		{"starving for crawl 2", d.starving(at(1), 2, 9), 1},
		{"waiting, long ago", d.waiting(at(4), "a", 9), 0},
		{"starving, long ago", d.starving(at(5), 1, 9), 0},
		{"asking, long ago", d.asking(at(12), 0), 0},
	} {
		if c.got != c.want {
			t.Errorf("%s: %d, want %d", c.what, c.got, c.want)
		}
	}
	d.look(at(6), 3, want, true, false, nil)
	if n := d.starving(at(6), 1, 9); n != 0 {
		t.Error("who asks again after a while starves at once")
	}
	d.look(at(7.5), 3, want, true, true, nil)
	if n := d.starving(at(8), 1, 9); n != 0 {
		t.Error("who found something starves")
	}
	d.told(at(60), 9, 1)
	if len(d.askers) != 0 {
		t.Errorf("%d are remembered for ever", len(d.askers))
	}
}

// What was taken from a lease is free when its holder knows, or its time is over.
func TestCuts(t *testing.T) {
	var d demand
	now := benchEpoch
	take := func(s salvor.SessionID, request uint64) {
		d.cut(s, []cut{{purse: "a", pace: 100, request: request, until: now.Add(12 * time.Second)}})
	}
	expect := func(what string, after time.Duration, want salvor.Pace) {
		t.Helper()
		if got := d.reserved(now.Add(after), "a"); got != want {
			t.Errorf("%s: %d are reserved, want %d", what, got, want)
		}
	}
	take(1, 7)
	take(2, 3)
	expect("two cuts", 0, 200)
	d.told(now, 1, 7)
	expect("the same request again", 0, 200)
	d.told(now, 1, 8)
	expect("another request", 0, 100)
	expect("in time", 11*time.Second, 100)
	expect("at the end of its time", 12*time.Second, 0)
	if d.reserved(now, "b") != 0 {
		t.Error("another host")
	}
	d.told(now.Add(time.Minute), 9, 1)
	if len(d.cuts) != 0 {
		t.Errorf("%d are remembered for ever", len(d.cuts))
	}
}
