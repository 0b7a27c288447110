package rescue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/remote"
	"salvor/coordinator"
	"salvor/storage"
	"salvor/storage/durable"
)

// Restore brings an archive from its Store into a directory that holds none;
// see job.Engine.
func (Engine) Restore(ctx context.Context, j job.Restoring) (found bool, at time.Time, err error) {
	c, ok, err := remote.Latest(ctx, j.Store)
	if err != nil || !ok {
		return false, at, err
	}
	last, _, err := remote.Newest(ctx, j.Store)
	if err != nil {
		return false, at, err
	}
	if err := firstError(meant(c, j), mayTake(c, last, j)); err != nil {
		return false, at, err
	}
	d, fresh, err := archive.OpenOrCreate(j.Dir)
	if err != nil {
		return false, at, err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	if !fresh {
		return false, at, salvor.Errorf(salvor.Conflict, "%s holds an archive already", j.Dir).WithHint("name an empty directory with --dir")
	}
	return true, c.At, bring(ctx, d, j, c, last)
}

// meant refuses a command line that names other seeds than the archive has: it
// is for another crawl, and the prefix was used before.
func meant(c remote.Checkpoint, j job.Restoring) error {
	if j.Force || len(j.Seeds) == 0 || len(c.Seeds) == 0 {
		return nil
	}
	for _, s := range j.Seeds {
		if slices.Contains(c.Seeds, s.URL) {
			return nil
		}
	}
	return salvor.Errorf(salvor.Conflict, "the store holds another archive there, of %s", c.Seeds[0]).
		WithHint("name another prefix with --store; to go on with that archive and add the seeds: --resume")
}

// mayTake refuses to take an archive from a machine that seems to be at work.
// An attempt in the same directory that broke off is none: the directory is
// locked, and was no archive.
func mayTake(c remote.Checkpoint, last remote.Claim, j job.Restoring) error {
	sign := c.At
	if last.At.After(sign) {
		sign = last.At
	}
	idle := time.Since(sign)
	if j.Force || last.Dir == absolute(j.Dir) && last.Host == hostname() || c.Ended != "" && c.Claim.Epoch == last.Epoch || idle > aliveFor {
		return nil
	}
	return salvor.Errorf(salvor.Conflict, "%s (process %d) seems to be crawling into that store: its last sign came %s ago", last.Host, last.PID, progress.Span(idle)).
		WithHint("if it is dead, take the archive over with --resume; else let it go on, or name another prefix with --store")
}

// bring fills a directory from a checkpoint, the settings last: with them it
// counts as an archive.
func bring(ctx context.Context, d *archive.Dir, j job.Restoring, c remote.Checkpoint, last remote.Claim) error {
	claim, err := take(ctx, j.Store, last, d.Path(), j.Version)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(d.State("coordinator")); err != nil { // of an attempt that was killed
		return durable.Error(err, "remove", d.State("coordinator"))
	}
	stream, err := c.Coordinator(ctx, j.Store)
	if err != nil {
		return err
	}
	err = coordinator.Restore(d.State("coordinator"), stream)
	if err := errors.Join(err, stream.Close()); err != nil {
		return fmt.Errorf("restore from the store: %w", err)
	}
	return inOrder(
		func() error { return remote.GetLog(ctx, j.Store, d.Path("crawl.log")) },
		func() error { return writeState(d, claimFile, claim) },
		func() error { return writeState(d, carriedFile, c) },
		func() error { return c.State(ctx, j.Store, d.State(), settingsFile) },
		func() error { return moveTo(d, j) },
	)
}

// moveTo notes where the archive was restored from: its mirror, perhaps.
func moveTo(d *archive.Dir, j job.Restoring) error {
	var s job.Settings
	if err := d.LoadSettings(&s); err != nil {
		return err
	}
	if s.Store == j.URL {
		return nil
	}
	if s.Mirror == j.URL {
		s.Mirror, s.Copies = "", 1
	}
	s.Store = j.URL
	return d.SaveSettings("salvor "+j.Version, s)
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

func hostname() string {
	host, _ := os.Hostname() // "" where there is none: then nobody is known again
	return host
}

func take(ctx context.Context, s storage.Store, last remote.Claim, dir, version string) (remote.Claim, error) {
	last.Dir, last.Version = absolute(dir), version
	return remote.Take(ctx, s, last)
}
