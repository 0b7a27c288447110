package s3test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"salvor"
	"salvor/storage"
)

// random is n bytes that depend on the seed only.
func random(seed uint64, n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := 0; i+8 <= n; i += 8 {
		v := r.Uint64()
		for j := range 8 {
			b[i+j] = byte(v >> (8 * j))
		}
	}
	return b
}

func read(t testing.TB, s storage.Store, key string) []byte {
	t.Helper()
	r, _, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// race puts other contents of n bytes under one key at once, each by a Store
// of its own as if by another process, and wants exactly one winner.
func race(t *testing.T, s *Server, racers, n, rounds int) {
	stores := make([]storage.Store, racers)
	b := bucket(t, s, false)
	for i := range stores {
		stores[i] = open(t, s, inBucket(b))
	}
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		var wins, winner atomic.Int64
		var wg sync.WaitGroup
		start := make(chan struct{})
		for i := range racers {
			blob := storage.BytesBlob(random(uint64(i), n))
			wg.Go(func() {
				<-start
				info, err := stores[i].Put(t.Context(), key, blob, storage.PutOptions{})
				switch {
				case err == nil && !info.Existed:
					wins.Add(1)
					winner.Store(int64(i))
				case salvor.ClassOf(err) != salvor.Conflict:
					t.Errorf("round %d, racer %d: %+v, %v", round, i, info, err)
				}
			})
		}
		close(start)
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("round %d: %d winners", round, wins.Load())
		}
		if !bytes.Equal(read(t, stores[0], key), random(uint64(winner.Load()), n)) {
			t.Errorf("round %d: the object is not the winner's", round)
		}
	}
}

func TestRaceSmall(t *testing.T) {
	each(t, func(t *testing.T, s *Server) { race(t, s, 32, 4000, 10) })
}

// The condition has to be on Complete: on the first request of an upload all
// racers would pass it.
func TestRaceLarge(t *testing.T) {
	each(t, func(t *testing.T, s *Server) { race(t, s, 8, 6<<20, 3) })
}

// Of large puts of the same content all succeed, one of them as the first.
func TestRaceSameLarge(t *testing.T) {
	each(t, func(t *testing.T, s *Server) {
		st := open(t, s, nil)
		blob := storage.BytesBlob(random(1, 11<<20))
		var first atomic.Int64
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				info, err := st.Put(t.Context(), "same", blob, storage.PutOptions{})
				if err != nil {
					t.Error(err)
				} else if !info.Existed {
					first.Add(1)
				}
			})
		}
		wg.Wait()
		if first.Load() != 1 {
			t.Errorf("%d puts were the first", first.Load())
		}
	})
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
