package coordinator

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"

	"salvor/storage/durable"
)

// sink takes one snapshot: as a checkpoint of this node's machine, or as an
// archive that a leader sends.
type sink struct {
	store *snapshots
	dir   string
	d     description
	in    *io.PipeWriter // of the archive, once its first byte came
	done  chan error     // the unpacker's verdict
	over  bool
}

var _ raft.SnapshotSink = (*sink)(nil)

// ID implements raft.SnapshotSink.
func (s *sink) ID() string { return s.d.Raft.ID }

// checkpoint fills the sink from a machine. The flush comes first: without a
// WAL of its own Pebble's checkpoint holds only what is in tables already.
func (s *sink) checkpoint(m machine, atLeast uint64) error {
	if err := s.store.note(m.Flush()); err != nil {
		return fmt.Errorf("flush state: %w", err)
	}
	applied, err := m.Checkpoint(filepath.Join(s.dir, checkpointDir))
	if s.store.note(err) != nil {
		return fmt.Errorf("checkpoint state: %w", err)
	}
	if applied < atLeast {
		return fmt.Errorf("checkpoint has applied %d of %d", applied, atLeast)
	}
	s.d.Applied = applied
	return s.store.note(s.writeApplied())
}

// appliedFile travels with the checkpoint. Raft's index of a snapshot counts
// entries the state never sees (barriers, configurations), so a receiver could
// not tell from it whether its state is older than the snapshot. Pebble passes
// over files it does not know.
const appliedFile = "salvor-applied"

func (s *sink) writeApplied() error {
	return durable.WriteFile(filepath.Join(s.dir, checkpointDir, appliedFile), func(w io.Writer) error {
		_, err := fmt.Fprintln(w, s.d.Applied)
		return err
	})
}

func (s *sink) readApplied() error {
	b, err := os.ReadFile(filepath.Join(s.dir, checkpointDir, appliedFile))
	if err != nil {
		return durable.Error(err, "read", appliedFile)
	}
	if s.d.Applied, err = strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64); err != nil {
		return fmt.Errorf("snapshot %s: %w", s.ID(), err)
	}
	return nil
}

// Write implements raft.SnapshotSink for an archive that arrives.
func (s *sink) Write(p []byte) (int, error) {
	if s.in == nil {
		s.unpack()
	}
	return s.in.Write(p)
}

// unpack starts the goroutine that writes the arriving archive to disk. It
// ends when the sink is closed or cancelled.
func (s *sink) unpack() {
	r, w := io.Pipe()
	s.in, s.done = w, make(chan error, 1)
	go func() {
		err := unpack(r, filepath.Join(s.dir, checkpointDir))
		r.CloseWithError(err)
		s.done <- err
	}()
}

// Close implements raft.SnapshotSink: the snapshot becomes the newest.
func (s *sink) Close() error {
	if s.over {
		return nil
	}
	s.over = true
	err := s.store.note(s.finish())
	if err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	return s.store.reap(s.ID())
}

// finish: end the archive, write the description, fsync, rename, fsync.
func (s *sink) finish() error {
	if s.in != nil {
		s.in.Close()
		if err := <-s.done; err != nil {
			return err
		}
		if err := s.readApplied(); err != nil {
			return err
		}
	}
	err := writeDescription(s.dir, s.d)
	if err != nil {
		return err
	}
	if err := os.Rename(s.dir, filepath.Join(s.store.dir, s.ID())); err != nil {
		return durable.Error(err, "rename", s.dir)
	}
	return durable.SyncDir(s.store.dir)
}

// Cancel implements raft.SnapshotSink.
func (s *sink) Cancel() error {
	if s.over {
		return nil
	}
	s.over = true
	if s.in != nil {
		s.in.CloseWithError(errors.New("snapshot cancelled"))
		<-s.done
	}
	return os.RemoveAll(s.dir)
}

func writeDescription(dir string, d description) error {
	return durable.WriteFile(filepath.Join(dir, descriptionFile), func(w io.Writer) error { return json.NewEncoder(w).Encode(d) })
}
