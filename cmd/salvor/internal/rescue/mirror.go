package rescue

import (
	"context"
	"fmt"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/remote"
	"salvor/cmd/salvor/internal/report"
	"salvor/storage/mirror"
)

// mirrorEvery is the distance of two passes that fill the second Store.
const mirrorEvery = time.Minute

// mirrored are the prefixes of all that the second Store gets.
var mirrored = []string{"checkpoints/", "joined/", "journals/", "logs/", "manifests/", "owner/", "reports/", "warc/"}

// openMirror opens the second Store. With two copies asked for, nothing counts
// as stored that is not in both; else the second is filled behind the first.
func (r *rescue) openMirror(ctx context.Context, known bool) error {
	s := &r.job.Settings
	if s.Mirror == "" {
		return nil
	}
	second, err := r.openElsewhere(ctx, s.Mirror, "uploads-mirror", known)
	if err != nil {
		return fmt.Errorf("--mirror: %w", err)
	}
	if s.Copies > 1 {
		r.store = mirror.Both(r.store, second)
		return nil
	}
	r.second = second
	return nil
}

// mirrorNow fills the second Store.
func (r *rescue) mirrorNow(ctx context.Context) error {
	done, err := mirror.Sync(ctx, r.store, r.second, mirrored...)
	if err == nil {
		err = remote.Prune(ctx, r.second)
	}
	if ctx.Err() == nil {
		r.mu.Lock()
		r.copied = done
		r.mu.Unlock()
	}
	return err
}

// keepMirror fills the second Store until ctx ends.
func (r *rescue) keepMirror(ctx context.Context) error {
	if r.second == nil {
		return nil
	}
	every := time.NewTicker(mirrorEvery)
	defer every.Stop()
	told := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
		err := r.mirrorNow(ctx)
		if err == nil || ctx.Err() != nil {
			told = ""
			continue
		}
		if text := err.Error(); text != told {
			told = text
			r.notice(progress.Error, "mirror", "", fmt.Sprintf("the mirror lags behind: %v", err))
		}
	}
}

// lastMirror completes the second Store at a run's end; what it returns is for
// the operator.
func (r *rescue) lastMirror(ctx context.Context) string {
	if r.second == nil {
		return ""
	}
	if err := r.mirrorNow(ctx); err != nil {
		return fmt.Sprintf("the mirror is not complete: %v; %s", err, salvor.HintOf(err))
	}
	return ""
}

// storeRow is where the archive lies, for the report; nil: in its directory.
// r.mu is held.
func (r *rescue) storeRow() *report.Store {
	s := &r.job.Settings
	if s.Store == "" {
		return nil
	}
	out := &report.Store{URL: s.Store, Copies: max(1, s.Copies)}
	if s.Mirror != "" {
		out.Mirror = &report.Mirror{URL: s.Mirror, Objects: r.copied.Objects, Bytes: r.copied.Bytes, Missing: r.copied.Missing}
	}
	return out
}
