package storagetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"salvor"
	"salvor/storage"
)

// fakeBlob says one thing and gives another.
type fakeBlob struct {
	open func() (io.ReadSeekCloser, error)
	size int64
	sum  [32]byte
}

func (b fakeBlob) Open() (io.ReadSeekCloser, error) { return b.open() }
func (b fakeBlob) Size() int64                      { return b.size }
func (b fakeBlob) SHA256() [32]byte                 { return b.sum }

// source reads from r; hook runs before every read and may fail it.
type source struct {
	*bytes.Reader
	hook func() error
}

func (s source) Read(p []byte) (int, error) {
	if err := s.hook(); err != nil {
		return 0, err
	}
	return s.Reader.Read(p[:min(len(p), 64<<10)])
}
func (s source) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{s}) }
func (s source) Close() error                       { return nil }

func blobOf(data []byte, hook func() error) fakeBlob {
	return fakeBlob{
		open: func() (io.ReadSeekCloser, error) { return source{bytes.NewReader(data), hook}, nil },
		size: int64(len(data)), sum: sha256.Sum256(data),
	}
}

// A blob whose bytes are not what its writer counted and hashed is refused,
// and leaves nothing.
func testPutLyingBlob(t *testing.T, s storage.Store) {
	calm := func() error { return nil }
	data := pattern(4, 3000)
	longer, shorter, other := blobOf(data, calm), blobOf(data, calm), blobOf(data, calm)
	longer.size++
	shorter.size--
	other.sum[0] ^= 1
	for name, b := range map[string]fakeBlob{"longer": longer, "shorter": shorter, "other": other} {
		if _, err := s.Put(t.Context(), name, b, storage.PutOptions{}); err == nil {
			t.Errorf("a blob that is %s than said was stored", name)
		}
		wantAbsent(t, s, name)
		put(t, s, name, data)
	}
}

// A blob that cannot be read leaves nothing, and does not spoil the next try.
func testPutBrokenBlob(t *testing.T, s storage.Store) {
	boom := errors.New("boom")
	data := pattern(5, 300<<10)
	reads := 0
	broken := blobOf(data, func() error {
		if reads++; reads > 2 {
			return boom
		}
		return nil
	})
	if _, err := s.Put(t.Context(), "k", broken, storage.PutOptions{}); !errors.Is(err, boom) {
		t.Errorf("put of a broken blob: %v", err)
	}
	closed := fakeBlob{open: func() (io.ReadSeekCloser, error) { return nil, boom }, size: 1}
	if _, err := s.Put(t.Context(), "k", closed, storage.PutOptions{}); !errors.Is(err, boom) {
		t.Errorf("put of a blob that does not open: %v", err)
	}
	wantAbsent(t, s, "k")
	put(t, s, "k", data)
	if !bytes.Equal(get(t, s, "k"), data) {
		t.Error("content differs")
	}
}

// A blob in a file is stored like any other, and removing the file's own name
// afterwards does not touch the object.
func testPutFile(t *testing.T, s storage.Store) {
	path := filepath.Join(t.TempDir(), "segment.open")
	data := pattern(6, 200<<10)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	b, err := storage.ReadFileBlob(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		info, err := s.Put(t.Context(), "warc/segment.gz", b, storage.PutOptions{})
		if err != nil || info.SHA256 != sha256.Sum256(data) || info.Existed != (i == 1) {
			t.Fatalf("put answered %+v, %v", info, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(get(t, s, "warc/segment.gz"), data) {
		t.Error("content differs")
	}
	lying := storage.FileBlob(path, 3, sha256.Sum256([]byte("abc")))
	if err := os.WriteFile(path, []byte("abd"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "lying", lying, storage.PutOptions{}); err == nil {
		t.Error("a file with another content than said was stored")
	}
	wantAbsent(t, s, "lying")
}

// Big enough for several parts, and for every buffer in between.
func testBig(t *testing.T, s storage.Store) {
	n := 24<<20 + 7
	if testing.Short() {
		n = 1<<20 + 7
	}
	data := pattern(7, n)
	put(t, s, "big", data)
	if !bytes.Equal(get(t, s, "big"), data) {
		t.Error("content differs")
	}
	for _, off := range []int{0, 1<<19 - 1, n / 2, n - 10} {
		r, err := s.Range(t.Context(), "big", int64(off), 10)
		if err != nil {
			t.Fatal(err)
		}
		if got := drain(t, "big", r); !bytes.Equal(got, data[off:off+10]) {
			t.Errorf("range at %d differs", off)
		}
	}
}

func testCancelled(t *testing.T, s storage.Store) {
	put(t, s, "k", []byte("x"))
	ctx := cancelled(t)
	errs := map[string]error{}
	_, errs["put"] = s.Put(ctx, "new", storage.BytesBlob(nil), storage.PutOptions{})
	_, _, errs["get"] = s.Get(ctx, "k")
	_, errs["range"] = s.Range(ctx, "k", 0, 1)
	_, errs["stat"] = s.Stat(ctx, "k")
	_, errs["checksum"] = s.Checksum(ctx, "k")
	errs["delete"] = s.Delete(ctx, "k")
	for _, err := range s.List(ctx, "", "") {
		errs["list"] = err
	}
	for _, what := range []string{"put", "get", "range", "stat", "checksum", "delete", "list"} {
		if err := errs[what]; !errors.Is(err, context.Canceled) || salvor.ClassOf(err) != salvor.Interrupted {
			t.Errorf("%s: %v (%v)", what, err, salvor.ClassOf(err))
		}
	}
	wantAbsent(t, s, "new")
	if got := get(t, s, "k"); string(got) != "x" {
		t.Errorf("the object is now %q", got)
	}
}

// A put whose context ends while the blob is read leaves nothing.
func testCancelPut(t *testing.T, s storage.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	data := pattern(8, 1<<20)
	reads := 0
	b := blobOf(data, func() error {
		if reads++; reads == 3 {
			cancel()
		}
		return nil
	})
	_, err := s.Put(ctx, "k", b, storage.PutOptions{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v after %d reads", err, reads)
	}
	wantAbsent(t, s, "k")
	put(t, s, "k", data)
}

// Reading an opened object stops when its context ends.
func testCancelRead(t *testing.T, s storage.Store) {
	put(t, s, "k", pattern(9, 1<<20))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _, err := s.Get(ctx, "k")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := io.Copy(io.Discard, r); err == nil {
		t.Errorf("read %d more bytes to the end with a cancelled context", n)
	}
}
