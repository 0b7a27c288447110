package e2e

import (
	"fmt"
	"testing"
	"time"
)

const (
	// electionMost is how long a crawl may stand still when a leader is lost.
	electionMost = 5 * time.Second
	// leaseMost is when the work of a lost worker is out again: the lease's time
	// and 5 s.
	leaseMost = 15 * time.Second
)

// TestClusterKills: whoever is killed, and all of them at once: the others go on,
// and nothing is lost.
func TestClusterKills(t *testing.T) {
	parallel(t)
	for _, groups := range groupsTested(4) {
		t.Run(fmt.Sprint(groups, " groups"), func(t *testing.T) { killAround(t, groups) })
	}
}

func killAround(t *testing.T, groups int) {
	f := newFleet(t, shape{groups: groups, nodes: 3, hands: 1, hosts: 3, pages: size(1500, 10_000)})
	f.web.Delay(time.Duration(size(1000, 250)) * time.Millisecond)
	f.crawl("one")
	f.reach(f.pages() / 50)
	watch := time.Duration(size(7, 20)) * time.Second

	_, follower := f.leader(0)
	f.fault("a follower is killed", watch, follower.Kill)
	f.start(follower)
	f.settled(time.Minute)

	leader, _ := f.leader(0)
	r := f.fault("the leader is killed", watch, leader.Kill)
	f.atMostQuiet(r, electionMost)
	f.start(leader)
	f.settled(time.Minute)

	f.lostWorker()

	r = f.fault("all are killed and started again", watch, func() {
		for _, n := range f.Nodes {
			n.Kill()
		}
		for _, n := range f.Nodes {
			f.start(n)
		}
	})
	f.atMostQuiet(r, 2*leaseMost)
	f.settled(time.Minute)

	s := f.finish("one", 4*time.Minute)
	dups, a := f.saved("one", s)
	t.Logf("%d groups: %d requests for %d pages, %d saved twice, %d segments", groups, f.web.Count(), f.pages(), dups, len(a.Segments))
}

// lostWorker kills the node that only works: nothing stands still meanwhile. It
// comes back after its leases are over, and reports what it has.
func (f *fleet) lostWorker() {
	f.t.Helper()
	hand := f.Nodes[len(f.Nodes)-1]
	f.atMostQuiet(f.fault("a worker is killed", leaseMost, hand.Kill), electionMost)
	f.start(hand)
}

// TestClusterLostWorker: what a killed worker was fetching is out again in time.
// With a rate to keep, workers hold little: what is out is soon asked for.
func TestClusterLostWorker(t *testing.T) {
	f := newFleet(t, shape{nodes: 3, hands: 1, hosts: 3, pages: size(400, 1500)})
	f.web.Delay(time.Second)
	f.crawl("one", "--max-rate", "8")
	f.reach(60)
	hand := f.Nodes[len(f.Nodes)-1]
	for range 5 {
		at := time.Now()
		hand.Kill()
		pauseFor(t, time.Second)
		if _, _, _, lost := f.again(at); lost > 0 {
			f.outAgain(at)
			break
		}
		f.start(hand) // it was fetching nothing
		f.reach(f.web.Count() + 60)
	}
	if hand.Running() {
		t.Error("the worker was never killed while it was fetching")
	}
	f.types("crawl", "show", "one")
}

// outAgain waits until what somebody was fetching who was killed at a moment is
// asked for again.
func (f *fleet) outAgain(at time.Time) {
	f.t.Helper()
	first, last, again, lost := f.again(at)
	// Out again is granted again; to be asked for takes its new holder a moment.
	most := promised(leaseMost + 3*time.Second)
	for again < lost && time.Since(at) < 2*most {
		pauseFor(f.t, 100*time.Millisecond)
		first, last, again, lost = f.again(at)
	}
	if again < lost || last.Sub(at) > most {
		f.t.Errorf("the killed worker was fetching %d pages, %d were asked for again, the last %s after, want all within %s", lost, again, last.Sub(at), most)
	}
	note := fmt.Sprintf("it was fetching %d pages, %d were asked for again, from %.1f to %.1f s after", lost, again, first.Sub(at).Seconds(), last.Sub(at).Seconds())
	f.t.Log(note)
	quiet, began := f.web.Silence(at, time.Now())
	f.noted(&row{"a worker is killed, 8 requests a second and host allowed", max(1, f.Groups), quiet, began.Sub(at), note})
}

// again looks for the pages that somebody was fetching who went away within a
// second after a moment: when they were asked for again, and how many.
func (f *fleet) again(at time.Time) (first, last time.Time, again, lost int) {
	open := map[string]bool{}
	for _, h := range f.web.Hits() {
		key := h.Host + h.Path
		switch {
		case h.Gone.After(at) && h.Gone.Before(at.Add(time.Second)):
			open[key] = true
			lost++
		case h.At.After(at) && open[key]:
			delete(open, key)
			if last = h.At; first.IsZero() {
				first = h.At
			}
			again++
		}
	}
	return first, last, again, lost
}
