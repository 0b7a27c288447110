package rescue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/remote"
)

// checkpoint puts a copy of the state into the Store; ended is why the run
// ended, "" it goes on. Whoever lost the archive to another machine stops.
func (r *rescue) checkpoint(ctx context.Context, ended string) error {
	if err := remote.Check(ctx, r.store, r.claim); err != nil {
		return err
	}
	c := remote.Checkpoint{At: time.Now().UTC(), Claim: r.claim, Shelf: r.shelf(), Ended: ended, Seeds: r.firstSeeds()}
	segments, err := r.node.Segments(ctx)
	if err != nil {
		return err
	}
	for _, s := range segments {
		c.Known = max(c.Known, s.ID)
	}
	r.mu.Lock()
	err = r.memory.save(r.job.Dir)
	r.mu.Unlock()
	if err = firstError(err, r.putLog(ctx)); err != nil {
		return err
	}
	files := map[string]string{}
	for _, name := range stateFiles {
		files[name] = r.job.Dir.State(name)
	}
	coordinator := func(w io.Writer) error { return r.node.Checkpoint(ctx, w) }
	return remote.Save(ctx, r.store, c, files, coordinator, r.job.Dir.State())
}

// putLog puts what crawl.log grew by. It is fsynced before: a log that a power
// cut makes shorter than what the Store has could never go on there.
func (r *rescue) putLog(ctx context.Context) error {
	if r.log != nil {
		if err := r.log.Sync(); err != nil {
			return err
		}
	}
	return remote.PutLog(ctx, r.store, r.job.Dir.Path("crawl.log"))
}

// firstSeeds are enough of the seeds to tell archives apart.
func (r *rescue) firstSeeds() (urls []string) {
	for _, s := range r.job.Seeds[:min(len(r.job.Seeds), 100)] {
		urls = append(urls, s.URL)
	}
	return urls
}

// keepCheckpoints makes one now and every ten minutes, until ctx ends. One that
// cannot be made is tried again soon; only who lost the archive stops.
func (r *rescue) keepCheckpoints(ctx context.Context) error {
	if !r.elsewhere() {
		return nil
	}
	for {
		next := checkpointEvery
		err := r.checkpoint(ctx, "")
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, remote.ErrTaken):
			return err
		case err != nil: // a store that is away or full, a disk without room for the copy: the crawl goes on without
			r.job.Progress.Notice(progress.Notice{
				Level: progress.Error, At: time.Now(), Code: "checkpoint", Hint: salvor.HintOf(err),
				Text: fmt.Sprintf("no copy of the state could be put into the store: %v", err),
			})
			next = checkpointSoon
		}
		if err := r.watchOwner(ctx, next); err != nil || ctx.Err() != nil {
			return stopped(ctx, err)
		}
	}
}

// watchOwner waits, and ends early when another machine took the archive.
func (r *rescue) watchOwner(ctx context.Context, wait time.Duration) error {
	end := time.NewTimer(wait)
	defer end.Stop()
	look := time.NewTicker(ownerEvery)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-end.C:
			return nil
		case <-look.C:
		}
		if err := remote.Check(ctx, r.store, r.claim); errors.Is(err, remote.ErrTaken) {
			return err
		}
	}
}

// stillOwner is an error when the archive is another machine's: then nothing
// more is written there. A Store that does not answer says nothing.
func (r *rescue) stillOwner(ctx context.Context) error {
	if !r.elsewhere() {
		return nil
	}
	soon, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	if err := remote.Check(soon, r.store, r.claim); errors.Is(err, remote.ErrTaken) {
		return err
	}
	return nil
}

func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
