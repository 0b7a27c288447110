package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"
)

// looseDisk does not sync: here nothing but the process crashes.
type looseDisk struct{ types.VFS }

type looseFile struct{ types.WritableFile }

func (looseFile) Sync() error { return nil }

func (d looseDisk) Create(dir, name string, size uint64) (types.WritableFile, error) {
	f, err := d.VFS.Create(dir, name, size)
	return looseFile{f}, err
}

func (d looseDisk) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := d.VFS.OpenWriter(dir, name)
	return looseFile{f}, err
}

// storm is three replicas among random partitions and crashes.
type storm struct {
	*cluster
	rnd *rand.Rand

	mu    sync.RWMutex // held while a replica is replaced
	acked []string
	lead  map[uint64]int // by term
}

// propose makes every node propose from time to time, and remembers what was
// acknowledged.
func (s *storm) propose(ctx context.Context, node int) {
	for i := 0; ctx.Err() == nil; i++ {
		time.Sleep(300 * time.Millisecond)
		e := fmt.Sprintf("%d.%d", node, i)
		s.mu.RLock()
		g := s.groups[node]
		s.mu.RUnlock()
		if _, err := g.propose(ctx, []byte(e)); err == nil {
			s.mu.Lock()
			s.acked = append(s.acked, e)
			s.mu.Unlock()
		}
	}
}

// watch notes who leads which term.
func (s *storm) watch(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		s.mu.Lock()
		for i, g := range s.groups {
			r := g.newest.Load()
			term := r.CurrentTerm()
			if r.State() != raft.Leader || r.CurrentTerm() != term {
				continue
			}
			if other, ok := s.lead[term]; ok && other != i {
				s.t.Errorf("term %d has two leaders, %d and %d", term, other, i)
			}
			s.lead[term] = i
		}
		s.mu.Unlock()
	}
}

// blow is one blow of the storm.
func (s *storm) blow() {
	i, j := s.rnd.IntN(3), s.rnd.IntN(3)
	switch s.rnd.IntN(7) {
	case 0:
		s.cut(i)
	case 1, 2:
		if i != j { // one direction
			s.nets[i].Disconnect(s.peers[j].Address)
		}
	case 3:
		s.mu.RLock()
		_ = s.groups[i].snapshot() // it may have nothing to take
		s.mu.RUnlock()
	case 4:
		s.restart(i)
	default:
		for i := range 3 {
			s.connect(i)
		}
	}
}

// restart crashes a node and starts it on its files.
func (s *storm) restart(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	crash(s.t, s.groups[i])
	g, err := startReplica(s.confs[i])
	must(s.t, err)
	s.groups[i] = g
}

// TestStorm is ten minutes of it on a clock of its own: a term has one leader,
// and at the end all replicas hold the same entries, each acknowledged one among
// them exactly once.
func TestStorm(t *testing.T) {
	seeds := uint64(1)
	if os.Getenv(measureEnv) != "" {
		seeds = 20
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			s := &storm{cluster: newCluster(t, 20, looseDisk{walfs.New()}), rnd: rand.New(rand.NewPCG(seed, 1)), lead: map[uint64]int{}}
			ctx, cancel := context.WithCancel(t.Context())
			var all sync.WaitGroup
			for i := range 3 {
				all.Go(func() { s.propose(ctx, i) })
			}
			all.Go(func() { s.watch(ctx) })
			for end := time.Now().Add(10 * time.Minute); time.Now().Before(end); {
				time.Sleep(time.Duration(s.rnd.IntN(4000)) * time.Millisecond)
				s.blow()
			}
			for i := range 3 {
				s.connect(i)
			}
			time.Sleep(30 * time.Second)
			cancel()
			all.Wait()
			time.Sleep(10 * time.Second)
			s.judge()
		})
	}
}

func (s *storm) judge() {
	first := entriesOf(s.groups[0])
	for i := 1; i < 3; i++ {
		if d := cmp.Diff(first, entriesOf(s.groups[i])); d != "" {
			s.t.Errorf("replicas 0 and %d differ:\n%s", i, d)
		}
	}
	count := map[string]int{}
	for _, e := range first {
		count[e]++
	}
	for _, e := range s.acked {
		if count[e] != 1 {
			s.t.Errorf("entry %s was acknowledged and is there %d times", e, count[e])
		}
	}
	terms := len(s.lead)
	s.t.Logf("%d entries acknowledged, %d written, %d terms with a leader", len(s.acked), len(first), terms)
	if len(s.acked) < 300 || terms < 20 {
		s.t.Errorf("%d entries acknowledged in %d terms: hardly a storm", len(s.acked), terms)
	}
}
