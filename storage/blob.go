package storage

import (
	"bytes"
	"crypto/sha256"
	"io"
	"os"

	"salvor"
)

// Blob is content of known size and digest that can be read any number of
// times, so that an upload can be tried again.
type Blob interface {
	Open() (io.ReadSeekCloser, error)
	Size() int64
	SHA256() [32]byte
}

// Filer is a Blob that lies in a file which is complete and will never be
// written again. A Store on the same file system may give that file a second
// name instead of copying it.
type Filer interface {
	Blob
	Path() string
}

// BytesBlob is a blob in memory. The bytes must not change afterwards.
func BytesBlob(b []byte) Blob { return bytesBlob{b, sha256.Sum256(b)} }

type bytesBlob struct {
	b   []byte
	sum [32]byte
}

func (b bytesBlob) Open() (io.ReadSeekCloser, error) { return nopCloser{bytes.NewReader(b.b)}, nil }
func (b bytesBlob) Size() int64                      { return int64(len(b.b)) }
func (b bytesBlob) SHA256() [32]byte                 { return b.sum }

type nopCloser struct{ io.ReadSeeker }

func (nopCloser) Close() error { return nil }

// FileBlob is a finished file whose size and digest the caller computed while
// writing it. The caller promises that nobody writes to it any more; it may
// remove its own name of the file once Put has returned.
func FileBlob(path string, size int64, sum [32]byte) Filer { return fileBlob{path, size, sum} }

type fileBlob struct {
	path string
	size int64
	sum  [32]byte
}

func (b fileBlob) Open() (io.ReadSeekCloser, error) { return os.Open(b.path) }
func (b fileBlob) Size() int64                      { return b.size }
func (b fileBlob) SHA256() [32]byte                 { return b.sum }
func (b fileBlob) Path() string                     { return b.path }

// ReadFileBlob reads a finished file once to learn its size and digest.
func ReadFileBlob(path string) (Filer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "open %s: %w", path, err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "read %s: %w", path, err)
	}
	return FileBlob(path, n, [32]byte(h.Sum(nil))), nil
}
