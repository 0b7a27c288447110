package fulltext_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"salvor"
	"salvor/storage"
	"salvor/storage/mem"
	"salvor/warc"
	"salvor/warc/access"
	"salvor/warc/access/fulltext"
	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

// store puts a segment of pages, by URL, into a Store.
func store(t *testing.T, s storage.Store, name string, pages ...[2]string) {
	t.Helper()
	var out, list bytes.Buffer
	var lines []cdx.Line
	for _, p := range pages {
		block := "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + p[1]
		off := int64(out.Len())
		gz := gzip.NewWriter(&out)
		fmt.Fprintf(gz, "WARC/1.1\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:00000001-e6b3-4d27-967d-34780c58ba39>\r\nWARC-Date: 2026-11-24T01:02:03Z\r\nWARC-Target-URI: %s\r\nContent-Type: application/http;msgtype=response\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", p[0], len(block), block)
		if err := gz.Close(); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, cdx.Line{Key: cdx.SURT(p[0]), Timestamp: "20261124010203", URL: p[0], Mime: "text/html", Status: "200", Offset: off, Length: int64(out.Len()) - off, Filename: name})
	}
	if err := cdx.Write(&list, lines); err != nil {
		t.Fatal(err)
	}
	for key, b := range map[string][]byte{warc.Key(name): out.Bytes(), warc.CDXJKey(name): list.Bytes()} {
		if _, err := s.Put(t.Context(), key, storage.BytesBlob(b), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSearch(t *testing.T) {
	s := mem.New()
	store(t, s, "one.warc.gz",
		[2]string{"http://a.test/1", "<title>The ferry</title><p>The harbour master waits for the ferry."},
		[2]string{"http://a.test/2", "<title>Lights</title><p>A lighthouse above the harbour. <script>ferry()</script>"},
		[2]string{"http://a.test/3", "<title>Caf\u00e9</title><p>Na\u00efve \u00dcbung &lt;b&gt; of masters in the harbour"})
	x, err := index.OpenMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	c := &access.Collection{Name: "town", Index: x, Store: s}
	path := filepath.Join(t.TempDir(), "odd name?#%.db")
	words, err := fulltext.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	update := func() (segments, pages int) {
		t.Helper()
		if _, err := c.Update(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := words.Update(t.Context(), c, func(_ string, n int) { segments, pages = segments+1, pages+n }); err != nil {
			t.Fatal(err)
		}
		return segments, pages
	}
	if s, p := update(); s != 1 || p != 3 {
		t.Errorf("%d segments with %d pages were read", s, p)
	}
	find := func(query string) string {
		t.Helper()
		hits, err := words.Search(t.Context(), query, 10, 0)
		if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		var out []string
		for _, h := range hits {
			out = append(out, strings.TrimPrefix(h.URL, "http://a.test/"))
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{
		"ferry": "1", "harbour -ferry -lighthouse": "3", "HARBOUR lighthouse": "2", `"harbour master"`: "1", "cafe": "3", "ubung": "3", "master*  -ferry": "3",
		"nothing": "", `harbour" OR "x`: "", "text:harbour ferry": "", "ferry)": "1", "NEAR(harbour": "", "'; drop table pages; --": "",
	} {
		if got := find(query); got != want {
			t.Errorf("%s finds %q, want %q", query, got, want)
		}
	}
	if _, err := words.Search(t.Context(), ` "" - *`, 10, 0); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("without a word: %v", err)
	}
	hits, err := words.Search(t.Context(), "harbour ferry", 10, 0)
	if err != nil || len(hits) != 1 || !strings.Contains(hits[0].Snippet, access.MarkBegin+"harbour"+access.MarkEnd) || hits[0].Title != "The ferry" {
		t.Errorf("%+v %v", hits, err)
	}

	// What was read is not read again, also by another process; what is new is added.
	if err := words.Close(); err != nil {
		t.Fatal(err)
	}
	if words, err = fulltext.Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	defer words.Close()
	if s, _ := update(); s != 0 {
		t.Errorf("%d segments were read again", s)
	}
	store(t, s, "two.warc.gz", [2]string{"http://a.test/4", "<p>another ferry"})
	if s, p := update(); s != 1 || p != 1 || find("another") != "4" {
		t.Errorf("%d segments with %d pages were added, and %q is found", s, p, find("another"))
	}
}
