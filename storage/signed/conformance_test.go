package signed

import (
	"testing"

	"salvor/storage"
	"salvor/storage/file"
	"salvor/storage/mem"
	"salvor/storage/storagetest"
)

// A worker's Store over a coordinator whose Store cannot sign is a Store; over
// a bucket, storage/s3/s3test runs the same.
func TestConformance(t *testing.T) {
	t.Run("mem", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			return worker(t, nil, serve(t, HandlerConfig{Store: mem.New()}).URL)
		})
	})
	t.Run("file", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			s, err := file.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { s.Close() })
			return worker(t, nil, serve(t, HandlerConfig{Store: s, Uploads: 64}).URL)
		})
	})
}
