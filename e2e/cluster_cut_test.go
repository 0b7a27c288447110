package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// TestClusterCuts: nodes that cannot hear each other, wholly or in one direction
// only: the others go on, a worker that is cut off stops when its leases end, and
// nothing is lost when all is well again.
func TestClusterCuts(t *testing.T) {
	parallel(t)
	for _, groups := range groupsTested(1) {
		t.Run(fmt.Sprint(groups, " groups"), func(t *testing.T) { cutAround(t, groups) })
	}
}

func cutAround(t *testing.T, groups int) {
	f := newFleet(t, shape{groups: groups, nodes: 3, hands: 1, hosts: 3, lan: true, pages: size(700, 13_000)})
	f.web.Delay(time.Duration(size(1000, 250)) * time.Millisecond)
	f.crawl("one")
	f.reach(f.pages() / 50)
	watch := time.Duration(size(8, 15)) * time.Second

	f.cutLeader("the leader is cut off from all", watch, func(leader int, others []int) []link { return append(to(leader, others), from(leader, others)...) })
	f.cutLeader("the leader does not hear the coordinators", watch, func(leader int, others []int) []link { return from(leader, f.coordinators(others)) })
	if *long {
		f.moreCuts(watch)
	}

	f.web.Delay(2 * time.Second) // leases that take longer than they last
	hand := len(f.Nodes)
	f.cutWorker("a worker is cut off from the coordinators", append(to(hand, []int{1, 2, 3}), from(hand, []int{1, 2, 3})...))
	if *long {
		f.cutWorker("a worker is not heard by the coordinators", to(hand, []int{1, 2, 3}))
		f.cutWorker("a worker does not hear the coordinators", from(hand, []int{1, 2, 3}))
	}
	f.minority()

	s := f.finish("one", 4*time.Minute)
	dups, a := f.saved("one", s)
	t.Logf("%d groups: %d requests for %d pages, %d saved twice, %d segments", groups, f.web.Count(), f.pages(), dups, len(a.Segments))
}

// moreCuts are those that the short form leaves out.
func (f *fleet) moreCuts(watch time.Duration) {
	f.t.Helper()
	f.cutLeader("the leader is not heard by the coordinators", watch, func(leader int, others []int) []link { return to(leader, f.coordinators(others)) })
	f.cutLeader("the leader and one follower are cut off from each other", watch, func(leader int, others []int) []link {
		one := f.coordinators(others)[:1]
		return append(to(leader, one), from(leader, one)...)
	})
}

// minority kills two of the three coordinators: no worker starts anything once
// its leases are over. Then they come back.
func (f *fleet) minority() {
	f.t.Helper()
	f.underway()
	at := time.Now()
	for _, n := range f.Nodes[1:3] {
		n.Kill()
	}
	pauseFor(f.t, leaseMost)
	hits := times(f.web.Hits())
	if late := between(hits, at.Add(10*time.Second+promised(jitter)), time.Now()); late > 0 {
		f.t.Errorf("%d requests later than 10 s after a majority was lost", late)
	}
	f.t.Logf("a majority is lost: %d requests in the next 10 s, the last after %s", between(hits, at, time.Now()), hits[len(hits)-1].Sub(at).Round(10*time.Millisecond))
	r := f.fault("a majority is lost for 15 s, and comes back", 0, func() {
		for _, n := range f.Nodes[1:3] {
			f.start(n)
		}
	})
	f.atMostQuiet(r, 2*electionMost)
	f.settled(time.Minute)
}

// link is one direction between two hosts.
type link struct{ from, to int }

// to are the links from one host to others, from those back.
func to(one int, others []int) (out []link) {
	for _, o := range others {
		out = append(out, link{one, o})
	}
	return out
}

func from(one int, others []int) (out []link) {
	for _, o := range others {
		out = append(out, link{o, one})
	}
	return out
}

// coordinators are those of the hosts that coordinate.
func (f *fleet) coordinators(hosts []int) []int {
	return slices.DeleteFunc(slices.Clone(hosts), func(i int) bool { return i == rig.Outside || f.Nodes[i-1].Address == "" })
}

func (f *fleet) cut(links []link) {
	f.t.Helper()
	for _, l := range links {
		if err := f.lan.Cut(l.from, l.to); err != nil {
			f.t.Fatal(err)
		}
	}
}

func (f *fleet) heal(links []link) {
	f.t.Helper()
	for _, l := range links {
		if err := f.lan.Heal(l.from, l.to); err != nil {
			f.t.Fatal(err)
		}
	}
}

// cutLeader cuts links of the leader of group 0 for a while.
func (f *fleet) cutLeader(name string, watch time.Duration, which func(leader int, others []int) []link) {
	f.t.Helper()
	leader, _ := f.leader(0)
	at := slices.Index(f.Nodes, leader) + 1
	others := []int{rig.Outside}
	for i := range f.Nodes {
		if i+1 != at {
			others = append(others, i+1)
		}
	}
	links := which(at, others)
	r := f.fault(name, watch, func() { f.cut(links) })
	f.heal(links)
	f.atMostQuiet(r, electionMost)
	f.settled(time.Minute)
}

// cutWorker cuts the last node off for longer than its leases last. It reaches
// the site all the time, and must not go on.
func (f *fleet) cutWorker(name string, links []link) {
	f.t.Helper()
	me := f.lan.Address(len(f.Nodes))
	at := time.Now()
	r := f.fault(name, leaseMost+2*time.Second, func() { f.cut(links) })
	cut := time.Now()
	f.heal(links)
	f.atMostQuiet(r, electionMost)
	mine, taken := map[string]bool{}, 0
	var last, first time.Time
	for _, h := range f.web.Hits() {
		key := h.Host + h.Path
		switch {
		case h.Remote == me && h.At.Before(cut):
			mine[key] = true
			if h.At.After(at) {
				last = h.At
			}
		case h.Remote != me && mine[key] && h.At.After(at):
			if taken++; taken == 1 {
				first = h.At
			}
		}
	}
	f.t.Logf("%s: its last request came %s after, %d pages it had asked for were asked for by others, from %s on", name, last.Sub(at).Round(10*time.Millisecond), taken, first.Sub(at).Round(10*time.Millisecond))
	if late := last.Sub(at); late > 10*time.Second+promised(jitter) {
		f.t.Errorf("%s: it asked the site for a page %s after, its leases lasted 10 s", name, late)
	}
	if taken > 0 && first.Sub(at) > promised(leaseMost) {
		f.t.Errorf("%s: what it held was out again after %s only", name, first.Sub(at))
	}
	eventuallySay(f.t, time.Minute, func() string { return "the worker is at work again" }, func() bool {
		n := 0
		for _, h := range f.web.Hits() {
			if h.Remote == me && h.At.After(cut) {
				n++
			}
		}
		return n > 20 || f.web.Count() >= f.pages()
	})
	f.t.Logf("%s: it works again %s after it was healed", name, time.Since(cut).Round(10*time.Millisecond))
}
