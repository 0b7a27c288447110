package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/storage/durable"
)

// upload is an unfinished upload of this Store. S3 itself cannot be asked
// whose an upload is or what it is to become: going on with one that another
// writer is still filling would mix two contents. So they are noted here.
type upload struct {
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	Object   string `json:"object"`
	ID       string `json:"upload_id"`
	Nonce    string `json:"nonce"`
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
	PartSize int64  `json:"part_size"`

	old bool // was begun by an earlier Put
}

// notes remembers unfinished uploads, in a directory where one is given.
type notes struct {
	dir string

	mu   sync.Mutex
	free map[string]*upload // by ID; nobody works on these
	used map[string]bool    // IDs that a Put works on
}

const noteSuffix = ".upload.json"

// openNotes reads what earlier processes noted. A note that cannot be read is
// left alone: AbortOrphans deals with its upload.
func openNotes(dir string) (*notes, error) {
	n := &notes{dir: dir, free: map[string]*upload{}, used: map[string]bool{}}
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
		u := &upload{old: true}
		if err == nil && json.Unmarshal(b, u) == nil && u.ID != "" && u.PartSize >= minPart {
			n.free[u.ID] = u
		}
	}
	return n, nil
}

func (n *notes) path(u *upload) string {
	sum := sha256.Sum256([]byte(u.Endpoint + "\x00" + u.Bucket + "\x00" + u.Object + "\x00" + u.ID))
	return filepath.Join(n.dir, hex.EncodeToString(sum[:16])+noteSuffix)
}

// take finds a free upload of this content, which is then in use.
func (n *notes) take(object string, sum [32]byte, size int64, bucket, endpoint string) *upload {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, u := range n.free {
		if u.Object == object && u.SHA256 == hex.EncodeToString(sum[:]) && u.Size == size && u.Bucket == bucket && u.Endpoint == endpoint {
			delete(n.free, id)
			n.used[id] = true
			return u
		}
	}
	return nil
}

// add notes an upload that has just begun.
func (n *notes) add(u *upload) error {
	n.mu.Lock()
	n.used[u.ID] = true
	n.mu.Unlock()
	if n.dir == "" {
		return nil
	}
	return durable.WriteFile(n.path(u), func(w io.Writer) error { return json.NewEncoder(w).Encode(u) })
}

// keep gives an upload back for a later Put.
func (n *notes) keep(u *upload) {
	n.mu.Lock()
	defer n.mu.Unlock()
	u.old = true
	delete(n.used, u.ID)
	n.free[u.ID] = u
}

// drop forgets an upload that is over.
func (n *notes) drop(u *upload) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.used, u.ID)
	delete(n.free, u.ID)
	if n.dir != "" {
		os.Remove(n.path(u)) // a note that stays costs one request, once
	}
}

// busy reports whether a Put of this process works on an upload.
func (n *notes) busy(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.used[id]
}

// abort ends an upload whose parts are of no use. It is a kindness: parts that
// stay are AbortOrphans' or the server's to remove.
func (s *Store) abort(ctx context.Context, u *upload) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.AnswerTimeout)
	defer cancel()
	err := s.core.AbortMultipartUpload(ctx, u.Bucket, u.Object, u.ID)
	if err == nil || code(err) == codeNoUpload {
		s.notes.drop(u)
		return
	}
	s.notes.keep(u)
}

// AbortOrphans ends uploads below the Store's prefix that were begun longer
// than olderThan ago and that no Put of this process works on, and says how
// many. Unfinished parts are not objects: no listing shows them, but they are
// paid for. MinIO does not list unfinished uploads by prefix, only by whole
// key; of those this finds what the notes of Config.StateDir name, and MinIO
// itself removes all after a day. Give every writer the time it needs:
// uploads of other processes are not known to be dead.
func (s *Store) AbortOrphans(ctx context.Context, olderThan time.Duration) (n int, err error) {
	if s.cfg.ReadOnly {
		return 0, salvor.Errorf(salvor.Forbidden, "abort uploads: the store was opened for reading only")
	}
	before := time.Now().Add(-olderThan)
	for _, o := range s.orphanPrefixes() {
		m, err := s.abortOrphans(ctx, o, before)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// orphanPrefixes are what to list uploads of: the Store's prefix, and the
// objects of noted uploads for servers that list whole keys only.
func (s *Store) orphanPrefixes() []string {
	out := []string{s.object("")}
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	for _, u := range s.notes.free {
		out = append(out, u.Object)
	}
	return out
}

func (s *Store) abortOrphans(ctx context.Context, prefix string, before time.Time) (n int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for u := range s.core.ListIncompleteUploads(ctx, s.cfg.Bucket, prefix, true) {
		if u.Err != nil {
			return n, s.fail(ctx, u.Err, "list uploads below", prefix)
		}
		if u.Initiated.After(before) || s.notes.busy(u.UploadID) {
			continue
		}
		err := s.core.AbortMultipartUpload(ctx, s.cfg.Bucket, u.Key, u.UploadID)
		if err != nil && code(err) != codeNoUpload {
			return n, s.fail(ctx, err, "abort an upload of", u.Key)
		}
		s.notes.drop(&upload{Endpoint: s.cfg.Endpoint, Bucket: s.cfg.Bucket, Object: u.Key, ID: u.UploadID})
		n++
	}
	return n, nil
}
