package access_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"salvor/storage"
	"salvor/storage/mem"
	"salvor/warc"
	"salvor/warc/access"
	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

func put(t *testing.T, s storage.Store, key string, b []byte) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, storage.BytesBlob(b), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestJoined: what is found and cited stays so while segments are joined, and when the
// originals are gone.
func TestJoined(t *testing.T) {
	store := mem.New()
	one, two := newShelf(t), newShelf(t)
	first := one.page("http://a.test/", "2026-11-24T01:02:03Z", html, "<p>first")
	two.n = 10 // other record ids
	second := two.page("http://a.test/2", "2026-11-24T01:02:04Z", html, "<p>second")
	names := []string{"x-20261124010203456-00001-n.warc.gz", "x-20261124010203456-00002-n.warc.gz"}
	big := "x-20261124010203456-00001-n-and-1.warc.gz"
	var whole bytes.Buffer
	var all []cdx.Line
	j := warc.Joined{Format: 1, Object: warc.Key(big)}
	for i, s := range []*shelf{one, two} {
		l := s.lines[0]
		l.Filename = names[i]
		put(t, store, warc.Key(names[i]), s.file.Bytes())
		put(t, store, warc.CDXJKey(names[i]), l.Append(nil))
		j.Members = append(j.Members, warc.Member{Name: names[i], Base: int64(whole.Len()), Bytes: int64(s.file.Len())})
		l.Filename, l.Offset = big, l.Offset+int64(whole.Len())
		all = append(all, l)
		whole.Write(s.file.Bytes())
	}
	x, err := index.OpenMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	c := &access.Collection{Name: "town", Index: x, Store: store}
	look := func(step string, added, removed int64) {
		t.Helper()
		ch, err := c.Update(t.Context())
		if err != nil || ch.Added != added || ch.Removed != removed || len(ch.Damaged) > 0 {
			t.Fatalf("%s: %+v %v", step, ch, err)
		}
		for _, want := range []struct {
			l    cdx.Line
			body string
		}{{first, "<p>first"}, {second, "<p>second"}} {
			got, err := c.ByRecord(t.Context(), want.l.ID)
			if err != nil {
				t.Fatalf("%s: %v", step, err)
			}
			for _, x := range []access.Capture{got, {Line: cdx.Line{URL: want.l.URL, Timestamp: want.l.Timestamp, Filename: names[map[string]int{"<p>first": 0, "<p>second": 1}[want.body]], Length: want.l.Length}, Time: got.Time}} {
				content, err := c.Open(t.Context(), x)
				if err != nil {
					t.Fatalf("%s: %s: %v", step, x.Filename, err)
				}
				b, err := io.ReadAll(content.Body)
				if err != nil || string(b) != want.body {
					t.Errorf("%s: %s in %s is %q %v", step, x.URL, x.Filename, b, err)
				}
				content.Close()
			}
		}
		n := 0
		if _, err := c.Find(t.Context(), &access.Query{URL: "a.test", Match: access.MatchHost}, func(*access.Found) bool { n++; return true }); err != nil || n != 2 {
			t.Errorf("%s: %d captures are found, %v", step, n, err)
		}
	}
	look("before", 2, 0)
	look("again", 0, 0)

	put(t, store, warc.Key(big), whole.Bytes())
	b, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	put(t, store, warc.MembersKey(big), b)
	look("joined, without its index", 0, 0)
	var text bytes.Buffer
	if err := cdx.Write(&text, all); err != nil {
		t.Fatal(err)
	}
	put(t, store, warc.CDXJKey(big), text.Bytes())
	look("joined", 1, 2)
	for _, name := range names {
		for _, key := range []string{warc.Key(name), warc.CDXJKey(name)} {
			if err := store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	look("without the originals", 0, 0)
}

// TestDamagedIndex: one index that cannot be read keeps no other from being found.
func TestDamagedIndex(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/", "2026-11-24T01:02:03Z", html, "<p>x")
	put(t, s.store, "warc/a-damaged.cdxj", []byte("no line at all\n"))
	put(t, s.store, "warc/z-damaged.cdxj", []byte(strings.Repeat("x", 2<<20)))
	c := s.open()
	ch, err := c.Update(t.Context())
	if err != nil || len(ch.Damaged) != 2 {
		t.Errorf("%+v %v", ch, err)
	}
	if _, ok, err := c.Closest(t.Context(), "http://a.test/", time.Now()); !ok || err != nil {
		t.Errorf("the sound one is found: %v %v", ok, err)
	}
}
