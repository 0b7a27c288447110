package coordinator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"salvor"
	"salvor/storage/durable"
)

// snapshots keeps Raft's snapshots: directories of hard links into the
// machine's own files (a Pebble checkpoint), each with a description.
//
//	DIR/ID/snapshot.json   description: Raft's, and the state's applied index
//	DIR/ID/state/          the checkpoint
//	DIR/ID.tmp/            being made; removed at start
//
// A local snapshot writes no data at all. For a follower that is too far
// behind, the checkpoint is streamed as an archive of fixed length; what
// arrives there is unpacked into the same layout. Only the newest is kept.
type snapshots struct {
	dir string

	mu      sync.Mutex
	serial  int
	reading map[string]int // snapshots being streamed, not to be removed
	err     error          // of the newest attempt; Raft tells it as text
}

// description is snapshot.json.
type description struct {
	Format  int
	Raft    raft.SnapshotMeta
	Applied uint64 // what the checkpoint has applied: Raft.Index or later
}

const (
	descriptionFile   = "snapshot.json"
	checkpointDir     = "state"
	descriptionFormat = 1
	unfinished        = ".tmp"
)

var _ raft.SnapshotStore = (*snapshots)(nil)

// openSnapshots opens a store and removes what a crash left unfinished.
func openSnapshots(dir string) (*snapshots, error) {
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"+unfinished))
	if err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	for _, d := range left {
		if err := os.RemoveAll(d); err != nil {
			return nil, durable.Error(err, "remove", d)
		}
	}
	s := &snapshots{dir: dir, reading: map[string]int{}}
	d, _, err := s.newest()
	if err != nil {
		return nil, err
	}
	if i := strings.LastIndexByte(d.Raft.ID, '-'); i >= 0 {
		s.serial, _ = strconv.Atoi(d.Raft.ID[i+1:])
	}
	return s, nil
}

// Create implements raft.SnapshotStore.
func (s *snapshots) Create(version raft.SnapshotVersion, index, term uint64, c raft.Configuration, cIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	id := s.newID(term, index)
	d := description{Format: descriptionFormat, Raft: raft.SnapshotMeta{
		Version: version, ID: id, Index: index, Term: term, Configuration: c, ConfigurationIndex: cIndex,
	}}
	tmp := filepath.Join(s.dir, id+unfinished)
	if err := s.note(os.Mkdir(tmp, 0o700)); err != nil {
		return nil, durable.Error(err, "create", tmp)
	}
	return &sink{store: s, dir: tmp, d: d}, nil
}

// note remembers how the newest attempt went.
func (s *snapshots) note(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	return err
}

// trouble is why the newest attempt failed; nil if it did not, or not yet.
func (s *snapshots) trouble() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// newID orders by name as by age.
func (s *snapshots) newID(term, index uint64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return fmt.Sprintf("%020d-%020d-%08d", term, index, s.serial)
}

// List implements raft.SnapshotStore: newest first.
func (s *snapshots) List() ([]*raft.SnapshotMeta, error) {
	all, err := s.list()
	if err != nil {
		return nil, err
	}
	var metas []*raft.SnapshotMeta
	for _, d := range all {
		metas = append(metas, &d.Raft)
	}
	return metas, nil
}

func (s *snapshots) list() ([]description, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, durable.Error(err, "list", s.dir)
	}
	var all []description
	for _, e := range entries {
		if !e.IsDir() || strings.HasSuffix(e.Name(), unfinished) {
			continue
		}
		d, err := s.describe(e.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b description) int { return strings.Compare(b.Raft.ID, a.Raft.ID) })
	return all, nil
}

// newest is the newest snapshot, if there is one.
func (s *snapshots) newest() (description, bool, error) {
	all, err := s.list()
	if err != nil || len(all) == 0 {
		return description{}, false, err
	}
	return all[0], true, nil
}

func (s *snapshots) describe(id string) (description, error) {
	var d description
	b, err := os.ReadFile(filepath.Join(s.dir, id, descriptionFile))
	if err != nil {
		return d, durable.Error(err, "read", filepath.Join(id, descriptionFile))
	}
	if err := json.Unmarshal(b, &d); err != nil {
		return d, fmt.Errorf("snapshot %s: %w", id, err)
	}
	if d.Format > descriptionFormat {
		return d, salvor.Errorf(salvor.TooNew, "snapshot %s was written by a newer version", id)
	}
	return d, nil
}

// Open implements raft.SnapshotStore.
func (s *snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s.hold(id)
	d, err := s.describe(id)
	if err != nil {
		s.letGo(id)
		return nil, nil, err
	}
	a, err := openArchive(filepath.Join(s.dir, id, checkpointDir))
	if err != nil {
		s.letGo(id)
		return nil, nil, err
	}
	d.Raft.Size = a.Size()
	return &d.Raft, &heldArchive{archiveReader: a, done: sync.OnceFunc(func() { s.letGo(id) })}, nil
}

func (s *snapshots) hold(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading[id]++
}

func (s *snapshots) letGo(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading[id]--; s.reading[id] <= 0 {
		delete(s.reading, id)
	}
}

// heldArchive keeps its snapshot from being removed until it is closed.
type heldArchive struct {
	*archiveReader
	done func()
}

func (h *heldArchive) Close() error {
	defer h.done()
	return h.archiveReader.Close()
}

// reap removes all snapshots older than id that nobody reads.
func (s *snapshots) reap(id string) error {
	all, err := s.list()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range all {
		if d.Raft.ID >= id || s.reading[d.Raft.ID] > 0 {
			continue
		}
		// Renamed first: a half removed directory must not be listed.
		old := filepath.Join(s.dir, d.Raft.ID)
		err = errors.Join(err, os.Rename(old, old+unfinished), os.RemoveAll(old+unfinished))
	}
	return err
}
