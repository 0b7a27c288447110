package control

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// file is what was seen of one of the names.
type file struct {
	seen   stamp  // at the last look
	taken  stamp  // of what was last parsed
	body   []byte // at the last look
	parsed bool
	bad    []string // problems of what was last parsed
}

// stamp tells one content of a file from another without reading it.
type stamp struct {
	there bool
	mtime time.Time
	size  int64
}

// look reports whether the file holds something new that has settled.
func (f *file) look(path string, now time.Time) (bool, error) {
	s, err := stat(path)
	if err != nil {
		f.parsed = false
		return false, err
	}
	if f.parsed && s == f.seen && s == f.taken && now.Sub(s.mtime) > fresh {
		return false, nil
	}
	body, err := read(path, s)
	if err != nil {
		f.parsed = false
		return false, err
	}
	same := s == f.seen && slices.Equal(body, f.body)
	isNew := !f.parsed || s.there != f.taken.there || !slices.Equal(body, f.body)
	f.seen, f.body = s, body
	if !same {
		f.parsed = false
		return false, nil
	}
	f.taken, f.parsed = s, true
	return isNew, nil
}

func stat(path string) (stamp, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return stamp{}, nil
	case err != nil:
		return stamp{}, err
	case !st.Mode().IsRegular():
		// Opening a pipe would wait for its writer.
		return stamp{}, errors.New("not a file")
	}
	return stamp{true, st.ModTime(), st.Size()}, nil
}

func read(path string, s stamp) ([]byte, error) {
	if !s.there {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("larger than %d bytes", maxFile)
	}
	return b, err
}
