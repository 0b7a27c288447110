package custody

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"salvor"
	"salvor/storage"
)

// NewKey makes a key to sign the checkpoints of an archive with, and the key to verify
// them by, which is to be kept by others too.
func NewKey(archive string) (signer, verifier string, err error) {
	signer, verifier, err = note.GenerateKey(rand.Reader, "salvor/"+archive)
	if err != nil {
		return "", "", salvor.Errorf(salvor.Internal, "custody: %w", err)
	}
	return signer, verifier, nil
}

// VerifierOf is the key that verifies what a signer signed.
func VerifierOf(signer string) (string, error) {
	s, err := note.NewSigner(signer)
	if err != nil {
		return "", salvor.Errorf(salvor.Invalid, "the key of the log of custody cannot be read: %w", err)
	}
	return verifierOf(s, signer)
}

const (
	// mostBatch is how many leaves an object has.
	mostBatch = 5000
	// appendTries is how often a place is tried for that others take.
	appendTries = 20
)

// Append enters events and signs the tree that holds them. It is durable when Append
// returns. What a process before it entered and could not sign is signed too.
func (l *Log) Append(ctx context.Context, signer string, at time.Time, events ...Event) error {
	s, err := note.NewSigner(signer)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "the key of the log of custody cannot be read: %w", err)
	}
	v, err := verifierOf(s, signer)
	if err != nil {
		return err
	}
	if _, err := l.store.Put(ctx, keyVerifier, storage.BytesBlob([]byte(v+"\n")), storage.PutOptions{Type: "text/plain"}); err != nil {
		if salvor.ClassOf(err) == salvor.Conflict {
			return salvor.Errorf(salvor.Conflict, "the log of custody is signed by another key than this").WithHint("use the key it was begun with")
		}
		return err
	}
	for len(events) > 0 {
		n := min(len(events), mostBatch)
		if err := l.enter(ctx, at, events[:n]); err != nil {
			return err
		}
		events = events[n:]
	}
	if l.Signed == l.Size() {
		return nil
	}
	return l.sign(ctx, s)
}

// enter puts a batch at the end of the log, behind what others put there meanwhile.
func (l *Log) enter(ctx context.Context, at time.Time, events []Event) error {
	for range appendTries {
		b, w, err := entries(l.Size(), at, events)
		if err != nil {
			return err
		}
		text, err := json.Marshal(w)
		if err != nil {
			return err
		}
		if _, err := l.store.Put(ctx, b.Events, storage.BytesBlob(text), storage.PutOptions{Type: "application/json"}); err != nil {
			return err
		}
		text, err = json.Marshal(b)
		if err != nil {
			return err
		}
		_, err = l.store.Put(ctx, leavesKey(b.First), storage.BytesBlob(text), storage.PutOptions{Type: "application/json"})
		if err != nil && salvor.ClassOf(err) != salvor.Conflict {
			return err
		}
		taken := err != nil
		if taken { // by another process; our words are of no leaf
			if err := l.store.Delete(ctx, b.Events); err != nil {
				return err
			}
		}
		if err := l.read(ctx, leavesKey(b.First)); err != nil {
			return err
		}
		if !taken {
			return nil
		}
	}
	return salvor.Errorf(salvor.Unavailable, "the log of custody is written by others all the time").WithHint("try again")
}

// entries are events as leaves and words, from a place on.
func entries(first int64, at time.Time, events []Event) (b batch, w words, err error) {
	var name [8]byte
	if _, err := rand.Read(name[:]); err != nil {
		return b, w, err
	}
	b = batch{First: first, Events: fmt.Sprintf("%s%012d-%x.json", keyEvents, first, name)}
	w.First = first
	for _, e := range events {
		text, err := json.Marshal(e)
		if err != nil {
			return b, w, err
		}
		var salt [16]byte
		if _, err := rand.Read(salt[:]); err != nil {
			return b, w, err
		}
		x := word{Salt: hex.EncodeToString(salt[:]), Event: string(text)}
		w.Words = append(w.Words, x)
		b.Leaves = append(b.Leaves, Leaf{Hash: x.hash(), Kind: e.Kind, At: at.UTC().Truncate(time.Second)})
	}
	return b, w, nil
}

// sign puts a checkpoint of the tree as it is.
func (l *Log) sign(ctx context.Context, s note.Signer) error {
	root, err := tlog.TreeHash(l.Size(), l.reader())
	if err != nil {
		return salvor.Errorf(salvor.Internal, "custody: %w", err)
	}
	text, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", s.Name(), l.Size(), root)}, s)
	if err != nil {
		return salvor.Errorf(salvor.Internal, "custody: %w", err)
	}
	key := fmt.Sprintf("%s%012d.txt", keyCheckpoints, l.Size())
	if _, err := l.store.Put(ctx, key, storage.BytesBlob(text), storage.PutOptions{Type: "text/plain"}); err != nil {
		return err
	}
	l.Signed = l.Size()
	l.Checked++
	return nil
}

// verifierOf is the key to verify by, of the one to sign with (C2SP signed-note: the
// seed of an Ed25519 key stands behind its algorithm's number).
func verifierOf(s note.Signer, signer string) (string, error) {
	parts := strings.SplitN(signer, "+", 5) // PRIVATE+KEY+name+hash+key, of which the last may have a + of its own
	seed, err := base64.StdEncoding.DecodeString(parts[len(parts)-1])
	if err != nil || len(seed) != 1+ed25519.SeedSize {
		return "", salvor.Errorf(salvor.Invalid, "the key of the log of custody cannot be read")
	}
	public, ok := ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey)
	if !ok {
		return "", salvor.Errorf(salvor.Internal, "custody: no Ed25519 key")
	}
	v, err := note.NewEd25519VerifierKey(s.Name(), public)
	if err != nil {
		return "", salvor.Errorf(salvor.Internal, "custody: %w", err)
	}
	return v, nil
}
