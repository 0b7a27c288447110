package coordinator

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/hashicorp/raft"
)

// TestLogCacheTellsNoOther: whatever is written and deleted, what the cache has
// of a log is what the log has, and the newest entry is in it.
func TestLogCacheTellsNoOther(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	disk, c, term := raft.NewInmemStore(), &logCache{}, uint64(1)
	for range 3000 {
		first, _ := disk.FirstIndex()
		last, _ := disk.LastIndex()
		switch n := r.IntN(10); {
		case n < 7: // what came is written
			var logs []*raft.Log
			for i := range r.Uint64N(20) + 1 {
				logs = append(logs, &raft.Log{Index: last + 1 + i, Term: term, Data: bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(40<<10))})
			}
			must(t, disk.StoreLogs(logs))
			c.put(logs)
			var got raft.Log
			if at := logs[len(logs)-1].Index; !c.get(at, &got) {
				t.Fatalf("entry %d was written and is not here", at)
			}
		case n < 8 && last > 0: // another leader's tail
			term++
			from := first + r.Uint64N(last-first+1)
			c.cut(from, last)
			must(t, disk.DeleteRange(from, last))
		case n < 9 && last > 0: // behind a snapshot
			to := first + r.Uint64N(last-first+1)
			c.cut(first, to)
			must(t, disk.DeleteRange(first, to))
		case last > 0: // a snapshot that is far ahead
			c.cut(first, last)
			must(t, disk.DeleteRange(first, last))
			at := last + 1 + r.Uint64N(50)
			logs := []*raft.Log{{Index: at, Term: term, Data: []byte("ahead")}}
			must(t, disk.StoreLogs(logs))
			c.put(logs)
		}
		agree(t, disk, c)
	}
}

func agree(t *testing.T, disk *raft.InmemStore, c *logCache) {
	t.Helper()
	sum := 0
	for i := range c.logs {
		var have, got raft.Log
		at := c.logs[i].Index
		if err := disk.GetLog(at, &have); err != nil || !c.get(at, &got) {
			t.Fatalf("entry %d is in the cache; the log says %v", at, err)
		}
		if got.Term != have.Term || !bytes.Equal(got.Data, have.Data) {
			t.Fatalf("entry %d is of term %d with %d bytes, in the log of term %d with %d", at, got.Term, len(got.Data), have.Term, len(have.Data))
		}
		sum += sizeOf(&got)
	}
	if sum != c.bytes || sum > mostCached {
		t.Fatalf("%d bytes are counted, there are %d, at most %d are allowed", c.bytes, sum, mostCached)
	}
	if n := len(c.logs); n > 0 {
		var l raft.Log
		if c.get(c.logs[0].Index-1, &l) || c.get(c.logs[n-1].Index+1, &l) {
			t.Fatal("the cache has what is not in it")
		}
	}
}

// TestLogCacheGap: entries before a gap are not taken for those after it.
func TestLogCacheGap(t *testing.T) {
	c := &logCache{}
	c.put([]*raft.Log{{Index: 1}, {Index: 2}})
	c.put([]*raft.Log{{Index: 9, Term: 4}})
	var l raft.Log
	if c.get(2, &l) || c.get(3, &l) || !c.get(9, &l) || l.Term != 4 {
		t.Errorf("%+v", c.logs)
	}
	c.put([]*raft.Log{{Index: 10}, {Index: 11}})
	c.cut(10, 10)
	if c.get(9, &l) || c.get(10, &l) || c.get(11, &l) || c.bytes != 0 {
		t.Errorf("after a cut in the middle: %+v", c.logs)
	}
}

// TestLogStoreReadsWhatItWrote through the cache and beyond it, and nothing
// that was deleted.
func TestLogStoreReadsWhatItWrote(t *testing.T) {
	l, err := openLog(t.TempDir(), nil, logSegment, raftLogger(slog.New(slog.DiscardHandler)), func(error) {})
	must(t, err)
	defer l.Close()
	data := bytes.Repeat([]byte("x"), 100<<10)
	for i := range uint64(60) { // 6 MB
		must(t, l.StoreLog(&raft.Log{Index: i + 1, Term: 1, Data: data}))
	}
	var got raft.Log
	for _, at := range []uint64{1, 60} {
		if err := l.GetLog(at, &got); err != nil || got.Index != at || !bytes.Equal(got.Data, data) {
			t.Errorf("entry %d: %d with %d bytes, %v", at, got.Index, len(got.Data), err)
		}
	}
	if l.new.get(1, &got) || !l.new.get(60, &got) {
		t.Error("the cache has not the newest entries")
	}
	must(t, l.DeleteRange(50, 60))
	if err := l.GetLog(55, &got); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("a deleted entry: %v", err)
	}
	must(t, l.StoreLogs([]*raft.Log{{Index: 50, Term: 2, Data: []byte("new")}}))
	if err := l.GetLog(50, &got); err != nil || got.Term != 2 || string(got.Data) != "new" {
		t.Errorf("the entry in its place: %+v, %v", got, err)
	}
}
