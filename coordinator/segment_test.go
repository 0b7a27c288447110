package coordinator

import (
	"testing"

	"salvor"
	"salvor/api"
)

// TestSegmentNumbersOutliveTheState: a worker that numbered a segment before the
// state was lost and brought back keeps the number, and nobody else gets it.
func TestSegmentNumbersOutliveTheState(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	first, err := r.OpenSegment(t.Context(), api.Call{}, "a-1.warc.gz")
	must(t, err)
	must(t, r.SetSegment(t.Context(), api.Segment{ID: first + 7, Name: "b-9.warc.gz", State: api.SegmentSealed, Bytes: 5}))
	must(t, r.SetSegment(t.Context(), api.Segment{ID: first + 7, Name: "b-9.warc.gz", Object: "warc/b-9.warc.gz", State: api.SegmentStored, Bytes: 5}))
	again, err := r.OpenSegment(t.Context(), api.Call{}, "b-9.warc.gz")
	must(t, err)
	next, err := r.OpenSegment(t.Context(), api.Call{}, "a-2.warc.gz")
	must(t, err)
	if again != first+7 || next != first+8 {
		t.Errorf("numbers %d and %d after %d and %d", again, next, first, first+7)
	}
	for what, s := range map[string]api.Segment{
		"another name":   {ID: first + 7, Name: "c-1.warc.gz", State: api.SegmentStored},
		"another number": {ID: first + 20, Name: "b-9.warc.gz"},
	} {
		if err := r.SetSegment(t.Context(), s); err == nil || salvor.ClassOf(err) == salvor.Unavailable {
			t.Errorf("%s was taken: %v", what, err)
		}
	}
}
