package coordinator

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"salvor/storage/durable"
)

// An archive is how a snapshot travels: an uncompressed tar of one flat
// directory. Its length follows from the file sizes, so it is known before the
// first byte is read, which Raft's receiver insists on (protocol 10).

const tarBlock = 512

// archiveReader streams a directory, one open file at a time.
type archiveReader struct {
	dir   string
	files []tar.Header
	head  bytes.Reader // of the file being sent, or the padding after it
	body  *os.File
	left  int64
	ended bool
	next  int
	size  int64
}

// openArchive lists dir, whose files must not change while it is read.
func openArchive(dir string) (*archiveReader, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list snapshot: %w", err)
	}
	a := &archiveReader{dir: dir, size: 2 * tarBlock}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return nil, fmt.Errorf("list snapshot: %w", err)
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("list snapshot: %s is not a file", e.Name())
		}
		a.files = append(a.files, tar.Header{Typeflag: tar.TypeReg, Name: e.Name(), Size: info.Size(), Mode: 0o600, Format: tar.FormatGNU})
		a.size += tarBlock + padded(info.Size())
	}
	return a, nil
}

func padded(n int64) int64 { return (n + tarBlock - 1) / tarBlock * tarBlock }

// Size is the length of the whole stream.
func (a *archiveReader) Size() int64 { return a.size }

func (a *archiveReader) Read(p []byte) (int, error) {
	for {
		if a.head.Len() > 0 {
			return a.head.Read(p)
		}
		if a.body != nil {
			if n, err := a.readBody(p); n > 0 || err != nil {
				return n, err
			}
			continue
		}
		if a.ended {
			return 0, io.EOF
		}
		if err := a.advance(); err != nil {
			return 0, err
		}
	}
}

// readBody reads the open file and leaves its padding in head.
func (a *archiveReader) readBody(p []byte) (int, error) {
	if a.left == 0 {
		size := a.files[a.next-1].Size
		a.head.Reset(make([]byte, padded(size)-size))
		err := a.body.Close()
		a.body = nil
		return 0, err
	}
	n, err := a.body.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	if errors.Is(err, io.EOF) && a.left > 0 {
		return n, fmt.Errorf("snapshot file %s: %w", a.files[a.next-1].Name, io.ErrUnexpectedEOF)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// advance opens the next file, or ends the archive.
func (a *archiveReader) advance() error {
	if a.next == len(a.files) {
		a.ended = true
		a.head.Reset(make([]byte, 2*tarBlock))
		return nil
	}
	h := &a.files[a.next]
	var head bytes.Buffer
	if err := tar.NewWriter(&head).WriteHeader(h); err != nil {
		return fmt.Errorf("archive %s: %w", h.Name, err)
	}
	if head.Len() != tarBlock {
		return fmt.Errorf("archive %s: name too long", h.Name)
	}
	f, err := os.Open(filepath.Join(a.dir, h.Name))
	if err != nil {
		return fmt.Errorf("archive %s: %w", h.Name, err)
	}
	a.head.Reset(head.Bytes())
	a.body, a.left = f, h.Size
	a.next++
	return nil
}

// Close gives the open file back.
func (a *archiveReader) Close() error {
	a.ended, a.next = true, len(a.files)
	if a.body == nil {
		return nil
	}
	err := a.body.Close()
	a.body = nil
	return err
}

// unpack writes an archive into the new directory dir and makes it durable.
// Names are checked: the stream comes from another machine.
func unpack(r io.Reader, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("unpack snapshot: %w", err)
	}
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("unpack snapshot: %w", err)
		}
		if err := unpackFile(tr, h, dir); err != nil {
			return err
		}
	}
	// The blocks after the end mark belong to the stream too.
	if _, err := io.Copy(io.Discard, r); err != nil {
		return fmt.Errorf("unpack snapshot: %w", err)
	}
	return durable.SyncDir(dir)
}

func unpackFile(r io.Reader, h *tar.Header, dir string) error {
	if h.Typeflag != tar.TypeReg || h.Name != filepath.Base(h.Name) || !fs.ValidPath(h.Name) || h.Name == "." {
		return fmt.Errorf("unpack snapshot: refused entry %q", h.Name)
	}
	f, err := os.OpenFile(filepath.Join(dir, h.Name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("unpack snapshot: %w", err)
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("unpack snapshot: %w", err)
	}
	return nil
}
