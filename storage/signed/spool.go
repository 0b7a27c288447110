package signed

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/durable"
)

// spool holds uploads that pass through this process until they are whole, so
// that a Store is given nothing that might break off, and may read it twice.
type spool struct {
	dir   string
	slots chan struct{}
	stall time.Duration
}

// inMemory is the size up to which an upload needs no file.
const inMemory = 256 << 10

const spoolPrefix = "upload-"

func newSpool(dir string, slots int, stall time.Duration) (*spool, error) {
	if dir == "" {
		return nil, salvor.Errorf(salvor.Invalid, "serve a store: uploads through this process need a directory")
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(dir, spoolPrefix+"*"+durable.TempSuffix))
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "serve a store: %s is no name of a directory: %w", dir, err)
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return nil, durable.Error(err, "remove", path)
		}
	}
	return &spool{dir, make(chan struct{}, slots), stall}, nil
}

// received is a whole upload.
type received struct {
	blob storage.Blob // a Filer unless it is small
	s    *spool
	path string
}

// drop gives back what it took.
func (r *received) drop() {
	if r.path != "" {
		_ = os.Remove(r.path) // the next process removes what stays
	}
	<-r.s.slots
}

// receive reads a body, and makes sure that it is what was announced.
func (s *spool) receive(w http.ResponseWriter, r *http.Request, key string, c sized) (*received, error) {
	select {
	case s.slots <- struct{}{}:
	default:
		return nil, salvor.Errorf(salvor.Unavailable, "put %s: %d uploads pass through this coordinator already", key, cap(s.slots)).
			WithHint("try again in a moment, or at another coordinator")
	}
	got := &received{s: s}
	body := &movingBody{r.Body, http.NewResponseController(w), s.stall}
	if err := s.fill(got, body, key, c); err != nil {
		got.drop()
		return nil, err
	}
	return got, nil
}

func (s *spool) fill(got *received, body io.Reader, key string, c sized) error {
	if c.size <= inMemory {
		b := make([]byte, c.size)
		if _, err := io.ReadFull(body, b); err != nil {
			return cutOff(key, err)
		}
		got.blob = storage.BytesBlob(b)
		return whole(key, got.blob.SHA256(), c)
	}
	got.path = filepath.Join(s.dir, fmt.Sprintf("%s%016x%s", spoolPrefix, rand.Uint64(), durable.TempSuffix))
	f, err := os.OpenFile(got.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		got.path = ""
		return durable.Error(err, "create", s.dir)
	}
	defer f.Close()
	sum, err := copyHashed(f, got.path, body, key, c.size)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return durable.Error(err, "close", got.path)
	}
	got.blob = storage.FileBlob(got.path, c.size, sum)
	return whole(key, sum, c)
}

func copyHashed(f *os.File, path string, body io.Reader, key string, size int64) ([32]byte, error) {
	h := sha256.New()
	buf := make([]byte, 128<<10)
	for left := size; left > 0; {
		n, err := body.Read(buf[:min(left, int64(len(buf)))])
		h.Write(buf[:n])
		if _, err := f.Write(buf[:n]); err != nil {
			return [32]byte{}, durable.Error(err, "write", path)
		}
		if left -= int64(n); err != nil && left > 0 {
			return [32]byte{}, cutOff(key, err)
		}
	}
	return [32]byte(h.Sum(nil)), nil
}

func cutOff(key string, err error) error {
	return salvor.Errorf(salvor.Unavailable, "put %s: the upload broke off: %w", key, err)
}

// whole compares digests. The worker has compared them, too, before it sent
// the last byte: they differ when the bytes changed on their way.
func whole(key string, sum [32]byte, c sized) error {
	if sum != c.sum {
		return salvor.Errorf(salvor.Unavailable, "put %s: the bytes changed on their way: their SHA-256 is %x, announced was %x", key, sum, c.sum)
	}
	return nil
}

// movingBody gives up on a sender who does not move.
type movingBody struct {
	io.Reader
	rc    *http.ResponseController
	stall time.Duration
}

func (m *movingBody) Read(p []byte) (int, error) {
	_ = m.rc.SetReadDeadline(time.Now().Add(m.stall)) // where there is no connection, none hangs
	n, err := m.Reader.Read(p)
	_ = m.rc.SetReadDeadline(time.Time{}) // what follows may take longer
	return n, err
}
