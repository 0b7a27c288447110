package trust

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"salvor"
	"salvor/api"
)

// pseudonym is the n-th name a node may get: four syllables and two digits, as
// in "bolakimu42". It follows from the node's id, so that a join that is
// repeated asks for the same one; there are four thousand million.
func pseudonym(node string, n int) string {
	const consonants, vowels = "bdfghjklmnprstvz", "aeiou"
	h := sha256.Sum256(fmt.Appendf(nil, "salvor node name %d %s", n, node))
	var b []byte
	for i := range 4 {
		b = append(b, consonants[h[2*i]%16], vowels[int(h[2*i+1])%5])
	}
	return fmt.Sprintf("%s%02d", b, binary.BigEndian.Uint32(h[8:])%100)
}

// reserveName gives a node its pseudonym, which no other node ever gets.
func reserveName(ctx context.Context, reg api.Registry, node string) (string, error) {
	for n := range 100 {
		name := pseudonym(node, n)
		owner, err := change(ctx, reg, tableNames, name, func(r *row[string]) (bool, error) {
			if r.version != 0 {
				return false, nil
			}
			r.value = node
			return true, nil
		})
		if err != nil {
			return "", err
		}
		if owner == node {
			return name, nil
		}
	}
	return "", salvor.Errorf(salvor.Internal, "no pseudonym is left for node %s", node)
}
