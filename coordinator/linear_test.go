package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/hashicorp/raft"

	"salvor"
	"salvor/api"
)

// A row of the registry as porcupine sees it: version 0 and "" while there is
// none.
type row struct {
	version uint64
	value   string
}

// access is one call: a read, or a write in the place of a version.
type access struct {
	key   string
	write bool
	put   row // version: the one to be replaced
}

// result is what came of it.
type result struct {
	row     row // of a read; of a write the new version
	refused bool
	unknown bool // it may have been done, or be done later
	nothing bool // sent elsewhere: surely not done
}

// registers is a registry of rows that are replaced by version. A write whose
// outcome is unknown gives the row a version nobody knows yet, hence the set of
// what it may be.
var registers = (&porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		by := map[string][]porcupine.Operation{}
		for _, o := range history {
			k := o.Input.(access).key
			by[k] = append(by[k], o)
		}
		var all [][]porcupine.Operation
		for _, list := range by {
			all = append(all, list)
		}
		return all
	},
	Init: func() []any { return []any{row{}} },
	Step: func(state, input, output any) []any {
		now, in, out := state.(row), input.(access), output.(result)
		// unseen: written by a call that got no answer, its version is read
		// later for the first time.
		unseen := now.version == unseenVersion
		switch {
		case out.nothing || !in.write && out.unknown:
			return []any{now}
		case !in.write:
			if now.value == out.row.value && (now.version == out.row.version || unseen && out.row.version > 0) {
				return []any{out.row}
			}
			return nil
		case out.unknown:
			next := []any{now}
			if now.version == in.put.version || unseen {
				next = append(next, row{unseenVersion, in.put.value})
			}
			return next
		case out.refused:
			if now.version != in.put.version {
				return []any{now}
			}
			return nil
		}
		if now.version == in.put.version || unseen && in.put.version > 0 {
			return []any{row{out.row.version, in.put.value}}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
}).ToModel()

const unseenVersion = ^uint64(0)

// history is what several clients did and saw.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (h *history) add(client int, in access, f func() result) {
	call := time.Since(h.began).Nanoseconds()
	out := f()
	back := time.Since(h.began).Nanoseconds()
	if out.unknown {
		back = 1 << 62 // it may take effect at any time from now on
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: back})
}

// client reads and writes rows. A third of them asks node 0 alone and another
// the others, so that not all wait for a leader that is cut off; the last third
// only reads.
func (h *history) client(ctx context.Context, f *fleet, id, keys int) {
	rnd := rand.New(rand.NewPCG(uint64(id), 7))
	seen := map[string]uint64{}
	for i := 0; ctx.Err() == nil; i++ {
		time.Sleep(time.Duration(rnd.IntN(25)) * time.Millisecond)
		g := f.nodes[0].Group(0)
		if id%3 == 1 || id%3 == 2 && rnd.IntN(2) == 0 {
			g = f.nodes[1+rnd.IntN(2)].Group(0)
		}
		in := access{key: fmt.Sprintf("key-%02d", rnd.IntN(keys))}
		if in.write = id%3 != 2 && rnd.IntN(2) == 0; in.write {
			in.put = row{seen[in.key], fmt.Sprintf("%d.%d", id, i)}
		}
		// Followers answer at once, and that is no history.
		if !g.leads() {
			continue
		}
		h.add(id, in, func() result { return h.do(g, in, seen) })
	}
}

func (h *history) do(g *Group, in access, seen map[string]uint64) result {
	if in.write {
		v, err := g.SetRecord(context.Background(), api.Record{Table: "t", Key: in.key, Value: []byte(in.put.value), Version: in.put.version})
		switch {
		case err == nil:
			seen[in.key] = v
			return result{row: row{version: v}}
		case salvor.ClassOf(err) == salvor.Conflict:
			return result{refused: true}
		}
		return result{unknown: notLeader(err) == nil, nothing: notLeader(err) != nil}
	}
	rows, err := g.Records(context.Background(), "t")
	if err != nil {
		return result{nothing: true}
	}
	seen[in.key] = 0
	for _, r := range rows {
		if r.Key == in.key {
			seen[in.key] = r.Version
			return result{row: row{r.Version, string(r.Value)}}
		}
	}
	return result{}
}

// TestLinearizable lets clients read and write single rows while the leader is
// cut off again and again, and has porcupine look for an order of all calls
// that explains what each saw.
func TestLinearizable(t *testing.T) {
	span := 40 * time.Second
	if os.Getenv(measureEnv) != "" {
		span = 5 * time.Minute
	}
	for _, verb := range []string{"cut", "hand over"} {
		h := &history{}
		virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
			// Node 0 is slow to notice that it was deposed: without more than its
			// lease it would answer from the past.
			f.conf = func(c *NodeConfig) {
				if c.ID == nodeName(0) && verb == "cut" {
					c.timing.election = 6 * time.Second
				}
			}
			f.three()
			h.began = time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), span)
			defer cancel()
			var all sync.WaitGroup
			for i := range 6 {
				all.Go(func() { h.client(ctx, f, i, 24) })
			}
			all.Go(func() { f.disturb(ctx, m, verb) })
			all.Wait()
		})
		h.judge(t)
	}
}

// disturb cuts the leader off, each time in another way, or hands its lead over.
func (f *fleet) disturb(ctx context.Context, m *memnet, verb string) {
	for i := 0; ctx.Err() == nil; i++ {
		time.Sleep(1500 * time.Millisecond)
		at := f.leader(0)
		if at < 0 {
			continue
		}
		if verb != "cut" || i%2 == 0 && at != 0 {
			g := f.nodes[at].Group(0)
			heirs := f.nodes[at].heirs(g)
			if verb == "cut" {
				heirs = slices.DeleteFunc(heirs, func(s raft.Server) bool { return string(s.ID) != nodeName(0) })
			}
			_ = f.nodes[at].handOver(ctx, g, heirs) // whoever leads is cut off next
			continue
		}
		for j := range 3 {
			if j != at {
				m.set(at, j, i%3 != 1)
				m.set(j, at, i%3 != 2)
			}
		}
		time.Sleep(7 * time.Second)
		m.isolate(at, 3, false)
	}
}

func (h *history) judge(t *testing.T) {
	known := 0
	for _, o := range h.ops {
		if !o.Output.(result).unknown {
			known++
		}
	}
	t.Logf("%d calls, the outcome of %d is unknown", len(h.ops), len(h.ops)-known)
	if known < 500 {
		t.Errorf("only %d calls were answered", known)
	}
	if r := porcupine.CheckOperationsTimeout(registers, h.ops, time.Minute); r != porcupine.Ok {
		t.Errorf("not linearizable: %s", r)
	}
}
