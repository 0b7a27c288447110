package storagetest

import (
	"bytes"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"salvor"
	"salvor/storage"
)

const racers = 32

func rounds() int {
	if testing.Short() {
		return 3
	}
	return 10
}

// race starts f racers times at once and waits for all.
func race(f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// Of racers with different contents exactly one wins, the others get
// Conflict, and the object is the winner's.
func testRaceOther(t *testing.T, s storage.Store) {
	for round := range rounds() {
		key := fmt.Sprintf("race/%d", round)
		var winners atomic.Int32
		var winner atomic.Int32
		race(func(i int) {
			info, err := s.Put(t.Context(), key, storage.BytesBlob(pattern(byte(i), 2000)), storage.PutOptions{})
			switch {
			case err == nil && !info.Existed:
				winners.Add(1)
				winner.Store(int32(i))
			case err == nil:
				t.Errorf("round %d: racer %d found its own content there", round, i)
			case salvor.ClassOf(err) != salvor.Conflict:
				t.Errorf("round %d: racer %d: %v", round, i, err)
			}
		})
		if winners.Load() != 1 {
			t.Fatalf("round %d: %d winners", round, winners.Load())
		}
		if !bytes.Equal(get(t, s, key), pattern(byte(winner.Load()), 2000)) {
			t.Errorf("round %d: the object is not the winner's", round)
		}
	}
}

// Of racers with the same content all succeed, one of them as the first.
func testRaceSame(t *testing.T, s storage.Store) {
	for round := range rounds() {
		key := fmt.Sprintf("race/%d", round)
		var first atomic.Int32
		race(func(i int) {
			info, err := s.Put(t.Context(), key, storage.BytesBlob(pattern(1, 2000)), storage.PutOptions{})
			if err != nil {
				t.Errorf("round %d: racer %d: %v", round, i, err)
			} else if !info.Existed {
				first.Add(1)
			}
		})
		if first.Load() != 1 {
			t.Errorf("round %d: %d racers were the first", round, first.Load())
		}
	}
}

// Puts that race with deletes of the same key fail cleanly or succeed; what is
// there in the end is whole.
func testRaceDelete(t *testing.T, s storage.Store) {
	want := pattern(1, 2000)
	race(func(i int) {
		if i%2 == 0 {
			if err := s.Delete(t.Context(), "k"); err != nil {
				t.Errorf("delete: %v", err)
			}
			return
		}
		if _, err := s.Put(t.Context(), "k", storage.BytesBlob(want), storage.PutOptions{}); err != nil && salvor.ClassOf(err) != salvor.Unavailable {
			t.Errorf("put: %v", err)
		}
	})
	put(t, s, "k", want)
	if !bytes.Equal(get(t, s, "k"), want) {
		t.Error("content differs")
	}
}

// Readers never see a part of what is being put, and a listing never shows an
// object that cannot be read whole.
func testReadersWriters(t *testing.T, s storage.Store) {
	const objects, size = 20, 40_000
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for !done.Load() {
				readListed(t, s, size)
			}
		})
	}
	for i := range objects {
		put(t, s, fmt.Sprintf("o/%02d", i), pattern(byte(i), size))
	}
	done.Store(true)
	wg.Wait()
	if n := readListed(t, s, size); n != objects {
		t.Errorf("%d objects listed, %d put", n, objects)
	}
}

func readListed(t *testing.T, s storage.Store, size int) (n int) {
	for info, err := range s.List(t.Context(), "o/", "") {
		if err != nil {
			t.Errorf("list: %v", err)
			return n
		}
		n++
		var i int
		fmt.Sscanf(info.Key, "o/%d", &i)
		r, _, err := s.Get(t.Context(), info.Key)
		if err != nil {
			t.Errorf("get: %v", err)
			return n
		}
		if got := drain(t, info.Key, r); !bytes.Equal(got, pattern(byte(i), size)) || info.Size != int64(size) {
			t.Errorf("%s: %d bytes listed, %d read, or not those put", info.Key, info.Size, len(got))
			return n
		}
	}
	return n
}
