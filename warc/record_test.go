package warc

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"salvor"
)

// TestForms drives testdata/forms: an HTTP message, and the record it becomes.
// Every record must pass our reader and gowarc's strict one.
func TestForms(t *testing.T) {
	datadriven.RunTest(t, "testdata/forms", func(t *testing.T, d *datadriven.TestData) string {
		msg := unescapeMessage(t, d.Input)
		e := exchange("http://example.com/x", msg, "")
		e.HeadLen = headLen(msg)
		e.Chunked = d.HasArg("chunked")
		e.Status = 0
		fmt.Sscanf(strings.TrimLeft(msg, "HTP/.012"), " %d", &e.Status)
		if d.HasArg("truncated") {
			d.ScanArgs(t, "truncated", &e.Truncated)
		}
		if d.HasArg("type") {
			d.ScanArgs(t, "type", &e.Type)
		}
		body := msg[e.HeadLen:]
		e.HasPayload, e.PayloadDigest = len(body) > 0, sha1.Sum([]byte(body))
		if d.HasArg("revisit") {
			e.Revisit = &Original{URL: "http://example.com/orig", Date: testStart}
		}
		e.Request = nil
		dir := t.TempDir()
		p, _ := mustOpen(t, testConfig(t, dir))
		mustWrite(t, p, e)
		mustSeal(t, p)
		path := stored(t, dir)[0]
		strictly(t, path)
		return describeRecords(t, path)
	})
}

// describeRecords prints what the decisions are about.
func describeRecords(t *testing.T, path string) string {
	var b strings.Builder
	for _, rec := range recordsOf(t, path)[1:] {
		fmt.Fprintf(&b, "%s %s", rec.Get("WARC-Type"), rec.Get("Content-Type"))
		for _, f := range []string{"WARC-Payload-Digest", "WARC-Identified-Payload-Type", "WARC-Truncated", "WARC-Profile", "WARC-Refers-To-Target-URI", "WARC-Refers-To-Date"} {
			if v := rec.Get(f); v != "" {
				fmt.Fprintf(&b, "\n  %s: %s", f, v)
			}
		}
		fmt.Fprintf(&b, "\n  %q\n", rec.block)
	}
	for _, l := range indexOf(t, path) {
		fmt.Fprintf(&b, "index: mime=%s status=%s digest=%s original=%v\n", l.Mime, l.Status, l.Digest, l.Date != "")
	}
	return b.String()
}

type readRecord struct {
	*Record
	block []byte
}

func recordsOf(t testing.TB, path string) (rs []readRecord) {
	t.Helper()
	r := NewReader(bytes.NewReader(readFile(t, path)), 0, nil)
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return rs
		}
		if err != nil {
			t.Fatal(err)
		}
		block, err := io.ReadAll(rec.Block)
		if err != nil {
			t.Fatal(err)
		}
		rs = append(rs, readRecord{rec, block})
	}
}

// unescapeMessage reads messages written with \r, \n, \x00 and real line ends
// that mean nothing.
func unescapeMessage(t *testing.T, s string) string {
	s = strings.ReplaceAll(s, "\n", "")
	return strings.NewReplacer(`\r`, "\r", `\n`, "\n", `\x01`, "\x01", `\xe9`, "\xe9").Replace(s)
}

// headLen is what a recorder calls the head: up to the first empty line.
func headLen(msg string) int {
	if !strings.HasPrefix(strings.ToUpper(msg), "HTTP") && !strings.HasPrefix(msg, "FOO") {
		return 0
	}
	for _, end := range []string{"\r\n\r\n", "\n\n", "\n\r\n"} {
		if i := strings.Index(msg, end); i >= 0 {
			return i + len(end)
		}
	}
	return 0
}

func TestExchangeFields(t *testing.T) {
	dir := t.TempDir()
	p, _ := mustOpen(t, testConfig(t, dir))
	e := page("http://example.com/a", "<html>a</html>")
	e.Metadata.Interim = []byte("HTTP/1.1 103 Early Hints\r\nLink: </a%b>\r\n\r\n")
	e.Metadata.Notes = []string{"certificate is self-signed"}
	rc := mustWrite(t, p, e)
	mustSeal(t, p)
	path := stored(t, dir)[0]
	rs := recordsOf(t, path)
	info, resp, req, meta := rs[0], rs[1], rs[2], rs[3]
	if rec, _ := memberAt(t, path, rc.Place.Offset, rc.Place.Length); rec.ID() != resp.ID() {
		t.Errorf("the receipt leads to %s", rec.ID())
	}
	if got := info.Get("WARC-Filename"); !strings.HasSuffix(path, "/"+got) {
		t.Errorf("warcinfo names %s, the file is %s", got, path)
	}
	for _, want := range []string{"software: salvor/test\r\n", "format: WARC File Format 1.1\r\n", "conformsTo: http://iipc", "operator: A. Tester", "http-header-user-agent: salvor"} {
		if !strings.Contains(string(info.block), want) {
			t.Errorf("warcinfo lacks %q: %s", want, info.block)
		}
	}
	for _, r := range rs[1:] {
		if r.Get("WARC-Date") != "2026-11-24T01:02:03.456Z" || r.Get("WARC-Target-URI") != e.URL {
			t.Errorf("%s has date %s and target %s", r.Get("WARC-Type"), r.Get("WARC-Date"), r.Get("WARC-Target-URI"))
		}
		if strings.Trim(r.Get("WARC-Warcinfo-ID"), "<>") != info.ID() {
			t.Errorf("%s names another warcinfo", r.Get("WARC-Type"))
		}
	}
	if resp.Get("WARC-Concurrent-To") != req.Get("WARC-Record-ID") || req.Get("WARC-Concurrent-To") != resp.Get("WARC-Record-ID") || meta.Get("WARC-Concurrent-To") != resp.Get("WARC-Record-ID") {
		t.Error("the records of the exchange do not name each other")
	}
	var protocols []string
	for _, f := range resp.Fields {
		if f.Name == "WARC-Protocol" {
			protocols = append(protocols, f.Value)
		}
	}
	if strings.Join(protocols, " ") != "http/1.1 tls/1.3" || resp.Get("WARC-Cipher-Suite") != e.Cipher || resp.Get("WARC-IP-Address") != e.IP {
		t.Errorf("transport fields: %v", resp.Fields)
	}
	if !bytes.Equal(req.block, e.Request) {
		t.Errorf("request is %q", req.block)
	}
	want := "via: http://example.com/\r\nhopsFromSeed: LL\r\nfetchTimeMs: 30\r\ntitle: A page\r\nnote: certificate is self-signed\r\n" +
		"interim: HTTP/1.1 103 Early Hints%0D%0ALink: </a%25b>%0D%0A%0D%0A\r\n" +
		"outlink: http://example.com/next L a/@href\r\noutlink: http://example.com/i.png E img/@src\r\n"
	if string(meta.block) != want {
		t.Errorf("metadata is\n%s\nwant\n%s", meta.block, want)
	}
	if got := ParseMetadata(meta.block); string(got.Interim) != string(e.Metadata.Interim) || len(got.Outlinks) != 2 || got.Title != "A page" {
		t.Errorf("metadata reads back as %+v", got)
	}
}

// TestRefused: what would break a header, or somebody's index, is refused, and
// the segment is as it was.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	p, _ := mustOpen(t, testConfig(t, dir))
	mustWrite(t, p, page("http://example.com/good", "good"))
	for name, spoil := range map[string]func(*Exchange){
		"space in URL":    func(e *Exchange) { e.URL = "http://example.com/a b" },
		"raw UTF-8":       func(e *Exchange) { e.URL = "http://example.com/ü" },
		"empty URL":       func(e *Exchange) { e.URL = "" },
		"line end in URL": func(e *Exchange) { e.URL = "http://example.com/\r\nWARC-Type: x" },
		"line end in IP":  func(e *Exchange) { e.IP = "1.2.3.4\r\nX: y" },
		"protocol":        func(e *Exchange) { e.Protocol = []string{"h\n2"} },
		"cipher":          func(e *Exchange) { e.Cipher = "\x00" },
		"truncated":       func(e *Exchange) { e.Truncated = "a\nb" },
		"revisit":         func(e *Exchange) { e.Revisit = &Original{URL: "http://a b/"} },
		"no block":        func(e *Exchange) { e.Response = nil },
		"long head":       func(e *Exchange) { e.HeadLen = 1 << 30 },
		"long extra":      func(e *Exchange) { e.Journal.Extra = make([]byte, maxExtra+1) },
		"long entry":      func(e *Exchange) { e.Journal.Reason = strings.Repeat("x", maxJournal) },
	} {
		e := page("http://example.com/bad", "bad")
		spoil(e)
		if _, err := p.Write(t.Context(), e); salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.WriteResource(t.Context(), "urn:x y", "text/plain", nil); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("resource with a space: %v", err)
	}
	if err := p.WriteResource(t.Context(), "urn:x:y", "text/plain\r\nX: y", nil); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("resource with a line end: %v", err)
	}
	mustSeal(t, p)
	if got := strictly(t, stored(t, dir)[0]); got["response"] != 1 || got["resource"] != 0 {
		t.Errorf("records: %v", got)
	}
}

// shortBlock says it is longer than it is, or fails.
type shortBlock struct {
	bytesBlock
	size int64
	err  error
}

func (b shortBlock) Size() int64 { return b.size }
func (b shortBlock) WriteTo(w io.Writer) (int64, error) {
	n, err := b.bytesBlock.WriteTo(w)
	return n, errors.Join(err, b.err)
}

// TestBlockThatFails: small or streamed, a block that does not give what it
// promised fails its exchange only.
func TestBlockThatFails(t *testing.T) {
	dir := t.TempDir()
	p, _ := mustOpen(t, testConfig(t, dir))
	mustWrite(t, p, page("http://example.com/1", "one"))
	for _, n := range []int{100, smallBlock + 100} {
		for _, b := range []shortBlock{{size: int64(n) + 5}, {size: int64(n), err: errors.New("spool is gone")}} {
			e := page("http://example.com/bad", strings.Repeat("x", n))
			b.bytesBlock = e.Response.(bytesBlock)[:n]
			e.Response = b
			if _, err := p.Write(t.Context(), e); err == nil {
				t.Errorf("block of %d bytes that gives %d: no error", b.size, n)
			}
		}
	}
	mustWrite(t, p, page("http://example.com/2", "two"))
	mustSeal(t, p)
	if got := strictly(t, stored(t, dir)[0]); got["response"] != 2 {
		t.Errorf("records: %v", got)
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add("http://a/", "LLE", "title", "note", []byte("HTTP/1.1 100\r\n\r\n"), "http://b/", byte('L'), "a/@href")
	f.Add("", "\r\n", "\x00", "a\nb: c", []byte{0, 255, '%'}, "a b\x00", byte(0), "x\r\noutlink: y")
	f.Fuzz(func(t *testing.T, via, path, title, note string, interim []byte, url string, hop byte, ctx string) {
		m := &Metadata{Via: via, Path: path, Title: title, Notes: []string{note}, Interim: interim, Outlinks: []Outlink{{url, hop, ctx}, {"http://last/", 'E', ""}}}
		got := ParseMetadata(m.appendFields(nil))
		if len(got.Outlinks) != 2 || got.Outlinks[1] != m.Outlinks[1] {
			t.Fatalf("outlinks %+v of %+v", got.Outlinks, m.Outlinks)
		}
		if len(interim) > 0 && !bytes.Equal(got.Interim, interim) {
			t.Fatalf("interim %q of %q", got.Interim, interim)
		}
	})
}
