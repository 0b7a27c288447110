package e2e

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// TestClusterStorm: faults drawn at random, one over the other: kills of any
// nodes, links cut in one direction or both, a Store that fails. Whatever comes
// together, nothing is lost.
func TestClusterStorm(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if *stormSeed != 0 {
		seed = *stormSeed
	}
	t.Logf("seed of the storm: %d", seed)
	w := &storm{
		fleet: newFleet(t, shape{groups: 4, nodes: 3, hands: 1, hosts: 3, lan: true, pages: size(900, 14_000)}),
		r:     rand.New(rand.NewPCG(seed, 0)),
	}
	w.web.Delay(time.Duration(size(1000, 400)) * time.Millisecond)
	w.crawl("one")
	w.reach(w.pages() / 50)
	for i := range size(6, 40) {
		if w.web.Count() > w.pages()*9/10 {
			t.Logf("%d gusts were enough", i)
			break
		}
		w.gust(i)
	}
	w.calm()
	s := w.finish("one", 5*time.Minute)
	dups, a := w.saved("one", s)
	t.Logf("%d requests for %d pages, %d saved twice, %d segments", w.web.Count(), w.pages(), dups, len(a.Segments))
}

// storm is a fleet in bad weather.
type storm struct {
	*fleet
	r     *rand.Rand
	links []link
	away  bool // the Store's process is
}

// gust does one kind of harm, or two, for a while, and ends some of what was
// done before.
func (w *storm) gust(i int) {
	w.t.Helper()
	var did []string
	for range 1 + w.r.IntN(2) {
		did = append(did, w.harm())
	}
	lasts := time.Duration(500+w.r.IntN(7000)) * time.Millisecond
	w.t.Logf("gust %d, for %s: %s", i, lasts, strings.Join(did, "; "))
	pauseFor(w.t, lasts)
	w.calm()
	n := w.web.Count()
	eventuallySay(w.t, time.Minute, func() string { return fmt.Sprintf("progress after gust %d (%s)", i, strings.Join(did, "; ")) }, func() bool {
		return w.web.Count() > n+5 || w.web.Count() >= w.pages()
	})
	pauseFor(w.t, time.Duration(w.r.IntN(3000))*time.Millisecond)
}

func (w *storm) harm() string {
	switch w.r.IntN(6) {
	case 0, 1:
		return w.kills()
	case 2, 3:
		return w.cuts()
	case 4:
		mode := []int{rig.Unwilling, rig.Cutting, rig.Slow, rig.Silent}[w.r.IntN(4)]
		w.b.weather.Set(mode)
		return fmt.Sprint("weather ", mode)
	}
	if !w.away {
		w.b.m.Kill()
		w.away = true
	}
	return "the store is killed"
}

// kills ends some nodes; some of them are started again at once.
func (w *storm) kills() string {
	var names []string
	for i, n := range w.Nodes {
		if w.r.IntN(2) == 0 {
			continue
		}
		n.Kill()
		names = append(names, fmt.Sprint(i+1))
		if w.r.IntN(2) == 0 {
			w.start(n)
		}
	}
	return "killed " + strings.Join(names, " ")
}

// cuts loses what goes over some links.
func (w *storm) cuts() string {
	var names []string
	for from := 0; from <= len(w.Nodes); from++ {
		for to := 0; to <= len(w.Nodes); to++ {
			if from == to || w.r.IntN(4) > 0 {
				continue
			}
			l := link{from, to}
			w.cut([]link{l})
			w.links = append(w.links, l)
			names = append(names, fmt.Sprintf("%d-%d", from, to))
		}
	}
	return "cut " + strings.Join(names, " ")
}

// calm ends all harm.
func (w *storm) calm() {
	w.t.Helper()
	for _, l := range w.links {
		_ = w.lan.Heal(l.from, l.to) // cut twice, healed once
	}
	w.links = nil
	w.b.weather.Set(rig.Fair)
	if w.away {
		if err := w.b.m.Start(); err != nil {
			w.t.Fatal(err)
		}
		w.away = false
	}
	for _, n := range w.Nodes {
		if !n.Running() {
			w.start(n)
		}
	}
}
