package coordinator

import (
	"fmt"
	"os"
	"testing"
	"time"

	"salvor/api"
)

// out waits until a node has no part in any group.
func (f *fleet) out(gone int, left int) {
	f.t.Helper()
	f.away[gone] = true // it does not hear that it is out
	f.eventually("it is out of all groups", 2*time.Minute, func() bool {
		for g := range f.groups {
			at := f.leader(g)
			if at < 0 {
				return false
			}
			if s := f.nodes[at].Status()[g]; len(s.Voters)+len(s.Nonvoters) != left {
				return false
			}
		}
		return true
	})
	f.crash(f.nodes[gone])
}

// A cluster of three shrinks to one, each time by the node that leads group 0,
// and grows again; nothing is lost.
func TestShrinksToOne(t *testing.T) {
	virtual(t, 2, func(t *testing.T, f *fleet, m *memnet) {
		f.three()
		l := f.load()
		for left := 2; left >= 1; left-- {
			gone := f.leader(0)
			f.announce(f.record(gone, api.NodeRemoved))
			f.out(gone, left)
		}
		time.Sleep(5 * time.Second)
		f.start(3)
		f.announce(f.record(3, api.NodeActive))
		f.eventually("two vote", time.Minute, func() bool { return f.voters(2) })
		l.end()
		var up []int
		for i := range f.nodes {
			if f.up[i] {
				up = append(up, i)
			}
		}
		f.agree(up...)
	})
}

// Of two coordinators the one that does not lead loses its disk: the other takes
// its vote, so that the group is led on, and it gets one again.
func TestOneOfTwoIsWiped(t *testing.T) {
	virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
		f.start(0)
		f.announce(f.record(0, api.NodeActive))
		f.grow(1, 2)
		for i := range 50 {
			f.set("load", fmt.Sprint(i), []byte("x"))
		}
		f.eventually("node 0 leads", time.Minute, func() bool {
			if l := f.leader(0); l == 1 {
				_ = f.nodes[1].handOver(t.Context(), f.nodes[1].Group(0), f.nodes[1].heirs(f.nodes[1].Group(0)))
			}
			return f.leader(0) == 0
		})
		f.crash(f.nodes[1])
		must(t, os.RemoveAll(f.nodes[1].c.Dir))
		f.start(1)
		f.eventually("both vote again", 2*time.Minute, func() bool {
			ok, _ := f.nodes[1].Ready()
			return ok && f.voters(2)
		})
		f.agree(0, 1)
		f.set("test", "after", []byte("1"))
	})
}
