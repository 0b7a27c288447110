package export_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"salvor"
	"salvor/storage"
	"salvor/storage/mem"
	"salvor/warc"
	"salvor/warc/access"
	"salvor/warc/access/export"
	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

const profile = "WARC-Profile: http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"

const file = "test-20261124010203456-00001-n.warc.gz"

// town is an archive of a few captures: pages with their request and metadata, a
// revisit whose original no query of b.test finds, and one whose original is lost.
func town(t *testing.T) *access.Collection {
	t.Helper()
	var out bytes.Buffer
	var lines []cdx.Line
	n := 0
	member := func(kind, url, date, contentType, block string, fields ...string) (id string) {
		n++
		id = fmt.Sprintf("urn:uuid:%08x-e6b3-4d27-967d-34780c58ba39", n)
		gz := gzip.NewWriter(&out)
		fmt.Fprintf(gz, "WARC/1.1\r\nWARC-Type: %s\r\nWARC-Record-ID: <%s>\r\nWARC-Date: %s\r\nWARC-Target-URI: %s\r\nContent-Type: %s\r\n", kind, id, date, url, contentType)
		for _, f := range fields {
			io.WriteString(gz, f+"\r\n")
		}
		fmt.Fprintf(gz, "Content-Length: %d\r\n\r\n%s\r\n\r\n", len(block), block)
		if err := gz.Close(); err != nil {
			t.Fatal(err)
		}
		return id
	}
	exchange := func(kind, url, date, mime, digest, body, links string, fields ...string) {
		l := cdx.Line{Key: cdx.SURT(url), Timestamp: digits(date), URL: url, Mime: mime, Status: "200", Digest: digest, Offset: int64(out.Len()), Filename: file}
		if kind == "revisit" {
			l.Mime, l.Status = "warc/revisit", ""
		}
		l.ID = member(kind, url, date, "application/http;msgtype=response", "HTTP/1.1 200 OK\r\nContent-Type: "+mime+"\r\n\r\n"+body, fields...)
		l.Length = int64(out.Len()) - l.Offset
		member("request", url, date, "application/http;msgtype=request", "GET / HTTP/1.1\r\nCookie: secret\r\n\r\n", "WARC-Concurrent-To: <"+l.ID+">")
		member("metadata", url, date, "application/warc-fields", "title: Title of "+url+"\r\n"+links, "WARC-Concurrent-To: <"+l.ID+">")
		lines = append(lines, l)
	}
	exchange("response", "http://a.test/", "2026-11-24T01:02:03Z", "text/html", "AAAA", "<title>A &amp; more</title><p>One<b>two</b><script>no</script><p>three", "outlink: http://a.test/pic.png E img/@src\r\noutlink: http://b.test/ L a/@href\r\n")
	exchange("response", "http://a.test/pic.png", "2026-11-24T01:02:04Z", "image/png", "BBBB", "png", "")
	exchange("response", "http://a.test/=1+1", "2026-11-25T01:02:04Z", "text/plain", "CCCC", "plain text", "")
	exchange("revisit", "http://b.test/", "2026-11-26T01:02:03Z", "text/html", "AAAA", "", "", profile, "WARC-Refers-To-Target-URI: http://a.test/", "WARC-Refers-To-Date: 2026-11-24T01:02:03Z")
	exchange("revisit", "http://c.test/", "2026-11-26T01:02:03Z", "text/html", "DDDD", "", "", profile, "WARC-Refers-To-Target-URI: http://lost.test/", "WARC-Refers-To-Date: 2026-11-24T01:02:03Z")

	store := mem.New()
	var text bytes.Buffer
	if err := cdx.Write(&text, lines); err != nil {
		t.Fatal(err)
	}
	for key, b := range map[string][]byte{warc.Key(file): out.Bytes(), warc.CDXJKey(file): text.Bytes()} {
		if _, err := store.Put(t.Context(), key, storage.BytesBlob(b), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	x, err := index.OpenMemory()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	c := &access.Collection{Name: "town", Index: x, Store: store}
	if _, err := c.Update(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func digits(date string) string {
	return strings.NewReplacer("-", "", "T", "", ":", "", "Z", "").Replace(date)
}

func run(t *testing.T, c *access.Collection, f export.Format, url string, m access.Match, more ...func(*export.Job)) ([]byte, export.Report) {
	t.Helper()
	j := export.Job{From: c, Query: access.Query{URL: url, Match: m}, Format: f, Name: "out", Title: "Town", Software: "test", Now: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)}
	for _, set := range more {
		set(&j)
	}
	var b bytes.Buffer
	rep, err := j.Run(t.Context(), &b)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), rep
}

// records reads a WARC file with the product's own reader, which checks all of it.
func records(t *testing.T, b []byte) (out []string) {
	t.Helper()
	rep, err := warc.VerifyEach(t.Context(), bytes.NewReader(b), func(r *warc.Record) {
		out = append(out, r.Get("WARC-Type")+" "+r.Get("WARC-Target-URI"))
	})
	if err != nil || !rep.OK() {
		t.Errorf("the export is not sound: %v %+v", err, rep.Problems)
	}
	return out
}

// TestWARC: the records of what was found, as they were stored, with their requests and
// metadata, and the originals of revisits; what is lost is said.
func TestWARC(t *testing.T) {
	c := town(t)
	b, rep := run(t, c, export.WARC, "http://b.test/", access.MatchHost)
	want := "warcinfo |revisit http://b.test/|request http://b.test/|metadata http://b.test/|response http://a.test/|request http://a.test/|metadata http://a.test/"
	if got := strings.Join(records(t, b), "|"); got != want || rep.Captures != 1 || rep.Originals != 1 || len(rep.Missing) != 0 {
		t.Errorf("%+v\n%s\nwant\n%s", rep, got, want)
	}
	b, rep = run(t, c, export.WARC, "", access.MatchAll, func(j *export.Job) { j.NoRequests = true })
	if got := records(t, b); len(got) != 1+5*2 || strings.Contains(strings.Join(got, "|"), "request") || rep.Captures != 5 || rep.Originals != 0 || len(rep.Missing) != 1 || !strings.Contains(rep.Missing[0], "http://c.test/") {
		t.Errorf("%+v %q", rep, got)
	}
}

// TestWACZ: what the manifest says of each file is so, and each line of the index leads
// to its record.
func TestWACZ(t *testing.T) {
	b, _ := run(t, town(t), export.WACZ, "", access.MatchAll)
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name], err = io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(f.Name, "archive/") && f.Method != zip.Store {
			t.Errorf("%s is compressed in the ZIP", f.Name)
		}
	}
	var d struct {
		Profile   string
		Version   string `json:"wacz_version"`
		Resources []struct {
			Path, Hash string
			Bytes      int
		}
	}
	if err := json.Unmarshal(files["datapackage.json"], &d); err != nil || d.Profile != "data-package" || d.Version != "1.1.1" || len(d.Resources) != 3 {
		t.Fatalf("%v %s", err, files["datapackage.json"])
	}
	for _, r := range d.Resources {
		if sum := sha256.Sum256(files[r.Path]); r.Hash != "sha256:"+hex.EncodeToString(sum[:]) || r.Bytes != len(files[r.Path]) {
			t.Errorf("%s: %+v, %d bytes", r.Path, r, len(files[r.Path]))
		}
	}
	archive := files["archive/out.warc.gz"]
	records(t, archive)
	n := 0
	if err := cdx.Read(bytes.NewReader(files["indexes/index.cdx"]), func(l cdx.Line) error {
		n++
		rec, err := warc.NewReader(bytes.NewReader(archive[l.Offset:l.Offset+l.Length]), 0, nil).Next()
		if err != nil || rec.Get("WARC-Target-URI") != l.URL || rec.ID() != l.ID || l.Filename != "out.warc.gz" {
			t.Errorf("the line of %s leads to %v %v", l.URL, rec, err)
		}
		return nil
	}); err != nil || n != 5 {
		t.Errorf("%d lines, %v", n, err)
	}
	if pages := string(files["pages/pages.jsonl"]); !strings.HasPrefix(pages, `{"format":"json-pages-1.0"`) || !strings.Contains(pages, `{"url":"http://a.test/","ts":"2026-11-24T01:02:03Z","title":"Title of http://a.test/"}`) {
		t.Errorf("pages:\n%s", pages)
	}
}

func TestTables(t *testing.T) {
	c := town(t)
	b, _ := run(t, c, export.CSV, "", access.MatchAll)
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil || len(rows) != 6 || rows[0][0] != "url" || rows[1][0] != "http://a.test/" || rows[1][1] != "2026-11-24T01:02:03Z" || rows[1][3] != "200" {
		t.Errorf("%v %q", err, rows)
	}
	b, _ = run(t, c, export.NDJSON, "", access.MatchAll)
	var first export.Row
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(&first); err != nil || first.URL != "http://a.test/" || first.Host != "a.test" || first.Record == "" || bytes.Count(b, []byte("\n")) != 5 {
		t.Errorf("%v %+v", err, first)
	}
	b, _ = run(t, c, export.Parquet, "", access.MatchAll)
	type row struct {
		URL    string `parquet:"url"`
		Host   string `parquet:"url_host_name"`
		Rev    string `parquet:"url_host_name_reversed"`
		Status *int32 `parquet:"fetch_status,optional"`
		Subset string `parquet:"subset"`
	}
	got, err := parquet.Read[row](bytes.NewReader(b), int64(len(b)))
	if err != nil || len(got) != 5 || got[0].Host != "a.test" || got[0].Rev != "test.a" || *got[0].Status != 200 || got[3].Subset != "revisit" || got[3].Status != nil {
		t.Errorf("%v %+v", err, got)
	}
	b, _ = run(t, c, export.Links, "", access.MatchAll)
	if want := `{"from":"http://a.test/","time":"2026-11-24T01:02:03Z","to":"http://a.test/pic.png","kind":"E","context":"img/@src"}
{"from":"http://a.test/","time":"2026-11-24T01:02:03Z","to":"http://b.test/","kind":"L","context":"a/@href"}
`; string(b) != want {
		t.Errorf("links:\n%s", b)
	}
	b, _ = run(t, c, export.Text, "", access.MatchAll)
	if want := `"title":"A & more","text":"Onetwo\nthree\n"`; !strings.Contains(string(b), want) || !strings.Contains(string(b), `"text":"plain text"`) {
		t.Errorf("texts:\n%s", b)
	}
	b, _ = run(t, c, export.Pages, "", access.MatchAll)
	if bytes.Count(b, []byte("\n")) != 1 || !strings.Contains(string(b), `"title":"Title of http://a.test/"`) {
		t.Errorf("pages:\n%s", b)
	}
}

// TestSample: the same seed draws the same, another draws others, all are drawn about
// as often.
func TestSample(t *testing.T) {
	c := town(t)
	draw := func(s export.Sample) string {
		b, rep := run(t, c, export.NDJSON, "", access.MatchAll, func(j *export.Job) { j.Sample = s })
		if s.Count > 0 && rep.Captures != int64(min(s.Count, 5)) {
			t.Errorf("%d captures of a sample of %d", rep.Captures, s.Count)
		}
		return string(b)
	}
	if first := draw(export.Sample{Count: 2, Seed: "x"}); first != draw(export.Sample{Count: 2, Seed: "x"}) {
		t.Error("the same seed draws another sample")
	}
	seen, share := map[string]int{}, 0
	for i := range 200 {
		seen[draw(export.Sample{Count: 1, Seed: fmt.Sprint(i)})]++
		share += strings.Count(draw(export.Sample{Share: 0.4, Seed: fmt.Sprint(i)}), "\n")
	}
	for b, n := range seen {
		if n < 15 || n > 75 {
			t.Errorf("drawn %d times of 200: %s", n, b)
		}
	}
	if len(seen) != 5 || share < 320 || share > 480 {
		t.Errorf("%d different captures were drawn; a share of 0.4 of 5 gave %d in 200", len(seen), share)
	}
	if draw(export.Sample{Count: 9, Seed: "x"}) != draw(export.Sample{}) {
		t.Error("a sample of more than there are is not all of them")
	}
}

func TestSheet(t *testing.T) {
	_, rep := run(t, town(t), export.NDJSON, "", access.MatchAll)
	s := export.Sheet{Title: "Town", Archive: "town", Operator: "A. Keeper", Format: export.NDJSON, File: "out", SHA256: "00", Made: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC), Software: "salvor test", Report: rep}
	if got, want := s.Citation(), "A. Keeper. Town [web archive, captured 2026-11-24 to 2026-11-26]. Exported 2026-11-27 by salvor test. SHA-256 00."; got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	for _, want := range []string{"| text/html | 1 |", "| a.test | 3 |", "| 2026-11-26 | 2 |", "- captures: 5"} {
		if !strings.Contains(s.Markdown(), want) {
			t.Errorf("the sheet lacks %q:\n%s", want, s.Markdown())
		}
	}
}

// TestDamage: a record that cannot be read is named, and the others are exported.
func TestDamage(t *testing.T) {
	c := town(t)
	bad := access.Collection{Name: "town", Index: c.Index, Store: mem.New()}
	j := export.Job{From: &bad, Query: access.Query{Match: access.MatchAll}, Format: export.WARC, Name: "out", Now: time.Now()}
	if _, err := j.Run(t.Context(), io.Discard); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("without its WARC file: %v", err)
	}
}
