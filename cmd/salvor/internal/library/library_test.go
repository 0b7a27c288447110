package library_test

import (
	"testing"

	"salvor/cmd/salvor/internal/library"
)

func TestNameOf(t *testing.T) {
	for dir, want := range map[string]string{
		"town": "town", "/a/b/town/": "town", "s3://rescues/2026/town?endpoint=http://127.0.0.1:9000": "town", "a town?": "a-town-", "/": "archive", "/tmp/..": "archive",
	} {
		if got := library.NameOf(dir); got != want {
			t.Errorf("%s is called %s, want %s", dir, got, want)
		}
	}
}
