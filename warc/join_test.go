package warc

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"salvor"
	"salvor/api"
	"salvor/storage"
	"salvor/storage/mem"
	"salvor/warc/cdx"
)

// TestJoin: a joined object holds every record where its list says, is a sound
// WARC file, and its index points into it.
func TestJoin(t *testing.T) {
	dir, ctx := t.TempDir(), t.Context()
	c := testConfig(t, dir)
	c.MaxSize = 40_000
	var segs []api.Segment
	c.OnStored = func(_ context.Context, s api.Segment) error { segs = append(segs, s); return nil }
	p, _ := mustOpen(t, c)
	rng := rand.New(rand.NewPCG(1, 2))
	var receipts []Receipt
	for i := range 30 {
		receipts = append(receipts, mustWrite(t, p, page(fmt.Sprintf("http://example.com/%d", i), words(rng, 20_000))))
	}
	mustSeal(t, p)
	plans := PlanJoins(segs, 200_000)
	if len(plans) < 1 || len(plans[0]) < 3 {
		t.Fatalf("%d segments, plans %v", len(segs), plans)
	}
	members := plans[0]
	j, err := Join(ctx, c.Store, members)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Join(ctx, c.Store, members); err != nil || again.SHA256 != j.SHA256 { // a crash before the report
		t.Errorf("again: %v", err)
	}
	path := filepath.Join(dir, "store", filepath.FromSlash(j.Object))
	rep, err := Verify(ctx, path)
	if err != nil || !rep.OK() {
		t.Fatal(err, rep.Problems)
	}
	base := map[salvor.SegmentID]int64{}
	for _, m := range j.Members {
		base[m.ID] = m.Base
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i, r := range receipts {
		b, ok := base[r.Place.Segment]
		if !ok {
			continue
		}
		found++
		at := b + r.Place.Offset
		rec, err := NewReader(strings.NewReader(string(text[at:at+r.Place.Length])), 0, nil).Next()
		if err != nil || rec.Get("WARC-Target-URI") != fmt.Sprintf("http://example.com/%d", i) {
			t.Fatalf("page %d is not at %d: %v", i, at, err)
		}
	}
	lines := 0
	in, err := os.Open(filepath.Join(dir, "store", filepath.FromSlash(CDXJKey(JoinedName(members)))))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	err = cdx.Read(in, func(l cdx.Line) error {
		lines++
		rec, err := NewReader(strings.NewReader(string(text[l.Offset:l.Offset+l.Length])), 0, nil).Next()
		if err != nil || rec.Get("WARC-Target-URI") != l.URL || l.Filename != JoinedName(members) {
			t.Errorf("%+v: %v", l, err)
		}
		return nil
	})
	if err != nil || lines != found {
		t.Errorf("%d lines for %d pages, %v", lines, found, err)
	}

	read, err := ReadJoined(ctx, c.Store, MembersKey(JoinedName(members)))
	if err != nil || len(read.Members) != len(members) {
		t.Fatal(read, err)
	}
	if left, err := RemoveMembers(ctx, c.Store, read); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	for _, m := range members {
		if _, err := c.Store.Stat(ctx, m.Object); salvor.ClassOf(err) != salvor.NotFound {
			t.Errorf("%s is still there: %v", m.Object, err)
		}
	}
}

// TestJoinRefusesDamage: what is not what was put is neither joined nor, once
// joined, a reason to remove anything.
func TestJoinRefusesDamage(t *testing.T) {
	ctx, s := t.Context(), mem.New()
	put := func(name, text string) api.Segment {
		b := storage.BytesBlob([]byte(text))
		if _, err := s.Put(ctx, Key(name), b, storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Put(ctx, CDXJKey(name), storage.BytesBlob(nil), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		return api.Segment{Name: name, Object: Key(name), Bytes: b.Size(), SHA256: b.SHA256(), State: api.SegmentStored}
	}
	a, b := put("a-1.warc.gz", "aaa"), put("b-2.warc.gz", "bb")
	bad := b
	bad.SHA256[0]++
	if _, err := Join(ctx, s, []api.Segment{a, bad}); salvor.ClassOf(err) != salvor.Internal {
		t.Errorf("joined: %v", err)
	}
	j, err := Join(ctx, s, []api.Segment{a, b})
	if err != nil {
		t.Fatal(err)
	}
	j.Members[1].SHA256 = j.Members[0].SHA256
	if _, err := RemoveMembers(ctx, s, j); salvor.ClassOf(err) != salvor.Internal {
		t.Errorf("removed: %v", err)
	}
	if _, err := s.Stat(ctx, a.Object); err != nil {
		t.Error(err)
	}
}

// TestChainSeeks: a concatenation reads the same from anywhere.
func TestChainSeeks(t *testing.T) {
	ctx, s := t.Context(), mem.New()
	var members []api.Segment
	whole := ""
	for i, text := range []string{"one", "", "three", "4"} {
		key := fmt.Sprintf("warc/%d.warc.gz", i)
		b := storage.BytesBlob([]byte(text))
		if _, err := s.Put(ctx, key, b, storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		members = append(members, api.Segment{Object: key, Bytes: b.Size(), SHA256: b.SHA256()})
		whole += text
	}
	c, err := concatenate(ctx, s, members)
	if err != nil {
		t.Fatal(err)
	}
	r, _ := c.Open()
	defer r.Close()
	for at := range len(whole) + 1 {
		if _, err := r.Seek(int64(at), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil || string(b) != whole[at:] {
			t.Errorf("from %d: %q, %v", at, b, err)
		}
	}
	if _, err := r.Seek(99, io.SeekStart); salvor.ClassOf(err) != salvor.Invalid {
		t.Error(err)
	}
}
