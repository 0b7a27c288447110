package report

import (
	"cmp"
	"encoding/hex"
	"slices"

	"salvor/api"
)

var segmentStates = map[api.SegmentState]string{api.SegmentOpen: "open", api.SegmentSealed: "sealed", api.SegmentStored: "stored"}

func (b *builder) segments() error {
	segments, err := b.v.Segments(b.ctx)
	if err != nil {
		return err
	}
	b.r.Segments = []Segment{}
	for _, s := range segments {
		out := Segment{ID: s.ID, Name: s.Name, Path: s.Object, State: segmentStates[s.State], Base: s.Base, Bytes: s.Bytes, Problem: b.x.Missing[s.Object]}
		if s.SHA256 != [32]byte{} {
			out.SHA256 = hex.EncodeToString(s.SHA256[:])
		}
		b.r.Segments = append(b.r.Segments, out)
	}
	b.store(segments)
	slices.SortFunc(b.r.Segments, func(x, y Segment) int { return cmp.Compare(x.ID, y.ID) })
	return nil
}

// store counts what lies elsewhere.
func (b *builder) store(segments []api.Segment) {
	if b.x.Store == nil {
		return
	}
	out := *b.x.Store
	for _, s := range segments {
		if s.State == api.SegmentStored {
			out.Segments++
			out.Bytes += s.Bytes
		}
	}
	b.r.Store = &out
}
