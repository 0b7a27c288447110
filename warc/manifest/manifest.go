// Package manifest reads what an archive says of its own files: the SHA-256 of each,
// as sha256sum writes it.
//
// It is for whoever checks an archive or hands its files on.
package manifest

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"strings"

	"salvor"
	"salvor/storage"
)

// Read gives the digest of each object that a manifest has: the one in the archive's
// directory, or all of those in a Store, of which a newer one holds more.
func Read(ctx context.Context, store storage.Store) (map[string][32]byte, error) {
	out := map[string][32]byte{}
	keys := []string{"manifest-sha256.txt"}
	for info, err := range store.List(ctx, "manifests/", "") {
		if err != nil {
			return nil, err
		}
		keys = append(keys, info.Key)
	}
	for _, key := range keys {
		r, _, err := store.Get(ctx, key)
		if salvor.ClassOf(err) == salvor.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		err = read(r, key, out)
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// read reads lines as sha256sum writes them.
func read(r io.Reader, key string, out map[string][32]byte) error {
	sc := bufio.NewScanner(r)
	n := 0
	for sc.Scan() {
		n++
		sum, name, ok := strings.Cut(sc.Text(), "  ")
		b, err := hex.DecodeString(sum)
		if !ok || err != nil || len(b) != 32 || name == "" {
			return salvor.Errorf(salvor.Invalid, "%s: line %d is not as sha256sum writes it: %.80q", key, n, sc.Text()).
				WithHint("restore the manifest from a copy, or remove it: then only what the records say of themselves can be checked")
		}
		out[name] = [32]byte(b)
	}
	return sc.Err()
}
