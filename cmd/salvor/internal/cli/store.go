package cli

import (
	"context"
	"fmt"
	"path"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/storage"
	"salvor/storage/s3"
)

// openS3 opens the Store that a URL names.
func openS3(ctx context.Context, r job.StoreRequest) (storage.Store, error) {
	c, err := s3.ParseURL(r.URL)
	if err != nil {
		return nil, err
	}
	c.StateDir, c.Unasked, c.OnTrouble = r.Notes, r.Known, r.Trouble
	return s3.Open(ctx, c)
}

// storeURL accepts what can be opened later.
func storeURL(s string) (string, error) {
	c, err := s3.ParseURL(s)
	if err == nil && c.ReadOnly {
		err = salvor.Errorf(salvor.Invalid, "an archive cannot be kept in a store that is opened for reading only").WithHint("leave read-only out of the URL")
	}
	return s, err
}

// storeDir is a new directory for an archive that lies in a Store.
func storeDir(url string, now time.Time) string {
	url, _, _ = strings.Cut(url, "?")
	return path.Base(strings.TrimRight(url, "/")) + "-" + now.UTC().Format("20060102150405")
}

// bring restores the archive that --store names into a directory that holds
// none; nothing happens where the Store has no archive. It says so.
func (w *world) bring(ctx context.Context, a *asked, dir string, seeds []job.Seed) (note string, err error) {
	url := a.settings.Store
	if url == "" {
		return "", nil
	}
	s, err := w.OpenStore(ctx, job.StoreRequest{URL: url, Trouble: w.tellTrouble()})
	if err != nil {
		return "", err
	}
	found, at, err := w.Engine.Restore(ctx, job.Restoring{Store: s, URL: url, Dir: dir, Seeds: seeds, Force: a.resume != "", Version: w.Version})
	if err != nil || !found {
		return "", err
	}
	return fmt.Sprintf("restored %s from the store as it was %s ago; what was stored since is reported again", dir, progress.Span(w.Now().Sub(at).Round(time.Second))), nil
}

// tellTrouble says once that a store does not answer: it is waited for.
func (w *world) tellTrouble() func(error) {
	var once sync.Once
	return func(err error) {
		once.Do(func() {
			fmt.Fprintf(w.stderr, "the store has trouble, trying again: %s\n", progress.Clean(err.Error()))
		})
	}
}

// lookOrBring finds what an archive remembers, on this disk or in its Store.
func (w *world) lookOrBring(ctx context.Context, a *asked, dir string, must bool, seeds []job.Seed) (m *remembered, note string, err error) {
	m, err = look(dir, must)
	missing := salvor.ClassOf(err) == salvor.NotFound
	if m != nil || err != nil && !missing || a.settings.Store == "" || a.dryRun {
		return m, "", err
	}
	note, berr := w.bring(ctx, a, dir, seeds)
	if berr != nil {
		return nil, "", berr
	}
	if note == "" && err != nil {
		return nil, "", salvor.Errorf(salvor.NotFound, "there is no archive in %s, and none in that store", dir).
			WithHint("begin one: leave --resume out and name a URL")
	}
	if note == "" {
		return nil, "", nil
	}
	m, err = look(dir, true)
	if err == nil {
		note += missingSecrets(m)
	}
	return m, note, err
}

// missingSecrets names what the Store is never given.
func missingSecrets(m *remembered) string {
	if len(m.settings.HeaderNames) == 0 || len(m.settings.Secrets.Headers) > 0 {
		return ""
	}
	return "; the values of " + strings.Join(m.settings.HeaderNames, ", ") + " are not in the store: give --header again"
}

// copiesMakeSense refuses a second copy of what has no first.
func copiesMakeSense(s *job.Settings) error {
	switch {
	case s.Mirror != "" && s.Store == "":
		return salvor.Errorf(salvor.Invalid, "--mirror copies a store, and there is none").WithHint("name it with --store")
	case s.Mirror != "" && samePlace(s.Store, s.Mirror):
		return salvor.Errorf(salvor.Invalid, "--mirror is the same place as --store").WithHint("name another bucket, best at another provider")
	case s.Copies > 1 && s.Mirror == "":
		return salvor.Errorf(salvor.Invalid, "--copies 2 needs a second store").WithHint("name it with --mirror")
	}
	return nil
}

// sameStore refuses to move an archive by a flag.
func sameStore(m *remembered, s *job.Settings) error {
	if m == nil || m.settings.Store == s.Store {
		return nil
	}
	if m.settings.Store == "" {
		return salvor.Errorf(salvor.Invalid, "the archive keeps its WARC files in its directory: --store comes too late").
			WithHint("go on without --store, or begin another archive with --dir")
	}
	if samePlace(m.settings.Store, s.Store) {
		return nil // another way to it
	}
	return salvor.Errorf(salvor.Invalid, "the archive lies in %s, not in %s", m.settings.Store, s.Store).
		WithHint("leave --store out, or begin another archive with --dir")
}

// samePlace reports whether two URLs of Stores name one bucket and prefix.
func samePlace(a, b string) bool {
	x, err := s3.ParseURL(a)
	y, err2 := s3.ParseURL(b)
	return err == nil && err2 == nil && x.Endpoint == y.Endpoint && x.Bucket == y.Bucket && x.Prefix == y.Prefix
}
