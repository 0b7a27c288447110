package s3test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor/storage"
	"salvor/storage/file"
	"salvor/storage/s3"
)

const benchSize = 256 << 20

// BenchmarkPut compares one put of 256 MB by this Store, by plain minio-go with
// its defaults and without any promise, and into storage/file. "CPU-s/GB" is
// this process's; versitygw runs inside of it, so look at MinIO for the
// client's own share.
func BenchmarkPut(b *testing.B) {
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
		b.Run(s.Name+"/salvor", func(b *testing.B) {
			measure(b, func(i int) error { return putDelete(b, st, i, blob) })
		})
		b.Run(s.Name+"/minio-go", func(b *testing.B) {
			c, err := s.Client()
			if err != nil {
				b.Fatal(err)
			}
			name := bucket(b, s, false)
			measure(b, func(i int) error { return plainPut(b, c, name, path, i) })
		})
	}
	b.Run("file", func(b *testing.B) {
		st, err := file.Open(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		defer st.Close()
		copied := storage.Blob(noFile{blob}) // else it would only be linked
		measure(b, func(i int) error { return putDelete(b, st, i, copied) })
	})
}

type noFile struct{ storage.Blob }

func putDelete(b *testing.B, st storage.Store, i int, blob storage.Blob) error {
	key := fmt.Sprintf("bench/%d", i)
	_, err := st.Put(b.Context(), key, blob, storage.PutOptions{})
	b.StopTimer()
	defer b.StartTimer()
	if err != nil {
		return err
	}
	return st.Delete(b.Context(), key)
}

func plainPut(b *testing.B, c *minio.Client, bucket, path string, i int) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	key := fmt.Sprint(i)
	_, err = c.PutObject(b.Context(), bucket, key, f, benchSize, minio.PutObjectOptions{PartSize: 16 << 20})
	b.StopTimer()
	defer b.StartTimer()
	if err != nil {
		return err
	}
	return c.RemoveObject(b.Context(), bucket, key, minio.RemoveObjectOptions{})
}

func measure(b *testing.B, f func(i int) error) {
	b.SetBytes(benchSize)
	before := cpu()
	for i := range b.N {
		if err := f(i); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric((cpu()-before).Seconds()/float64(b.N)/benchSize*1e9, "CPU-s/GB")
}

// cpu is what this process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSmall is the rate of small objects, 16 at a time.
func BenchmarkSmall(b *testing.B) {
	for _, s := range servers {
		b.Run(s.Name, func(b *testing.B) {
			st := open(b, s, nil)
			blobs := make([]storage.Blob, 16)
			for i := range blobs {
				blobs[i] = storage.BytesBlob(random(uint64(i), 10<<10))
			}
			b.SetBytes(10 << 10)
			b.SetParallelism(16 / runtime.GOMAXPROCS(0))
			next := make(chan int)
			go func() {
				for i := range b.N {
					next <- i
				}
			}()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := <-next
					if _, err := st.Put(b.Context(), fmt.Sprintf("s/%d", i), blobs[i%16], storage.PutOptions{}); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// zeros is an object of zeros that takes no disk.
type zeros int64

func (z zeros) Size() int64 { return int64(z) }
func (z zeros) Open() (io.ReadSeekCloser, error) {
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(nothing{}, 0, int64(z)), io.NopCloser(nil)}, nil
}
func (z zeros) SHA256() [32]byte { return zeroSums[z] }

var zeroSums = map[zeros][32]byte{}

type nothing struct{}

func (nothing) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

// Memory while a large object goes up and comes down does not depend on its
// size: 5 GB with -long, else 300 MB. MinIO is a process of its own, so this
// process's peak is the client's.
func TestMemoryIsBounded(t *testing.T) {
	size := zeros(300 << 20)
	if *long {
		size = 5 << 30
	}
	h := sha256.New()
	in, _ := size.Open()
	io.Copy(h, in)
	zeroSums[size] = [32]byte(h.Sum(nil))
	for _, s := range servers {
		t.Run(s.Name, func(t *testing.T) {
			if s.Name == "versitygw" && *long {
				t.Skip("it runs in this process, and its memory would count")
			}
			st := open(t, s, func(c *s3.Config) { c.PartSize = 0 })
			peak, stop := watchHeap()
			before := cpu()
			start := time.Now()
			if _, err := st.Put(t.Context(), "zeros", size, storage.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			report(t, "put", int64(size), start, before)
			before, start = cpu(), time.Now()
			if sum, err := st.Checksum(t.Context(), "zeros"); err != nil || sum != size.SHA256() {
				t.Errorf("checksum %x, %v", sum, err)
			}
			report(t, "read", int64(size), start, before)
			stop()
			t.Logf("heap in use at most %d MB", *peak>>20)
			if *peak > 200<<20 {
				t.Errorf("%d MB of heap were in use", *peak>>20)
			}
			if err := st.Delete(t.Context(), "zeros"); err != nil {
				t.Error(err)
			}
		})
	}
}

func report(t *testing.T, what string, n int64, start time.Time, before time.Duration) {
	d := time.Since(start)
	t.Logf("%s: %d MB in %v, %.0f MB/s, %.2f CPU-s/GB in this process", what, n>>20, d.Round(time.Millisecond),
		float64(n)/1e6/d.Seconds(), (cpu()-before).Seconds()/float64(n)*1e9)
}

// watchHeap samples the heap until stopped.
func watchHeap() (peak *uint64, stop func()) {
	peak = new(uint64)
	runtime.GC()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			*peak = max(*peak, m.HeapInuse)
			select {
			case <-end:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return peak, func() { close(end); <-ended }
}
