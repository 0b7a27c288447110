package fixity

import (
	"context"
	"encoding/hex"

	"salvor"
	"salvor/storage"
	"salvor/warc"
	"salvor/warc/custody"
)

// Custody compares what was read with the archive's log of custody, if it has one: each
// file that was entered must have the digest that it was entered with first. verifier is
// the key that the log must be signed by; "" is the one beside it. It returns how many
// entries are signed.
func Custody(ctx context.Context, store storage.Store, verifier string, read map[string][32]byte, tell func(Finding)) (int64, error) {
	log, err := custody.Open(ctx, store, verifier)
	if err != nil && salvor.ClassOf(err) == salvor.Conflict {
		tell(Finding{Kind: Changed, Key: "custody/", Text: err.Error()})
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if log.Signed < log.Size() {
		tell(Finding{Kind: Unknown, Key: "custody/", Text: "the last entries of the log of custody are not signed yet: salvor custody seal does it"})
	}
	first := map[string]bool{}
	for _, e := range log.Events {
		if e == nil || e.Kind != custody.File || first[e.Name] {
			continue
		}
		first[e.Name] = true
		sum, ok := read[e.Name]
		switch {
		case !ok && !joined(ctx, store, e.Name):
			tell(Finding{Kind: Missing, Key: e.Name, Text: "the log of custody has it, and it is not there"})
		case ok && hex.EncodeToString(sum[:]) != e.SHA256:
			tell(Finding{Kind: Changed, Key: e.Name, Text: "its SHA-256 is " + hex.EncodeToString(sum[:]) + ", it was entered into the log of custody with " + e.SHA256})
		}
	}
	return log.Signed, nil
}

// joined says whether a file that is gone is a part of a larger one now.
func joined(ctx context.Context, store storage.Store, key string) bool {
	for info, err := range store.List(ctx, "joined/", "") {
		if err != nil {
			return false
		}
		j, err := warc.ReadJoined(ctx, store, info.Key)
		if err != nil {
			return false
		}
		for _, m := range j.Members {
			if warc.Key(m.Name) == key || warc.CDXJKey(m.Name) == key {
				return true
			}
		}
	}
	return false
}
