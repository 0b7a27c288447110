package s3test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor/storage"
	"salvor/storage/s3"
)

// A server that is killed without warning, several times, while writers put:
// every put that was reported as done is there afterwards, whole; the writers
// see no error, since they try again until the server is back.
func TestServerIsKilled(t *testing.T) {
	if minioBinary == "" {
		t.Skip("MinIO is not built: e2e/check/minio.sh .cache/minio")
	}
	dir := t.TempDir()
	srv, err := MinIO(minioBinary, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { srv.Stop() }()
	addr := strings.TrimPrefix(srv.Endpoint, "http://")
	st := open(t, srv, func(c *s3.Config) { c.RetryFor = time.Minute })
	const writers = 4
	var mu sync.Mutex
	done := map[string]uint64{}
	end := make(chan struct{})
	var wg sync.WaitGroup
	for w := range uint64(writers) {
		wg.Go(func() {
			for i := uint64(0); ; i++ {
				select {
				case <-end:
					return
				default:
				}
				seed := w<<32 | i
				key := fmt.Sprintf("w%d/%d", w, i)
				info, err := st.Put(t.Context(), key, storage.BytesBlob(random(seed, sizeOf(i))), storage.PutOptions{})
				if err != nil || info.Existed {
					t.Errorf("%s: %+v, %v (%s)", key, info, err, hint(err))
					return
				}
				mu.Lock()
				done[key] = i
				mu.Unlock()
			}
		})
	}
	for range 3 {
		time.Sleep(700 * time.Millisecond)
		srv.Stop()
		if srv, err = MinIOAt(minioBinary, dir, addr); err != nil {
			t.Fatal(err)
		}
	}
	close(end)
	wg.Wait()
	t.Logf("%d objects were put over 3 kills", len(done))
	for key, i := range done {
		var w uint64
		fmt.Sscanf(key, "w%d/", &w)
		want := storage.BytesBlob(random(w<<32|i, sizeOf(i)))
		if got := storage.BytesBlob(read(t, st, key)); got.SHA256() != want.SHA256() {
			t.Errorf("%s holds other bytes", key)
		}
	}
	n := 0
	for _, err := range st.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != len(done) {
		t.Errorf("%d objects are listed, %d were put", n, len(done))
	}
}

// sizeOf makes every eighth object one of two parts.
func sizeOf(i uint64) int {
	if i%8 == 7 {
		return 6 << 20
	}
	return 20_000
}
