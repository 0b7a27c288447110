package warc

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/storage/mem"
)

// TestCarriedJournal: what one machine stored and never reported settled,
// another learns from the Store alone, under the numbers it gives.
func TestCarriedJournal(t *testing.T) {
	dir, there := t.TempDir(), t.TempDir()
	c := testConfig(t, dir)
	c.Journals = true
	p, _ := mustOpen(t, c)
	for _, u := range []string{"a", "b", "c"} {
		e := page("http://example.com/"+u, "page "+u)
		e.Journal = Entry{URL: "http://example.com/" + u, Host: "example.com", Outcome: salvor.Saved, Key: salvor.Key{u[0]}}
		if r := mustWrite(t, p, e); u == "b" {
			if err := p.Settled(t.Context(), []Receipt{r}); err != nil {
				t.Fatal(err)
			}
		}
	}
	mustSeal(t, p)
	name := filepath.Base(stored(t, dir)[0])
	if !slices.Equal(p.Shelf(), []string{name}) {
		t.Errorf("shelf %v", p.Shelf())
	}

	r, _, err := c.Store.Get(t.Context(), JournalKey(name))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	d := c
	d.Dir = filepath.Join(there, "spool")
	var told Carried
	if err := Adopt(d.Dir, bytes.NewReader(packed), func(c Carried) (salvor.SegmentID, error) { told = c; return 77, nil }); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(stored(t, dir)[0]); err != nil || told.Name != name || told.Bytes != st.Size() || told.SHA256 == [32]byte{} {
		t.Errorf("told %+v of %v, %v", told, st, err)
	}
	q, rec := mustOpen(t, d)
	if len(rec.Entries) != 3 {
		t.Fatalf("%d entries came", len(rec.Entries))
	}
	for i, e := range rec.Entries {
		if e.Place.Segment != 77 || !e.Stored || e.URL != fmt.Sprintf("http://example.com/%c", 'a'+i) {
			t.Errorf("%+v", e)
		}
		m, err := e.Metadata(t.Context()) // out of the Store
		if err != nil || m == nil || len(m.Outlinks) != 2 {
			t.Errorf("metadata %+v, %v", m, err)
		}
		if err := q.Settled(t.Context(), []Receipt{e.Receipt()}); err != nil {
			t.Error(err)
		}
	}
	if n := spooled(t, there); len(n) != 0 {
		t.Errorf("the spool holds %v", n)
	}
	for name, bad := range map[string][]byte{"cut": packed[:len(packed)/2], "empty": nil, "other": []byte("<html>")} {
		if err := Adopt(d.Dir, bytes.NewReader(bad), func(Carried) (salvor.SegmentID, error) { return 1, nil }); salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSmallSegmentsWait: a small segment is sealed late, one with many
// exchanges at once.
func TestSmallSegmentsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := testConfig(t, t.TempDir())
		st := mem.New()
		c.Store, c.MaxAge, c.MinSize, c.SmallAge, c.MaxExchanges = st, time.Minute, 100_000, 5*time.Minute, 3
		count := func() (n int) {
			synctest.Wait()
			for _, err := range st.List(t.Context(), "warc/", "") {
				if err == nil {
					n++
				}
			}
			return n
		}
		p, _, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close(t.Context())
		mustWrite(t, p, page("http://example.com/a", "a"))
		if time.Sleep(4 * time.Minute); count() != 0 {
			t.Error("a small segment was stored early")
		}
		if time.Sleep(2 * time.Minute); count() != 2 {
			t.Error("a small segment was not stored")
		}
		for range 3 {
			mustWrite(t, p, page("http://example.com/a", "a"))
		}
		if count() != 4 {
			t.Error("a segment with enough exchanges was not stored")
		}
	})
}
