// Package custody keeps an archive's log of custody: an append-only Merkle tree
// (golang.org/x/mod/sumdb/tlog) in the Store, whose checkpoints are signed (C2SP
// tlog-checkpoint). Once a segment is in it, nobody who has seen a checkpoint can be
// told that it never was, or was another.
//
// It is for whoever has to show years later that nothing was changed. A leaf holds a
// salted hash, a kind and a time; what it is of, names and reasons, stands in objects
// of its own, which may be destroyed: then the proof stays and the words are gone.
// Objects are put once; two writers cannot both win a place.
package custody

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"salvor"
	"salvor/storage"
)

// Keys in the Store.
const (
	keyLeaves      = "custody/leaves/"
	keyEvents      = "custody/events/"
	keyCheckpoints = "custody/checkpoints/"
	keyVerifier    = "custody/log.pub"
)

// Kinds of an Event.
const (
	File     = "file"     // a WARC file, or its index, was there
	Manifest = "manifest" // a run ended, and this was there
	Note     = "note"     // a person said something
)

// Event is what a leaf is of.
type Event struct {
	Kind   string `json:"kind"`
	Name   string `json:"name,omitempty"` // of the object
	Bytes  int64  `json:"bytes,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	By     string `json:"by,omitempty"`
	Text   string `json:"text,omitempty"`
}

// Leaf is an entry of the tree.
type Leaf struct {
	Hash string    `json:"hash"` // SHA-256 of salt and event, hex
	Kind string    `json:"kind"`
	At   time.Time `json:"at"`
}

// data is what the tree hashes.
func (l *Leaf) data() []byte {
	return []byte(l.Hash + " " + l.Kind + " " + l.At.UTC().Format(time.RFC3339) + "\n")
}

// batch is an object of leaves, and which object says what they are of.
type batch struct {
	First  int64  `json:"first"`
	Events string `json:"events"`
	Leaves []Leaf `json:"leaves"`
}

// words is the object that may be destroyed: salt and event of each leaf.
type words struct {
	First int64  `json:"first"`
	Words []word `json:"words"`
}

type word struct {
	Salt  string `json:"salt"`
	Event string `json:"event"` // JSON, byte for byte as it was hashed
}

func (w *word) hash() string {
	sum := sha256.Sum256([]byte(w.Salt + "\n" + w.Event))
	return hex.EncodeToString(sum[:])
}

// Log is a log as it was read.
type Log struct {
	store   storage.Store
	Leaves  []Leaf
	Events  []*Event // of each leaf; nil: it was destroyed
	words   []*word
	hashes  []tlog.Hash // as tlog stores them
	Signed  int64       // leaves under the newest checkpoint
	Checked int         // checkpoints whose signature and root are right
	Erased  int         // leaves whose words were destroyed
	Key     string      // the verifier's, as the Store has it
}

// Size is how many leaves there are.
func (l *Log) Size() int64 { return int64(len(l.Leaves)) }

// reader gives tlog its stored hashes.
func (l *Log) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, n := range indexes {
			if n < 0 || n >= int64(len(l.hashes)) {
				return nil, fmt.Errorf("no hash %d", n)
			}
			out[i] = l.hashes[n]
		}
		return out, nil
	})
}

// add hashes a leaf into the tree.
func (l *Log) add(leaf Leaf) error {
	more, err := tlog.StoredHashes(l.Size(), leaf.data(), l.reader())
	if err != nil {
		return salvor.Errorf(salvor.Internal, "custody: %w", err)
	}
	l.Leaves, l.hashes = append(l.Leaves, leaf), append(l.hashes, more...)
	return nil
}

// Open reads the log of an archive and checks all of it: that the leaves follow each
// other, that what stands in words has the hash of its leaf, and that each checkpoint
// is signed by the archive's key and of this tree. verifier is the key that somebody
// keeps elsewhere; "" takes the one in the Store, which only shows that nobody changed
// the log without the key. An archive without a log has one of no leaves.
func Open(ctx context.Context, store storage.Store, verifier string) (*Log, error) {
	l := &Log{store: store}
	// The checkpoints that there are, before the leaves: those that others sign meanwhile
	// are of leaves that are not read here.
	var signed, batches []string
	for info, err := range store.List(ctx, keyCheckpoints, "") {
		if err != nil {
			return nil, err
		}
		signed = append(signed, info.Key)
	}
	for info, err := range store.List(ctx, keyLeaves, "") {
		if err != nil {
			return nil, err
		}
		batches = append(batches, info.Key)
	}
	slices.Sort(batches)
	for _, key := range batches {
		if err := l.read(ctx, key); err != nil {
			return nil, err
		}
	}
	if len(l.Leaves) == 0 {
		return l, nil
	}
	key, err := get(ctx, store, keyVerifier)
	if err != nil {
		return nil, err
	}
	if l.Key = strings.TrimSpace(string(key)); verifier != "" && verifier != l.Key {
		return nil, salvor.Errorf(salvor.Conflict, "the log of custody is signed by the key %s, not by %s", l.Key, verifier).
			WithHint("somebody began the log anew, or this is another archive")
	}
	return l, l.checkpoints(ctx, signed)
}

func changed(format string, args ...any) error {
	return salvor.Errorf(salvor.Conflict, "the log of custody was changed: "+format, args...).
		WithHint("compare custody/ with a copy of the archive")
}

// read takes a batch of leaves and its words.
func (l *Log) read(ctx context.Context, key string) error {
	text, err := get(ctx, l.store, key)
	if err != nil {
		return err
	}
	var b batch
	if err := json.Unmarshal(text, &b); err != nil || b.First != l.Size() || key != leavesKey(b.First) || len(b.Leaves) == 0 {
		return changed("%s does not follow the %d leaves before it", key, l.Size())
	}
	var w words
	text, err = get(ctx, l.store, b.Events)
	switch {
	case salvor.ClassOf(err) == salvor.NotFound && err != nil:
		w.Words = nil
	case err != nil:
		return err
	case json.Unmarshal(text, &w) != nil || len(w.Words) != len(b.Leaves):
		return changed("%s is not of the leaves in %s", b.Events, key)
	}
	for i, leaf := range b.Leaves {
		if err := l.add(leaf); err != nil {
			return err
		}
		if w.Words == nil || w.Words[i].Event == "" {
			l.Erased++
			l.Events, l.words = append(l.Events, nil), append(l.words, nil)
			continue
		}
		x := &w.Words[i]
		e := new(Event)
		if x.hash() != leaf.Hash || json.Unmarshal([]byte(x.Event), e) != nil || e.Kind != leaf.Kind {
			return changed("the words of leaf %d are not those that were entered", b.First+int64(i))
		}
		l.Events, l.words = append(l.Events, e), append(l.words, x)
	}
	return nil
}

func leavesKey(first int64) string { return fmt.Sprintf("%s%012d.json", keyLeaves, first) }

// checkpoints checks each against the tree.
func (l *Log) checkpoints(ctx context.Context, keys []string) error {
	v, err := note.NewVerifier(l.Key)
	if err != nil {
		return changed("%s is no key: %v", keyVerifier, err)
	}
	for _, key := range keys {
		text, err := get(ctx, l.store, key)
		if err != nil {
			return err
		}
		size, err := l.checkpoint(text, v)
		if err != nil {
			return changed("%s: %v", key, err)
		}
		l.Checked++
		l.Signed = max(l.Signed, size)
	}
	return nil
}

// checkpoint checks one, and returns its size.
func (l *Log) checkpoint(text []byte, v note.Verifier) (int64, error) {
	n, err := note.Open(text, note.VerifierList(v))
	if err != nil {
		return 0, err
	}
	size, root, err := parseCheckpoint(n.Text, v.Name())
	if err != nil {
		return 0, err
	}
	if size > l.Size() {
		return 0, fmt.Errorf("it is of %d leaves, and there are %d", size, l.Size())
	}
	got, err := tlog.TreeHash(size, l.reader())
	if err != nil || got != root {
		return 0, errors.Join(err, fmt.Errorf("its root is not that of the first %d leaves", size))
	}
	return size, nil
}

func parseCheckpoint(text, origin string) (size int64, root tlog.Hash, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || lines[0] != origin {
		return 0, root, errors.New("it is no checkpoint of this log")
	}
	if _, err := fmt.Sscan(lines[1], &size); err != nil || size < 0 {
		return 0, root, errors.New("it has no size")
	}
	root, err = tlog.ParseHash(lines[2])
	return size, root, err
}

// get reads an object of the log: none is larger than mostObject.
func get(ctx context.Context, s storage.Store, key string) (b []byte, err error) {
	r, _, err := s.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b, err = io.ReadAll(io.LimitReader(r, mostObject+1))
	if err == nil && len(b) > mostObject {
		err = salvor.Errorf(salvor.Invalid, "%s is larger than %d bytes", key, mostObject)
	}
	return b, err
}

const mostObject = 64 << 20
