package custody

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"salvor"
)

// Proof shows, to whoever has the verifier's key, that an event was entered: it needs
// neither the archive nor the log.
type Proof struct {
	Index      int64    `json:"index"`
	Leaf       Leaf     `json:"leaf"`
	Salt       string   `json:"salt"`
	Event      string   `json:"event"` // JSON, as it was hashed
	Hashes     []string `json:"hashes"`
	Checkpoint string   `json:"checkpoint"` // a signed note
}

// Prove makes the proof of a leaf, under the newest checkpoint.
func (l *Log) Prove(ctx context.Context, index int64) (Proof, error) {
	if index < 0 || index >= l.Signed {
		return Proof{}, salvor.Errorf(salvor.NotFound, "no checkpoint has leaf %d yet", index).WithHint("salvor custody seal DIR signs what was entered")
	}
	if l.words[index] == nil {
		return Proof{}, salvor.Errorf(salvor.NotFound, "what leaf %d is of was destroyed", index)
	}
	p := Proof{Index: index, Leaf: l.Leaves[index], Salt: l.words[index].Salt, Event: l.words[index].Event}
	hashes, err := tlog.ProveRecord(l.Signed, index, l.reader())
	if err != nil {
		return Proof{}, salvor.Errorf(salvor.Internal, "custody: %w", err)
	}
	for _, h := range hashes {
		p.Hashes = append(p.Hashes, h.String())
	}
	text, err := get(ctx, l.store, fmt.Sprintf("%s%012d.txt", keyCheckpoints, l.Signed))
	p.Checkpoint = string(text)
	return p, err
}

// Check verifies a proof by a key, and returns what was entered.
func (p *Proof) Check(verifier string) (Event, error) {
	var e Event
	v, err := note.NewVerifier(verifier)
	if err != nil {
		return e, salvor.Errorf(salvor.Invalid, "%.80q is no verifier's key: %w", verifier, err)
	}
	bad := func(err error) error { return salvor.Errorf(salvor.Conflict, "the proof does not hold: %w", err) }
	n, err := note.Open([]byte(p.Checkpoint), note.VerifierList(v))
	if err != nil {
		return e, bad(err)
	}
	size, root, err := parseCheckpoint(n.Text, v.Name())
	if err != nil {
		return e, bad(err)
	}
	var proof tlog.RecordProof
	for _, s := range p.Hashes {
		h, err := tlog.ParseHash(s)
		if err != nil {
			return e, bad(err)
		}
		proof = append(proof, h)
	}
	if err := tlog.CheckRecord(proof, size, root, p.Index, tlog.RecordHash(p.Leaf.data())); err != nil {
		return e, bad(err)
	}
	w := word{p.Salt, p.Event}
	if w.hash() != p.Leaf.Hash || json.Unmarshal([]byte(p.Event), &e) != nil || e.Kind != p.Leaf.Kind {
		return e, bad(errors.New("what it says was entered is not what the leaf is of"))
	}
	return e, nil
}
