package extract

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"salvor/crawler/canon"
)

// TestLinks drives testdata/links/*: a document and what it links to.
//
//	links [type=TYPE] [url=URL] [charset=NAME] [status=CODE] [list] [robots] [hex]
//
// Lines of the form "%Name: value" are response headers. The answer is a
// line a link: kind, URL, where it stood.
func TestLinks(t *testing.T) {
	datadriven.Walk(t, "testdata/links", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			doc := readDocument(t, d)
			var out strings.Builder
			info := Links(doc, func(l Link) {
				fmt.Fprintf(&out, "%-9s %s (%s)\n", l.Kind, l.URL.Href, l.Context)
			})
			if info.Title != "" {
				fmt.Fprintf(&out, "title %q\n", info.Title)
			}
			if info.BadRefs+info.Other > 0 {
				fmt.Fprintf(&out, "%d no URL, %d other\n", info.BadRefs, info.Other)
			}
			return out.String()
		})
	})
}

func readDocument(t *testing.T, d *datadriven.TestData) Document {
	doc := Document{Base: "http://example.org/dir/page.html", Type: "text/html", Status: 200}
	d.MaybeScanArgs(t, "type", &doc.Type)
	d.MaybeScanArgs(t, "url", &doc.Base)
	d.MaybeScanArgs(t, "charset", &doc.Charset)
	d.MaybeScanArgs(t, "status", &doc.Status)
	doc.List, doc.Robots = d.HasArg("list"), d.HasArg("robots")
	header := map[string][]string{}
	var body strings.Builder
	for line := range strings.Lines(d.Input) {
		if h, ok := strings.CutPrefix(line, "%"); ok {
			name, value, _ := strings.Cut(strings.TrimSpace(h), ": ")
			header[name] = append(header[name], value)
			continue
		}
		body.WriteString(line)
	}
	doc.Body = []byte(body.String())
	if d.HasArg("hex") {
		b, err := hex.DecodeString(strings.Join(strings.Fields(body.String()), ""))
		if err != nil {
			t.Fatal(err)
		}
		doc.Body = b
	}
	doc.Header = func(name string) []string { return header[name] }
	return doc
}

// TestHuge: sizes that break parsers. Deep nesting is none for a scanner, and
// a document of one kind of thing is read in linear time.
func TestHuge(t *testing.T) {
	const n = 200_000
	docs := map[string]string{
		"nesting":          strings.Repeat("<div>", n) + `<a href="/x">`,
		"open comments":    strings.Repeat("<!--", n) + `--><a href="/x">`,
		"open tags":        strings.Repeat("<a ", n) + `><a href="/x">`,
		"open scripts":     strings.Repeat("<script><!--<script>", n/4) + strings.Repeat("</script></script>", n/4) + `<a href="/x">`,
		"a long attribute": `<a title="` + strings.Repeat("x", 10*n) + `" href="/x">`,
		"many attributes":  "<a " + strings.Repeat("x=1 ", n) + `href="/x">`,
		"a large srcset":   `<img srcset="` + strings.Repeat("/p 1x, ", n) + `"><a href="/x">`,
		"many entities":    `<a title="` + strings.Repeat("&amp;&#x;", n) + `" href="/x">`,
		"quotes":           strings.Repeat(`'"`, n) + `<a href="/x">`,
		"less-than signs":  strings.Repeat("<", n) + `<a href="/x">`,
		"open styles":      "<style>" + strings.Repeat("url(", n) + `</style><a href="/x">`,
		"data URIs":        `<img src="data:image/png;base64,` + strings.Repeat("A", 10*n) + `"><a href="/x">`,
	}
	for name, body := range docs {
		t.Run(name, func(t *testing.T) {
			start, found := time.Now(), false
			Links(Document{Base: "http://example.org/", Type: "text/html", Body: []byte(body)}, func(l Link) {
				found = found || l.URL.Href == "http://example.org/x"
			})
			if !found {
				t.Error("the last link is missing")
			}
			if d := time.Since(start); d > 10*time.Second { // minutes, if it were quadratic
				t.Errorf("%d bytes took %v", len(body), d)
			}
		})
	}
}

// TestUnchanged: the document is neither written to nor kept.
func TestUnchanged(t *testing.T) {
	const page = `<title>a &amp; b</title><base href="/d/"><a href="x&amp;y">1</a><img srcset="a 1x, b&#x26;c 2x"><p style="background:url(d)">`
	body := []byte(page)
	var links []Link
	Links(Document{Base: "http://example.org/", Type: "text/html", Body: body}, func(l Link) { links = append(links, l) })
	if string(body) != page {
		t.Errorf("it became %s", body)
	}
	for i := range body {
		body[i] = '#'
	}
	for _, l := range links {
		if strings.Contains(l.URL.Href, "#") {
			t.Errorf("%s shares memory with the document", l.URL.Href)
		}
	}
	if len(links) != 4 {
		t.Errorf("%d links of 4", len(links))
	}
}

// TestKinds: a letter leads back to its kind.
func TestKinds(t *testing.T) {
	for k := range NumKinds {
		if got := KindOf(k.Hop()); got != k {
			t.Errorf("%v is written as %c and read as %v", k, k.Hop(), got)
		}
	}
}

func canonical(t *testing.T, u canon.URL) {
	t.Helper()
	again, err := canon.Parse(u.Href)
	if err != nil || again.Href != u.Href || again.Host != u.Host || again.Origin != u.Origin {
		t.Errorf("%+v parses to %+v, %v", u, again, err)
	}
}
