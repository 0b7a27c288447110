package rescue

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/progress"
)

// checkStored looks whether every segment that counts as stored is there with
// its size. What was saved in one that is gone is lost, and nobody would notice
// before it is wanted.
func (r *rescue) checkStored(ctx context.Context) error {
	segments, err := r.node.Segments(ctx)
	if err != nil {
		return err
	}
	r.missing = map[string]string{}
	for _, s := range segments {
		if s.State != api.SegmentStored || s.Object == "" {
			continue
		}
		problem, err := r.problemOf(ctx, s)
		if err != nil {
			return err
		}
		if problem != "" {
			r.missing[s.Object] = problem
			r.job.Progress.Notice(progress.Notice{
				Level: progress.Error, Code: "segment_missing", Text: fmt.Sprintf("%s %s: what was saved in it is lost", r.job.Dir.Path(s.Object), problem),
				Hint: "put it back from a copy and resume; without one, --again fetches everything anew once the crawl is finished",
			})
		}
	}
	return nil
}

// problemOf is what is wrong with a stored segment, in words that follow its
// name; "" when nothing is.
func (r *rescue) problemOf(ctx context.Context, s api.Segment) (string, error) {
	info, err := r.store.Stat(ctx, s.Object)
	switch {
	case salvor.ClassOf(err) == salvor.NotFound:
		return "is missing", nil
	case err != nil:
		return "", fmt.Errorf("look for the stored %s: %w", s.Object, err)
	case s.Base == 0 && info.Size != s.Bytes:
		return fmt.Sprintf("has %s and should have %s", progress.Counted(info.Size, "byte"), progress.Count(s.Bytes)), nil
	}
	return "", nil
}

// whole reports whether the segment that an index describes is in its place: a
// revisit must not point at what is lost.
func (r *rescue) whole(index string) bool {
	rel, err := filepath.Rel(r.job.Dir.Path(), strings.TrimSuffix(index, ".cdxj")+".warc.gz")
	return err == nil && r.missing[filepath.ToSlash(rel)] == ""
}

// missingNotes are sentences for the report.
func (r *rescue) missingNotes() (notes []string) {
	for _, key := range slices.Sorted(maps.Keys(r.missing)) {
		notes = append(notes, fmt.Sprintf("%s %s: what was saved in it is lost", key, r.missing[key]))
	}
	return notes
}
