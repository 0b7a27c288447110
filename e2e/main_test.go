// Package e2e drives the real salvor binary against real servers and lets
// programs that are not ours judge what it wrote: nginx and PHP serve, warcio,
// pywb, gowarc, gzip and the WARC reader of package rig read.
//
// `go test ./e2e` is the short form, which `make test` runs; with `-args -long`
// (`make e2e`) the sizes are those that the claims in the documents name. What
// is missing on a machine is skipped, and is a failure where CI=true.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"salvor/e2e/rig"
)

var (
	long   = flag.Bool("long", false, "run everything in full size")
	binary = flag.String("salvor", "", "use this `binary` instead of building one")
	keep   = flag.String("keep", "", "make archives below this `directory` and leave them there")
)

// size picks by the form that runs.
func size(short, full int) int {
	if *long {
		return full
	}
	return short
}

// promised is what a test allows for something that is promised within a time. The
// short form runs with the race detector, many tests at once and on any machine:
// there it tells only what stands still from what goes on. The full form, on a
// machine that does nothing else, holds the promise itself.
func promised(d time.Duration) time.Duration {
	if *long {
		return d
	}
	return 4 * d
}

var work string // holds the built binaries

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "salvor-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	work = dir
	return m.Run()
}

// buildPlain makes the binary as it is shipped.
var buildPlain = sync.OnceValues(func() (string, error) {
	if *binary != "" {
		return filepath.Abs(*binary)
	}
	return build("salvor", []string{"CGO_ENABLED=0"}, "-trimpath")
})

// buildRace makes one with the race detector, for tests that are about order.
var buildRace = sync.OnceValues(func() (string, error) {
	if *binary != "" {
		return filepath.Abs(*binary)
	}
	return build("salvor-race", []string{"CGO_ENABLED=1"}, "-race")
})

func build(name string, env []string, flags ...string) (string, error) {
	root, err := rig.Root()
	if err != nil {
		return "", err
	}
	out := filepath.Join(work, name)
	cmd := exec.Command("go", append(append([]string{"build"}, flags...), "-o", out, "./cmd/salvor")...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build salvor: %w\n%s", err, text)
	}
	return out, nil
}

// checkers are warcio and pywb.
func checkers(t *testing.T) *rig.Checkers {
	t.Helper()
	c, err := rig.FindCheckers()
	rig.Need(t, err)
	return c
}

// installed ends a test where a file of a Debian package is missing.
func installed(t *testing.T, path, pkg string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		rig.Need(t, fmt.Errorf("package %s: %w", pkg, rig.ErrMissing))
	}
}

// scratch is a directory for an archive.
func scratch(t *testing.T) string {
	t.Helper()
	if *keep == "" {
		return filepath.Join(t.TempDir(), "archive")
	}
	dir, err := os.MkdirTemp(*keep, filepath.Base(t.Name())+"-")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "archive")
}

// eventually waits for what a test cannot be told.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("after %s still not: %s", limit, what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}
