package s3test

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"salvor/storage"
	"salvor/storage/s3"
	"salvor/storage/signed"
)

// Neither worker nor coordinator, which are both in this process, hold an
// object that goes up in parts: 300 MB, 5 GB with -long. MinIO only: versitygw
// is in this process, too.
func TestSignedMemory(t *testing.T) {
	size := zeros(300 << 20)
	if *long {
		size = 5 << 30
	}
	h := sha256.New()
	in, _ := size.Open()
	io.Copy(h, in)
	zeroSums[size] = [32]byte(h.Sum(nil))
	for _, s := range servers {
		if s.Name != "MinIO" {
			continue
		}
		st := open(t, s, nil)
		w := worker(t, nil, coordinator(t, st, func(c *signed.HandlerConfig) { c.MaxPut, c.PartSize = 0, 0 }).URL)
		base, stopBase := watchHeap()
		stopBase()
		peak, stop := watchHeap()
		before, start := cpu(), time.Now()
		putZeros(t, w, size)
		report(t, "put", int64(size), start, before)
		stop()
		t.Logf("heap in use at most %d MB, %d MB before", *peak>>20, *base>>20)
		if *peak > *base+16<<20 {
			t.Errorf("%d MB of heap were in use, %d MB before", *peak>>20, *base>>20)
		}
		if err := signed.Check(t.Context(), st, "zeros", size.Size(), size.SHA256()); err != nil {
			t.Error(err)
		}
	}
}

func putZeros(t *testing.T, w storage.Store, b storage.Blob) {
	t.Helper()
	if info, err := w.Put(t.Context(), "zeros", b, storage.PutOptions{}); err != nil || info.Existed {
		t.Fatalf("%+v, %v (%s)", info, err, hint(err))
	}
}

// BenchmarkSignedPut compares one put of 256 MB in presigned parts with one by
// a Store that has the keys, in the same run.
func BenchmarkSignedPut(b *testing.B) {
	path := filepath.Join(b.TempDir(), "segment")
	if err := os.WriteFile(path, random(1, benchSize), 0o644); err != nil {
		b.Fatal(err)
	}
	blob, err := storage.ReadFileBlob(path)
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range servers {
		st := open(b, s, func(c *s3.Config) { c.PartSize = 0 })
		w := worker(b, nil, coordinator(b, st, func(c *signed.HandlerConfig) { c.MaxPut, c.PartSize = 0, 0 }).URL)
		b.Run(s.Name+"/keys", func(b *testing.B) {
			measure(b, func(i int) error { return putDelete(b, st, i, blob) })
		})
		b.Run(s.Name+"/signed", func(b *testing.B) {
			measure(b, func(i int) error { return putDelete(b, w, i, blob) })
		})
	}
}
