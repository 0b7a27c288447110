package storage

import (
	"path/filepath"
	"strings"
	"testing"
)

func FuzzCheckKey(f *testing.F) {
	for _, k := range []string{"", "a", "a/b.warc.gz", "../x", "a/./b", ".a", "a//b", strings.Repeat("k", 201)} {
		f.Add(k)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if CheckKey(key) != nil {
			return
		}
		if !filepath.IsLocal(key) || filepath.Clean(key) != key || len(key) > MaxKey {
			t.Errorf("%q was accepted", key)
		}
	})
}
