package remote

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/durable"
)

// Checkpoint describes a copy of an archive's state.
type Checkpoint struct {
	Format int       `json:"format"`
	Stamp  string    `json:"stamp"`
	At     time.Time `json:"at"`
	Claim  Claim     `json:"claim"`
	// Shelf names the segments whose captures the copy may not know as
	// settled, and Known is the highest segment number when it was begun: later
	// segments are not in the copy, or not wholly.
	Shelf []string         `json:"shelf"`
	Known salvor.SegmentID `json:"known"`
	Seeds []string         `json:"seeds"`           // the first of them, to tell archives apart
	Ended string           `json:"ended,omitempty"` // why the run ended; "" it went on
}

const (
	checkpoints      = "checkpoints/"
	checkpointFile   = "checkpoint.json"
	stateFile        = "state.tar"
	coordinatorFile  = "coordinator.tar"
	checkpointFormat = 1
	// kept is how many checkpoints stay: one may be in use while the next is made.
	kept = 2
)

func (c Checkpoint) key(name string) string { return checkpoints + c.Stamp + "/" + name }

// Save puts a checkpoint: the small files of the state directory and a stream
// of the coordinator, checkpoint.json last. tmp is a directory for the stream.
// Older checkpoints go.
func Save(ctx context.Context, s storage.Store, c Checkpoint, state map[string]string, coordinator func(io.Writer) error, tmp string) error {
	c.Format, c.Stamp = checkpointFormat, Stamp(c.At, c.Claim.Epoch)
	if err := putStream(ctx, s, c.key(coordinatorFile), tmp, coordinator); err != nil {
		return err
	}
	err := putStream(ctx, s, c.key(stateFile), tmp, func(w io.Writer) error { return packFiles(w, state) })
	if err != nil {
		return err
	}
	if err := putJSON(ctx, s, c.key(checkpointFile), c); err != nil {
		return err
	}
	return Prune(ctx, s)
}

// putStream goes by way of a file: an object's length and digest come first.
func putStream(ctx context.Context, s storage.Store, key, tmp string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(tmp, ".checkpoint-*"+durable.TempSuffix)
	if err != nil {
		return durable.Error(err, "create file in", tmp)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(write(f), f.Close()); err != nil {
		return durable.Error(err, "write", f.Name())
	}
	b, err := storage.ReadFileBlob(f.Name())
	if err != nil {
		return err
	}
	_, err = s.Put(ctx, key, b, storage.PutOptions{Type: "application/x-tar"})
	return err
}

// packFiles writes the files that are there, by name.
func packFiles(w io.Writer, files map[string]string) error {
	out := tar.NewWriter(w)
	for _, name := range slices.Sorted(mapKeys(files)) {
		b, err := os.ReadFile(files[name])
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return durable.Error(err, "read", files[name])
		}
		h := tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(b)), Mode: 0o644, Format: tar.FormatGNU}
		if err := out.WriteHeader(&h); err != nil {
			return err
		}
		if _, err := out.Write(b); err != nil {
			return err
		}
	}
	return out.Close()
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// Latest is the newest whole checkpoint; false when there is none.
func Latest(ctx context.Context, s storage.Store) (c Checkpoint, ok bool, err error) {
	stamps, err := whole(ctx, s)
	if err != nil || len(stamps) == 0 {
		return c, false, err
	}
	c.Stamp = stamps[len(stamps)-1]
	if err := getJSON(ctx, s, c.key(checkpointFile), &c); err != nil {
		return c, false, err
	}
	if c.Format > checkpointFormat {
		return c, false, salvor.Errorf(salvor.TooNew, "the checkpoint in the store was written by a newer version (%s)", c.Claim.Version).
			WithHint("install that version, or a later one")
	}
	return c, true, nil
}

// whole lists the stamps of checkpoints that were finished.
func whole(ctx context.Context, s storage.Store) (stamps []string, err error) {
	for info, err := range s.List(ctx, checkpoints, "") {
		if err != nil {
			return nil, err
		}
		if dir, name := path.Split(info.Key); name == checkpointFile {
			stamps = append(stamps, path.Base(dir))
		}
	}
	return stamps, nil
}

// Prune removes all but the newest checkpoints. What cannot be removed, as
// under a retention, stays.
func Prune(ctx context.Context, s storage.Store) error {
	stamps, err := whole(ctx, s)
	if err != nil || len(stamps) <= kept {
		return err
	}
	oldest := checkpoints + stamps[len(stamps)-kept]
	for info, err := range s.List(ctx, checkpoints, "") {
		if err != nil {
			return err
		}
		if info.Key >= oldest {
			break
		}
		if err := s.Delete(ctx, info.Key); err != nil && salvor.ClassOf(err) == salvor.Unavailable {
			return err
		}
	}
	return nil
}

// State unpacks a checkpoint's small files into dir, last the one that makes
// the directory count as an archive.
func (c Checkpoint) State(ctx context.Context, s storage.Store, dir, last string) error {
	r, _, err := s.Get(ctx, c.key(stateFile))
	if err != nil {
		return err
	}
	defer r.Close()
	files, err := unpackFiles(r)
	if err != nil {
		return fmt.Errorf("read %s from the store: %w", c.key(stateFile), err)
	}
	for _, name := range append(slices.Sorted(func(yield func(string) bool) {
		for n := range files {
			if n != last && !yield(n) {
				return
			}
		}
	}), last) {
		b, ok := files[name]
		if !ok {
			return salvor.Errorf(salvor.Invalid, "the checkpoint %s holds no %s", c.Stamp, name)
		}
		if err := durable.WriteFile(filepath.Join(dir, name), func(w io.Writer) error { _, err := w.Write(b); return err }); err != nil {
			return err
		}
	}
	return nil
}

func unpackFiles(r io.Reader) (map[string][]byte, error) {
	files := map[string][]byte{}
	in := tar.NewReader(io.LimitReader(r, maxState))
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, salvor.Errorf(salvor.Invalid, "%w", err)
		}
		if h.Name != filepath.Base(h.Name) || strings.HasPrefix(h.Name, ".") || h.Typeflag != tar.TypeReg {
			return nil, salvor.Errorf(salvor.Invalid, "it holds a file %q", h.Name)
		}
		b, err := io.ReadAll(in)
		if err != nil {
			return nil, salvor.Errorf(salvor.Invalid, "%w", err)
		}
		files[h.Name] = b
	}
}

// maxState bounds the small files of the state: seeds may be many.
const maxState = 1 << 30

// Coordinator opens the stream of a checkpoint's coordinator.
func (c Checkpoint) Coordinator(ctx context.Context, s storage.Store) (io.ReadCloser, error) {
	r, _, err := s.Get(ctx, c.key(coordinatorFile))
	return r, err
}
