package coordinator

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestCutOutlivesItsLeader: a pace that was cut at an extend whose answer was lost
// with the leader is not given to another while its holder may still use it.
func TestCutOutlivesItsLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		start := func() *Group {
			n, err := Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20})
			must(t, err)
			return n
		}
		n := start()
		r := newRescue(t, n)
		for from := 0; from < 4000; from += 1000 {
			r.discover("a.example", from, from+1000)
		}
		must(t, r.change1(t.Context(), setRate(r, "a.example", 20_000)))
		c := newCrew(r, 50, 50)
		a, b := c.men[0], c.men[1]
		a.ask()
		time.Sleep(time.Second)
		b.ask() // finds nothing, waits
		time.Sleep(time.Second)
		a.deaf = 1
		a.extend() // its pace is cut, and it does not hear so
		b.ask()
		must(t, n.Close(context.Background()))
		r.Group = start()
		defer func() { r.Close(context.Background()) }()
		b.ask()
		list, sum := c.paces()
		if sum > 20_000 {
			t.Errorf("%v sum up to %v of 20000", list, sum)
		}
	})
}
