package rig

import (
	"errors"
	"os"
	"testing"
)

// Need ends a test that cannot run here: as a failure under CI=true, where
// everything must be installed, and otherwise as a skip that says what is
// missing. Any error but ErrMissing is a failure everywhere.
func Need(t testing.TB, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrMissing) && os.Getenv("CI") != "true":
		t.Skipf("NOT TESTED: %v", err)
	default:
		t.Fatal(err)
	}
}

// ServeFiles starts nginx for a test.
func ServeFiles(t testing.TB, c NginxConfig) *Nginx {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	n, err := StartNginx(c)
	Need(t, err)
	t.Cleanup(n.Stop)
	return n
}
