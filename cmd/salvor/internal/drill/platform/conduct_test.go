package platform

import (
	"net/http"
	"testing"
	"time"
)

// ask sends n requests at even distances within a second, from a moment on, and
// counts the answers by status.
func ask(g *gate, from time.Duration, seconds, n int) map[int]int {
	got := map[int]int{}
	for i := range seconds * n {
		got[g.decide(from+time.Duration(i)*time.Second/time.Duration(n), http.MethodGet).status]++
	}
	return got
}

func TestRateLimit(t *testing.T) {
	c := Conduct{Rate: 5, Changes: []Change{{At: time.Minute, Rate: .5}}}
	g := newGate(c, 1, newBucket(c.Rate, c.Changes))
	if got := ask(g, 0, 20, 5); got[429] > 0 {
		t.Errorf("5 requests a second: %v", got)
	}
	if got := ask(g, 20*time.Second, 20, 10); got[200] < 100 || got[200] > 100+13 {
		t.Errorf("10 requests a second for 20 s: %v", got)
	}
	if v := g.decide(40*time.Second, http.MethodGet); v.status != 429 || v.retryAfter != retryAfter {
		t.Errorf("%+v", v)
	}
	if got := ask(g, time.Minute, 20, 5); got[200] < 10 || got[200] > 10+13 {
		t.Errorf("slowed to one in two seconds: %v", got)
	}
}

// TestSharedLimit has two platforms behind one limit.
func TestSharedLimit(t *testing.T) {
	b := newBucket(10, nil)
	x, y := newGate(Conduct{}, 1, b), newGate(Conduct{}, 2, b)
	sum := 0
	for s := range 30 {
		at := time.Duration(s) * time.Second
		sum += ask(x, at, 1, 10)[200] + ask(y, at, 1, 10)[200]
	}
	if sum < 290 || sum > 320 {
		t.Errorf("%d answers in 30 s behind a limit of 10/s", sum)
	}
}

func TestBan(t *testing.T) {
	c := Conduct{Rate: 1, Ban: Ban{After: 20, For: time.Minute}}
	g := newGate(c, 1, newBucket(c.Rate, nil))
	got := ask(g, 0, 10, 10)
	if got[429] != 20 || got[403] == 0 {
		t.Errorf("10 requests a second: %v, want 20 refusals and a ban", got)
	}
	if v := g.decide(61*time.Second, http.MethodGet); v.status != 403 {
		t.Errorf("during the ban: %+v", v)
	}
	if v := g.decide(80*time.Second, http.MethodGet); v.status != 200 {
		t.Errorf("after the ban: %+v", v)
	}
	patient := newGate(c, 1, newBucket(c.Rate, nil))
	if got := ask(patient, 0, 100, 1); got[403] > 0 {
		t.Errorf("one request a second is banned: %v", got)
	}
}

func TestStorm(t *testing.T) {
	c := Conduct{Storms: []Storm{{From: 10 * time.Second, To: 20 * time.Second, Share: .6}}}
	g := newGate(c, 1, newBucket(0, nil))
	if got := ask(g, 0, 10, 100); got[503] > 0 {
		t.Errorf("before the storm: %v", got)
	}
	if got := ask(g, 10*time.Second, 10, 100); got[503] < 550 || got[503] > 650 {
		t.Errorf("in the storm: %v", got)
	}
	if got := ask(g, 20*time.Second, 10, 100); got[503] > 0 {
		t.Errorf("after the storm: %v", got)
	}
}

func TestTail(t *testing.T) {
	c := Conduct{Latency: time.Millisecond, Tail: Tail{Share: .05, Latency: 3 * time.Second}}
	g := newGate(c, 1, newBucket(0, nil))
	slow := 0
	for range 10_000 {
		switch g.decide(0, http.MethodGet).delay {
		case time.Millisecond:
		case 3*time.Second + time.Millisecond:
			slow++
		default:
			t.Fatal("another delay")
		}
	}
	if slow < 400 || slow > 600 {
		t.Errorf("%d of 10,000 answers are slow", slow)
	}
}

func TestReadOnlyAndDeath(t *testing.T) {
	c := Conduct{ReadOnly: 10 * time.Second, Death: 20 * time.Second}
	g := newGate(c, 1, newBucket(0, nil))
	for _, x := range []struct {
		at     time.Duration
		method string
		status int
		gone   bool
	}{
		{0, http.MethodPost, 200, false},
		{10 * time.Second, http.MethodPost, 403, false},
		{10 * time.Second, http.MethodGet, 200, false},
		{20*time.Second - 1, http.MethodGet, 200, false},
		{20 * time.Second, http.MethodGet, 503, true},
	} {
		if v := g.decide(x.at, x.method); v.status != x.status || v.gone != x.gone {
			t.Errorf("%s at %s: %+v", x.method, x.at, v)
		}
	}
}
