package rescue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"salvor/cmd/salvor/internal/archive"
	"salvor/storage/durable"
)

// move is a seed's redirect: its target is a seed too.
type move struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Widens bool   `json:"widens,omitempty"` // links that were left outside before may belong now
}

// moves are the redirects of seeds, in order, in a file that only grows: a list
// of many thousand seeds that all moved must not be written as often as it is long.
type moves struct {
	list []move
	to   map[string]bool
	path string
	file *os.File
	size int64
}

const movesFile = "moved.jsonl"

// openMoves reads the file. What an older version kept elsewhere is put in
// front. The file is written anew when it is not just what was read: a crash
// can leave half a line at its end.
func openMoves(d *archive.Dir, older []move) (*moves, error) {
	m := &moves{path: d.State(movesFile), to: map[string]bool{}}
	b, err := os.ReadFile(m.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, durable.Error(err, "read", m.path)
	}
	for _, x := range older {
		m.take(x)
	}
	if err := m.parse(b); err != nil {
		return nil, err
	}
	if want := m.encode(); err != nil || !bytes.Equal(want, b) {
		err := durable.WriteFile(m.path, func(w io.Writer) error {
			_, err := w.Write(want)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return m, m.open()
}

func (m *moves) open() (err error) {
	if m.file, err = os.OpenFile(m.path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		return durable.Error(err, "open", m.path)
	}
	st, err := m.file.Stat()
	if err == nil {
		m.size = st.Size()
		err = durable.SyncDir(filepath.Dir(m.path))
	}
	if err != nil {
		return errors.Join(durable.Error(err, "open", m.path), m.file.Close())
	}
	return nil
}

// parse reads the lines; the last one may lack its end.
func (m *moves) parse(b []byte) error {
	for n := 1; len(b) > 0; n++ {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if !whole {
			return nil
		}
		var x move
		if err := json.Unmarshal(line, &x); err != nil {
			return fmt.Errorf("read %s:%d: %w", m.path, n, err)
		}
		m.take(x)
		b = rest
	}
	return nil
}

// take adds a move in memory, a target once.
func (m *moves) take(x move) {
	if !m.to[x.To] {
		m.to[x.To] = true
		m.list = append(m.list, x)
	}
}

func (m *moves) encode() []byte {
	var b bytes.Buffer
	for _, x := range m.list {
		b.Write(x.line())
	}
	return b.Bytes()
}

func (x move) line() []byte {
	b, _ := json.Marshal(x) // plain strings always marshal
	return append(b, '\n')
}

// add adds a move durably.
func (m *moves) add(x move) error {
	line := x.line()
	_, err := m.file.Write(line)
	if err == nil {
		err = m.file.Sync()
	}
	if err != nil {
		// Half a line must not become the beginning of the next one.
		return errors.Join(durable.Error(err, "write", m.path), m.file.Truncate(m.size))
	}
	m.size += int64(len(line))
	m.take(x)
	return nil
}

// widen reports whether a move after the first n lets in what was left outside.
func (m *moves) widen(n int) bool {
	for _, x := range m.list[min(n, len(m.list)):] {
		if x.Widens {
			return true
		}
	}
	return false
}

func (m *moves) close() error { return durable.Error(m.file.Close(), "close", m.path) }

// readMoves is for who only looks: the archive may be in use, so a line may
// just be on its way.
func readMoves(d *archive.Dir) ([]move, error) {
	m := &moves{path: d.State(movesFile), to: map[string]bool{}}
	b, err := os.ReadFile(m.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, durable.Error(err, "read", m.path)
	}
	err = m.parse(b)
	return m.list, err
}
