package rescue

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/remote"
	"salvor/warc"
)

// Compact joins small segments in the Store; see job.Engine.
func (Engine) Compact(ctx context.Context, j job.Job, target int64, grace time.Duration) (done job.Compacted, err error) {
	r := &rescue{job: j}
	if !r.elsewhere() {
		return done, salvor.Errorf(salvor.Invalid, "%s keeps its segments in the directory, where small ones cost nothing", j.Dir.Path()).
			WithHint("only archives made with --store are joined")
	}
	defer func() { err = errors.Join(err, r.close(context.WithoutCancel(ctx), true)) }()
	if err := inOrder(func() error { return r.openStore(ctx) }, r.unsent); err != nil {
		return done, err
	}
	if err := r.openNode(ctx); err != nil {
		return done, err
	}
	if err := r.memory.load(j.Dir); err != nil {
		return done, err
	}
	if err := r.removeOld(ctx, grace, &done); err != nil {
		return done, err
	}
	if err := r.joinSmall(ctx, target, &done); err != nil {
		return done, err
	}
	return done, r.republish(ctx)
}

// unsent refuses while segments wait in the spool: the next run puts them
// under their own names.
func (r *rescue) unsent() error {
	names, err := filepath.Glob(r.job.Dir.Spool("segments", "*.journal"))
	if err != nil || len(names) == 0 {
		return err
	}
	return salvor.Errorf(salvor.Conflict, "%d segments of %s are not wholly in the store yet", len(names), r.job.Dir.Path()).
		WithHint("finish the crawl, or run the same salvor save again and interrupt it once")
}

func (r *rescue) joinSmall(ctx context.Context, target int64, done *job.Compacted) error {
	segments, err := r.node.Segments(ctx)
	if err != nil {
		return err
	}
	for _, members := range warc.PlanJoins(segments, target) {
		joined, err := warc.Join(ctx, r.store, members)
		if err != nil {
			return fmt.Errorf("join %s and what follows: %w", members[0].Name, err)
		}
		for i, m := range members {
			m.Object, m.Base = joined.Object, joined.Members[i].Base
			if err := r.node.SetSegment(ctx, m); err != nil {
				return err
			}
		}
		done.Joined += len(members)
		done.Into++
		done.Bytes += joined.Bytes
	}
	return nil
}

// removeOld removes the originals of joins that are old enough, and in force.
func (r *rescue) removeOld(ctx context.Context, grace time.Duration, done *job.Compacted) error {
	segments, err := r.node.Segments(ctx)
	if err != nil {
		return err
	}
	at := map[salvor.SegmentID]api.Segment{}
	for _, s := range segments {
		at[s.ID] = s
	}
	for info, err := range r.store.List(ctx, "joined/", "") {
		if err != nil {
			return err
		}
		j, err := warc.ReadJoined(ctx, r.store, info.Key)
		if err != nil {
			return err
		}
		if !placed(j, at) || !r.anyLeft(ctx, j) {
			continue
		}
		if time.Since(info.Modified) < grace {
			done.Waiting++
			continue
		}
		left, err := warc.RemoveMembers(ctx, r.store, j)
		if err != nil {
			return err
		}
		done.Removed += len(j.Members)
		done.Kept = append(done.Kept, left...)
	}
	return nil
}

// placed reports whether the segment table points into a joined object.
func placed(j warc.Joined, at map[salvor.SegmentID]api.Segment) bool {
	for _, m := range j.Members {
		if s := at[m.ID]; s.Name != m.Name || s.Object != j.Object || s.Base != m.Base {
			return false
		}
	}
	return true
}

// anyLeft reports whether an original is still there.
func (r *rescue) anyLeft(ctx context.Context, j warc.Joined) bool {
	for _, m := range j.Members {
		if _, err := r.store.Stat(ctx, warc.Key(m.Name)); salvor.ClassOf(err) != salvor.NotFound {
			return true
		}
	}
	return false
}

// republish puts a manifest of what is there now and a copy of the state that
// knows the new places.
func (r *rescue) republish(ctx context.Context) error {
	segments, err := r.node.Segments(ctx)
	if err != nil {
		return err
	}
	stamp := remote.Stamp(time.Now(), r.claim.Epoch)
	return inOrder(
		func() error { return remote.PutManifest(ctx, r.store, stamp, segments) },
		func() error { return r.checkpoint(ctx, "compacted") },
	)
}

// shelf names the segments whose captures are not all settled.
func (r *rescue) shelf() []string {
	if r.pool != nil {
		return r.pool.Shelf()
	}
	names, _ := filepath.Glob(r.job.Dir.Spool("segments", "*.journal")) // the pattern is valid
	for i := range names {
		names[i] = strings.TrimSuffix(filepath.Base(names[i]), ".journal")
	}
	return names
}
