package storage

import (
	"strings"

	"salvor"
)

// Longest key and longest segment of one, in bytes. Object stores allow 1024
// and file systems 255; the rest is room for a store's own additions.
const (
	MaxKey     = 900
	MaxSegment = 200
)

// CheckKey accepts the keys that every Store takes: segments of letters,
// digits and -._~+=@, joined by single slashes. A segment neither is empty nor
// begins with a dot (such names are the Store's own, and "." and ".." mean
// something to file systems). A key must not be the directory of another one,
// which CheckKey cannot see: object stores would take both, directories
// refuse the second with Conflict.
func CheckKey(key string) error {
	if key == "" {
		return salvor.Errorf(salvor.Invalid, "storage key is empty")
	}
	if len(key) > MaxKey {
		return salvor.Errorf(salvor.Invalid, "storage key %.40q... has %d bytes, at most %d are allowed", key, len(key), MaxKey)
	}
	for seg := range strings.SplitSeq(key, "/") {
		if err := checkSegment(key, seg); err != nil {
			return err
		}
	}
	return nil
}

func checkSegment(key, seg string) error {
	switch {
	case seg == "":
		return salvor.Errorf(salvor.Invalid, "storage key %q has an empty segment", key)
	case seg[0] == '.':
		return salvor.Errorf(salvor.Invalid, "storage key %q has a segment that begins with a dot", key)
	case len(seg) > MaxSegment:
		return salvor.Errorf(salvor.Invalid, "storage key %.40q... has a segment of %d bytes, at most %d are allowed", key, len(seg), MaxSegment)
	}
	for i := range len(seg) {
		if !keyByte(seg[i]) {
			return salvor.Errorf(salvor.Invalid, "storage key %q has the byte %q, allowed are letters, digits and -._~+=@,", key, seg[i])
		}
	}
	return nil
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("-._~+=@,", c) >= 0
}

// CheckRange says whether [off, off+n) may be asked of an object of size
// bytes, and how many bytes that gives.
func CheckRange(key string, size, off, n int64) (int64, error) {
	if off < 0 || off > size {
		return 0, salvor.Errorf(salvor.Invalid, "range of %s begins at %d, the object has %d bytes", key, off, size)
	}
	if n < 0 || n > size-off {
		n = size - off
	}
	return n, nil
}
