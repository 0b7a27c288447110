package signed

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"salvor/storage/durable"
	"salvor/storage/s3"
)

// note is an upload in parts that was begun and not ended. The coordinators
// forget it; who holds its ticket can go on with it.
type note struct {
	Key      string      `json:"key"`
	Ticket   string      `json:"ticket"`
	Manifest s3.Manifest `json:"manifest"`

	etags []string // by part, "" to be sent; nil not known
}

// notes remembers unfinished uploads, in a directory where one is given.
type notes struct {
	dir string

	mu   sync.Mutex
	free map[string]*note // by name; no Put works on these
}

const (
	noteSuffix = ".signed.json"
	maxNotes   = 256 // in memory; what is above is the Store's to sweep
)

func openNotes(dir string) (*notes, error) {
	n := &notes{dir: dir, free: map[string]*note{}}
	if dir == "" {
		return n, nil
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, durable.Error(err, "read directory", dir)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), noteSuffix) || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		u := &note{}
		if err == nil && json.Unmarshal(b, u) == nil && u.sound() {
			n.free[nameOf(u.Key, u.Manifest.SHA256())] = u
		}
	}
	return n, nil
}

// sound reports whether a note that was read can be used at all; what its
// upload is worth, the coordinator says.
func (u *note) sound() bool {
	m := u.Manifest
	return u.Key != "" && u.Ticket != "" && m.PartSize > 0 && m.Length > 0 &&
		(m.Length-1)/m.PartSize+1 == int64(len(m.Parts))
}

func nameOf(key string, sum [32]byte) string {
	h := sha256.Sum256([]byte(key + "\x00" + string(sum[:])))
	return hex.EncodeToString(h[:16])
}

func (n *notes) path(name string) string { return filepath.Join(n.dir, name+noteSuffix) }

// take finds an unfinished upload of this content; nobody else has it then.
func (n *notes) take(key string, sum [32]byte, size int64) *note {
	n.mu.Lock()
	defer n.mu.Unlock()
	name := nameOf(key, sum)
	u := n.free[name]
	if u == nil || u.Manifest.Length != size || u.Manifest.SHA256() != sum {
		return nil
	}
	delete(n.free, name)
	return u
}

// add notes an upload that has just begun.
func (n *notes) add(u *note) error {
	if n.dir == "" {
		return nil
	}
	name := nameOf(u.Key, u.Manifest.SHA256())
	return durable.WriteFile(n.path(name), func(w io.Writer) error { return json.NewEncoder(w).Encode(u) })
}

// keep gives an upload back for a later Put.
func (n *notes) keep(u *note) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.free) < maxNotes {
		n.free[nameOf(u.Key, u.Manifest.SHA256())] = u
	}
}

// drop forgets an upload that is over.
func (n *notes) drop(u *note) {
	if n.dir != "" {
		_ = os.Remove(n.path(nameOf(u.Key, u.Manifest.SHA256()))) // one that stays costs a request, once
	}
}
