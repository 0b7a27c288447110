package storagetest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"salvor"
	"salvor/storage"
)

func testRange(t *testing.T, s storage.Store) {
	data := pattern(10, 1000)
	put(t, s, "k", data)
	put(t, s, "empty", nil)
	for _, c := range []struct{ off, n, want int64 }{
		{0, 1000, 1000}, {0, -1, 1000}, {0, 1, 1}, {999, 1, 1}, {999, 5, 1}, {500, -1, 500},
		{0, 2000, 1000}, {1000, 1, 0}, {1000, -1, 0}, {0, 0, 0}, {500, 0, 0}, {1, math.MaxInt64, 999},
	} {
		r, err := s.Range(t.Context(), "k", c.off, c.n)
		if err != nil {
			t.Errorf("range %d+%d: %v", c.off, c.n, err)
			continue
		}
		if got := drain(t, "k", r); !bytes.Equal(got, data[c.off:c.off+c.want]) {
			t.Errorf("range %d+%d: %d bytes, want %d, or others than put", c.off, c.n, len(got), c.want)
		}
	}
	for _, off := range []int64{-1, 1001, math.MaxInt64, math.MinInt64} {
		_, err := s.Range(t.Context(), "k", off, 1)
		wantClass(t, fmt.Sprintf("range at %d", off), err, salvor.Invalid)
	}
	r, err := s.Range(t.Context(), "empty", 0, 10)
	if err != nil {
		t.Fatalf("range of an empty object: %v", err)
	}
	if got := drain(t, "empty", r); len(got) != 0 {
		t.Errorf("an empty object gave %d bytes", len(got))
	}
}

// listed are keys in which the order of directories differs from that of the
// bytes: '-' and '.' sort before '/', '0' after it.
var listed = []string{
	"a", "b-c", "b.c", "b/c", "b/c-d", "b/c0", "b/d/e", "b/d/f", "b0", "bb/x", "c/1", "c/10", "c/2", "d/e/f/g",
}

func testList(t *testing.T, s storage.Store) {
	for i := range listed {
		put(t, s, listed[(i*5)%len(listed)], []byte{byte(i)})
	}
	prefixes := []string{"", "b", "b/", "b/c", "b/d/", "b/d/e", "b/d/e/", "c/1", "d", "d/e/f/", "x", "a/", "zzz/", "B"}
	afters := append([]string{"", "b", "b/", "b/d", "b/d/e0", "b/zzz", "c", "zzz", "A"}, listed...)
	for _, prefix := range prefixes {
		for _, after := range afters {
			var want []string
			for _, k := range listed {
				if strings.HasPrefix(k, prefix) && k > after {
					want = append(want, k)
				}
			}
			if got := keys(t, s, prefix, after); !slices.Equal(got, want) {
				t.Errorf("list %q after %q:\n got %v\nwant %v", prefix, after, got, want)
			}
		}
	}
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil || info.Size != 1 {
			t.Errorf("list yields %+v, %v", info, err)
		}
	}
}

// More objects than any page of any Store holds.
func testListPaging(t *testing.T, s storage.Store) {
	n := 1100
	if testing.Short() {
		n = 300
	}
	want := make([]string, n)
	race(func(worker int) {
		for i := worker; i < n; i += racers {
			want[i] = fmt.Sprintf("p/%d/%05d", i*7/n, i)
			put(t, s, want[i], nil)
		}
	})
	if got := keys(t, s, "p/", ""); !slices.Equal(got, want) {
		t.Fatalf("list has %d keys or another order, put were %d", len(got), n)
	}
	var got []string
	for after := ""; ; after = got[len(got)-1] {
		before := len(got)
		for info, err := range s.List(t.Context(), "", after) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, info.Key); len(got)-before == 97 {
				break
			}
		}
		if len(got) == before {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("paging gave %d keys or another order, put were %d", len(got), n)
	}
}

// Leaving a listing early harms nothing, and the sequence can be used again.
func testListEarlyBreak(t *testing.T, s storage.Store) {
	for _, k := range listed {
		put(t, s, k, nil)
	}
	seq := s.List(t.Context(), "", "")
	for range 3 {
		n := 0
		for _, err := range seq {
			if n++; err != nil || n == 3 {
				break
			}
		}
		if n != 3 {
			t.Errorf("left after %d", n)
		}
	}
}
