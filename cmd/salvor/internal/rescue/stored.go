package rescue

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/progress"
	"salvor/warc"
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
	if r.away {
		return nil // the next run looks
	}
	stat, err := r.stored(ctx)
	if r.elsewhere() && salvor.ClassOf(err) == salvor.Unavailable {
		return nil // the next run looks
	}
	if err != nil {
		return err
	}
	for _, s := range segments {
		if s.State != api.SegmentStored || s.Object == "" {
			continue
		}
		problem := problemOf(s, stat)
		if problem != "" {
			r.missing[s.Object] = problem
			r.job.Progress.Notice(progress.Notice{
				Level: progress.Error, Code: "segment_missing", Text: fmt.Sprintf("%s %s: what was saved in it is fetched again", r.where(s.Object), problem),
				Hint: "if there is a copy, interrupt, put it back and resume",
			})
		}
	}
	return nil
}

// stored is the size of every segment that is there.
func (r *rescue) stored(ctx context.Context) (map[string]int64, error) {
	sizes := map[string]int64{}
	for info, err := range r.store.List(ctx, "warc/", "") {
		if err != nil {
			return nil, fmt.Errorf("look for stored segments: %w", err)
		}
		sizes[info.Key] = info.Size
	}
	return sizes, nil
}

// where names an object for people.
func (r *rescue) where(key string) string {
	if r.elsewhere() {
		return key + " in the store"
	}
	return r.job.Dir.Path(key)
}

// problemOf is what is wrong with a stored segment, in words that follow its
// name; "" when nothing is.
func problemOf(s api.Segment, sizes map[string]int64) string {
	size, ok := sizes[s.Object]
	switch {
	case !ok:
		return "is missing"
	case s.Base == 0 && size != s.Bytes && s.Object == warc.Key(s.Name):
		return fmt.Sprintf("has %s and should have %s", progress.Counted(size, "byte"), progress.Count(s.Bytes))
	}
	return ""
}

// whole reports whether the segment that an index describes is in its place: a
// revisit must not point at what is lost.
func (r *rescue) whole(index string) bool {
	return r.missing[strings.TrimSuffix(index, ".cdxj")+".warc.gz"] == ""
}

// missingNotes are sentences for the report.
func (r *rescue) missingNotes() (notes []string) {
	for _, key := range slices.Sorted(maps.Keys(r.missing)) {
		notes = append(notes, fmt.Sprintf("%s %s: what was saved in it was queued again", key, r.missing[key]))
	}
	return notes
}
