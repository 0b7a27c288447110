// Package storagetest is the conformance suite of storage.Store: every
// promise of the interface as a test that a wrong Store fails. Implementations
// call Run from a test of their own.
package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"testing"

	"salvor"
	"salvor/storage"
)

// Run runs the suite. open must return an empty Store each time and clean up
// with t.Cleanup; the Stores of different subtests may be in use at once.
func Run(t *testing.T, open func(t *testing.T) storage.Store) {
	for name, f := range map[string]func(*testing.T, storage.Store){
		"PutGet":         testPutGet,
		"PutSame":        testPutSame,
		"PutOther":       testPutOther,
		"PutLyingBlob":   testPutLyingBlob,
		"PutBrokenBlob":  testPutBrokenBlob,
		"PutFile":        testPutFile,
		"Big":            testBig,
		"RaceOther":      testRaceOther,
		"RaceSame":       testRaceSame,
		"RaceDelete":     testRaceDelete,
		"ReadersWriters": testReadersWriters,
		"Range":          testRange,
		"List":           testList,
		"ListPaging":     testListPaging,
		"ListEarlyBreak": testListEarlyBreak,
		"Delete":         testDelete,
		"Missing":        testMissing,
		"Keys":           testKeys,
		"Cancelled":      testCancelled,
		"CancelPut":      testCancelPut,
		"CancelRead":     testCancelRead,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f(t, open(t))
		})
	}
}

func put(t *testing.T, s storage.Store, key string, data []byte) storage.Info {
	t.Helper()
	info, err := s.Put(t.Context(), key, storage.BytesBlob(data), storage.PutOptions{})
	if err != nil {
		t.Fatalf("put %s: %v", key, err)
	}
	return info
}

func get(t *testing.T, s storage.Store, key string) []byte {
	t.Helper()
	r, _, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatalf("get %s: %v", key, err)
	}
	return drain(t, key, r)
}

func drain(t *testing.T, key string, r io.ReadCloser) []byte {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("read %s: %v", key, err)
	}
	if err := r.Close(); err != nil {
		t.Fatalf("close %s: %v", key, err)
	}
	return data
}

func wantClass(t *testing.T, what string, err error, c salvor.ErrorClass) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want %v", what, c)
	} else if salvor.ClassOf(err) != c {
		t.Errorf("%s: class %v (%v), want %v", what, salvor.ClassOf(err), err, c)
	}
}

func wantAbsent(t *testing.T, s storage.Store, key string) {
	t.Helper()
	_, err := s.Stat(t.Context(), key)
	wantClass(t, "stat "+key, err, salvor.NotFound)
}

// keys lists a Store and fails on errors.
func keys(t *testing.T, s storage.Store, prefix, after string) []string {
	t.Helper()
	var got []string
	for info, err := range s.List(t.Context(), prefix, after) {
		if err != nil {
			t.Fatalf("list %q after %q: %v", prefix, after, err)
		}
		got = append(got, info.Key)
	}
	return got
}

// pattern is n bytes that differ from those of every other seed and offset
// nearby, so that a shifted or mixed read shows.
func pattern(seed byte, n int) []byte {
	b := make([]byte, n)
	x := uint32(seed)*2654435761 + 1
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

func testPutGet(t *testing.T, s storage.Store) {
	for _, data := range [][]byte{nil, []byte("x"), []byte("\x00\xff\r\n"), pattern(1, 1<<16+1)} {
		key := fmt.Sprintf("a/b-%d", len(data))
		info := put(t, s, key, data)
		want := sha256.Sum256(data)
		if info.Key != key || info.Size != int64(len(data)) || info.SHA256 != want || info.Existed {
			t.Errorf("put answered %+v", info)
		}
		r, info, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, key, r); !bytes.Equal(got, data) {
			t.Errorf("%s: read %d bytes that differ from the %d put", key, len(got), len(data))
		}
		if info.Key != key || info.Size != int64(len(data)) || info.Modified.IsZero() {
			t.Errorf("get answered %+v", info)
		}
		st, err := s.Stat(t.Context(), key)
		if err != nil || st.Key != key || st.Size != int64(len(data)) {
			t.Errorf("stat answered %+v, %v", st, err)
		}
		if st.SHA256 != want && st.SHA256 != [32]byte{} {
			t.Errorf("stat made up the digest %x", st.SHA256)
		}
		if sum, err := s.Checksum(t.Context(), key); err != nil || sum != want {
			t.Errorf("checksum %x, %v; want %x", sum, err, want)
		}
	}
}

func testPutSame(t *testing.T, s storage.Store) {
	data := pattern(2, 5000)
	put(t, s, "k", data)
	for range 3 {
		info := put(t, s, "k", data)
		if !info.Existed || info.SHA256 != sha256.Sum256(data) || info.Size != 5000 {
			t.Errorf("second put answered %+v", info)
		}
	}
}

func testPutOther(t *testing.T, s storage.Store) {
	data := pattern(3, 5000)
	put(t, s, "k", data)
	flipped := bytes.Clone(data)
	flipped[4999] ^= 1
	for _, other := range [][]byte{nil, flipped, data[:4999], append(bytes.Clone(data), 0)} {
		_, err := s.Put(t.Context(), "k", storage.BytesBlob(other), storage.PutOptions{})
		wantClass(t, "put of another content", err, salvor.Conflict)
	}
	if got := get(t, s, "k"); !bytes.Equal(got, data) {
		t.Error("a refused put changed the object")
	}
}

func testMissing(t *testing.T, s storage.Store) {
	put(t, s, "dir/there", nil)
	for _, key := range []string{"missing", "dir/missing", "dir", "no/such/dir", "dir/there/below"} {
		_, err := s.Stat(t.Context(), key)
		wantClass(t, "stat "+key, err, salvor.NotFound)
		_, _, err = s.Get(t.Context(), key)
		wantClass(t, "get "+key, err, salvor.NotFound)
		_, err = s.Range(t.Context(), key, 0, 1)
		wantClass(t, "range "+key, err, salvor.NotFound)
		_, err = s.Checksum(t.Context(), key)
		wantClass(t, "checksum "+key, err, salvor.NotFound)
	}
}

func testDelete(t *testing.T, s storage.Store) {
	put(t, s, "d/k", []byte("one"))
	put(t, s, "d/other", []byte("two"))
	for _, key := range []string{"d/k", "d/k", "never/was", "d", "d/other/below"} {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Errorf("delete %s: %v", key, err)
		}
	}
	wantAbsent(t, s, "d/k")
	if got := get(t, s, "d/other"); string(got) != "two" {
		t.Errorf("the neighbour is now %q", got)
	}
	if info := put(t, s, "d/k", []byte("another")); info.Existed {
		t.Error("a deleted object existed")
	}
	if got := get(t, s, "d/k"); string(got) != "another" {
		t.Errorf("read %q", got)
	}
}

func testKeys(t *testing.T, s storage.Store) {
	for _, key := range badKeys {
		_, err := s.Put(t.Context(), key, storage.BytesBlob(nil), storage.PutOptions{})
		wantClass(t, fmt.Sprintf("put %q", key), err, salvor.Invalid)
		_, _, err = s.Get(t.Context(), key)
		wantClass(t, fmt.Sprintf("get %q", key), err, salvor.Invalid)
		_, err = s.Range(t.Context(), key, 0, 1)
		wantClass(t, fmt.Sprintf("range %q", key), err, salvor.Invalid)
		_, err = s.Stat(t.Context(), key)
		wantClass(t, fmt.Sprintf("stat %q", key), err, salvor.Invalid)
		_, err = s.Checksum(t.Context(), key)
		wantClass(t, fmt.Sprintf("checksum %q", key), err, salvor.Invalid)
		wantClass(t, fmt.Sprintf("delete %q", key), s.Delete(t.Context(), key), salvor.Invalid)
	}
	for i, key := range goodKeys {
		put(t, s, key, pattern(byte(i), 10))
	}
	for i, key := range goodKeys {
		if got := get(t, s, key); !bytes.Equal(got, pattern(byte(i), 10)) {
			t.Errorf("%q holds another content", key)
		}
	}
	if got := keys(t, s, "", ""); len(got) != len(goodKeys) {
		t.Errorf("list has %d keys, put were %d", len(got), len(goodKeys))
	}
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
