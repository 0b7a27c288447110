package coordinator

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"

	"salvor"
	"salvor/storage/durable"
)

// A checkpoint is a node's newest snapshot as one stream, for the case that
// its disk, or a majority of a cluster, is lost for good (protocol 10). It is
// a tar of
//
//	node             the node's name in the group; not from a cluster's node
//	snapshot.json    the snapshot's description
//	state/NAME       the files of the state machine
//
// What was acknowledged after it is not in it: whoever restores one brings the
// rest from what outlived the disk.

// Checkpoint writes a copy of all that is applied now.
func (g *Group) Checkpoint(ctx context.Context, w io.Writer) error {
	if _, err := g.leader(ctx); err != nil {
		return err
	}
	if g.replica.dirty.Load() {
		if err := g.replica.snapshot(); err != nil {
			return fmt.Errorf("coordinator: checkpoint: %w", raftError(err))
		}
	}
	d, ok, err := g.replica.snaps.newest()
	if err != nil {
		return err
	}
	if !ok {
		return salvor.Errorf(salvor.NotFound, "coordinator: nothing to copy yet")
	}
	g.replica.snaps.hold(d.Raft.ID)
	defer g.replica.snaps.letGo(d.Raft.ID)
	out := tar.NewWriter(w)
	if own := filepath.Join(g.replica.c.Dir, "node"); fileExists(own) {
		err = pack(ctx, out, "node", own)
	}
	err = errors.Join(err, packTree(ctx, out, filepath.Join(g.replica.snaps.dir, d.Raft.ID)))
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// packTree adds a snapshot's directory, which never changes.
func packTree(ctx context.Context, out *tar.Writer, dir string) error {
	return filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		return pack(ctx, out, filepath.ToSlash(rel), name)
	})
}

func pack(ctx context.Context, out *tar.Writer, name, from string) error {
	if ctx.Err() != nil {
		return ctxError(ctx.Err())
	}
	f, err := os.Open(from)
	if err != nil {
		return durable.Error(err, "open", from)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return durable.Error(err, "stat", from)
	}
	h := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: st.Size(), Mode: 0o600, Format: tar.FormatGNU}
	if err := out.WriteHeader(&h); err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	return err
}

// Restore makes a node's directory from a checkpoint. The directory must not
// exist, and does not unless all of it is durable. Start opens it then.
func Restore(dir string, r io.Reader) error { return restore(dir, r, nil) }

// RestoreGroup is Restore for a group of a cluster that was lost: the node with
// this id and address is its only server from now on, and others join anew.
func RestoreGroup(dir string, group int, r io.Reader, id, address string) error {
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	return restore(filepath.Join(dir, groupDir(group)), r, []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(address),
	}})
}

// groupDir is a group's directory in that of a node.
func groupDir(group int) string { return fmt.Sprintf("group-%02d", group) }

func restore(dir string, r io.Reader, servers []raft.Server) error {
	if _, err := os.Stat(dir); err == nil {
		return salvor.Errorf(salvor.Conflict, "coordinator: restore into %s, which is there already", dir)
	}
	tmp := dir + unfinished
	if err := os.RemoveAll(tmp); err != nil {
		return durable.Error(err, "remove", tmp)
	}
	if err := restoreInto(tmp, tar.NewReader(r), servers); err != nil {
		return errors.Join(err, os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, dir); err != nil {
		return durable.Error(err, "rename", tmp)
	}
	return durable.SyncDir(filepath.Dir(dir))
}

func restoreInto(dir string, in *tar.Reader, servers []raft.Server) error {
	snap := filepath.Join(dir, "snapshots", "restored")
	if err := durable.MkdirAll(filepath.Join(snap, checkpointDir)); err != nil {
		return err
	}
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return salvor.Errorf(salvor.Invalid, "coordinator: read checkpoint: %w", err)
		}
		to := filepath.Join(snap, filepath.FromSlash(h.Name))
		if h.Name == "node" {
			to = filepath.Join(dir, "node")
		} else if h.Name != descriptionFile && (path.Dir(h.Name) != checkpointDir || strings.HasPrefix(path.Base(h.Name), ".")) {
			return salvor.Errorf(salvor.Invalid, "coordinator: checkpoint has a file %q", h.Name)
		}
		err = durable.WriteFile(to, func(w io.Writer) error { _, err := io.Copy(w, in); return err })
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return salvor.Errorf(salvor.Invalid, "coordinator: read checkpoint: %w", err)
		}
		if err != nil {
			return err
		}
	}
	return nameSnapshot(dir, servers)
}

// nameSnapshot gives the restored snapshot the name it had, and the group its
// servers, where others are given than it had.
func nameSnapshot(dir string, servers []raft.Server) error {
	s := &snapshots{dir: filepath.Join(dir, "snapshots")}
	d, err := s.describe("restored")
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "coordinator: checkpoint is not whole: %w", err)
	}
	if id := d.Raft.ID; id == "" || id != filepath.Base(id) {
		return salvor.Errorf(salvor.Invalid, "coordinator: checkpoint of snapshot %q", id)
	}
	if servers != nil {
		d.Raft.Configuration = raft.Configuration{Servers: servers}
		if err := writeDescription(filepath.Join(s.dir, "restored"), d); err != nil {
			return err
		}
	}
	if err := os.Rename(filepath.Join(s.dir, "restored"), filepath.Join(s.dir, d.Raft.ID)); err != nil {
		return durable.Error(err, "rename in", s.dir)
	}
	return durable.SyncDir(s.dir)
}

// keepTerm keeps a log that begins behind a snapshot from starting over with
// terms below the snapshot's.
func (g *replica[M]) keepTerm() error {
	d, ok, err := g.snaps.newest()
	if err != nil || !ok {
		return err
	}
	const key = "CurrentTerm" // as hashicorp/raft stores it
	now, err := g.wal.GetUint64([]byte(key))
	if err == nil && now < d.Raft.Term {
		err = g.wal.SetUint64([]byte(key), d.Raft.Term)
	}
	if err != nil {
		return durable.Error(err, "read log in", g.c.Dir)
	}
	return nil
}
