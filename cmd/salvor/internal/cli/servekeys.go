package cli

import (
	"crypto/sha256"
	"crypto/subtle"
	"os"
	"strings"

	"salvor"
)

// leastKey is the shortest key that is taken: what can be guessed is none.
const leastKey = 20

// readKeys reads a file with a key a line; # begins a comment.
func readKeys(path string) (keys []string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "read the keys: %w", err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if len(line) < leastKey {
			return nil, salvor.Errorf(salvor.Invalid, "%s: line %d: a key has %d characters at least", path, n, leastKey).WithHint("openssl rand -hex 20 makes one")
		}
		keys = append(keys, line)
	}
	if len(keys) == 0 {
		return nil, salvor.Errorf(salvor.Invalid, "%s has no key in it", path).WithHint("write a key a line; openssl rand -hex 20 makes one")
	}
	return keys, nil
}

// oneOf compares without telling by its time how much was right.
func oneOf(keys []string, given string) bool {
	sum, ok := sha256.Sum256([]byte(given)), 0
	for _, k := range keys {
		want := sha256.Sum256([]byte(k))
		ok |= subtle.ConstantTimeCompare(sum[:], want[:])
	}
	return ok == 1
}
