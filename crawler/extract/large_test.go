package extract

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestManyLinks: a page with more links than wait for its end. Each is told as
// it stands, also where the value of an attribute spans the place at which the
// first are let go; a <base> among the first holds for all.
func TestManyLinks(t *testing.T) {
	const before = maxRefs - 2
	var page strings.Builder
	want := map[string]bool{}
	page.WriteString(`<base href="/b/">`)
	for i := range before {
		fmt.Fprintf(&page, "<a href=%d>", i)
		want[fmt.Sprintf("/b/%d", i)] = true
	}
	page.WriteString(`<img srcset="`)
	for i := range 6 {
		fmt.Fprintf(&page, "s?a&amp;%d %dx, ", i, i+1)
		want[fmt.Sprintf("/b/s?a&%d", i)] = true
	}
	page.WriteString(`"><p style="background:url(&quot;x&quot;)"><a href="later/and/longer/than/before?a&amp;b">`)
	want["/b/x"], want["/b/later/and/longer/than/before?a&b"] = true, true
	for i := range maxRefs {
		fmt.Fprintf(&page, `<a href="e?a&amp;%d">`, i)
		want[fmt.Sprintf("/b/e?a&%d", i)] = true
	}
	info := Links(Document{Base: "http://example.org/", Type: "text/html", Body: []byte(page.String())}, func(l Link) {
		if !want[l.URL.Path] {
			t.Fatalf("%s stands nowhere on the page", l.URL.Href)
		}
		delete(want, l.URL.Path)
	})
	for path := range want {
		t.Fatalf("%s and %d more are missing; %+v", path, len(want)-1, info)
	}
}

// TestOften: a menu that stands on a page many times is told once.
func TestOften(t *testing.T) {
	const different = seenStart // more than the first table holds
	var page strings.Builder
	for range 20 {
		for i := range different {
			fmt.Fprintf(&page, `<a href="/%d"><img src="/%d">`, i, i)
		}
	}
	n := 0
	Links(Document{Base: "http://example.org/", Type: "text/html", Body: []byte(page.String())}, func(Link) { n++ })
	if n != 2*different {
		t.Errorf("%d links of %d", n, 2*different)
	}
}

// linear fails if eight times the input takes far more than eight times as long.
func linear(t *testing.T, read func(n int)) {
	t.Helper()
	took := func(n int) time.Duration {
		start := time.Now()
		read(n)
		return time.Since(start)
	}
	few, many := took(5000), took(40_000)
	if many > 30*few && many > 300*time.Millisecond && took(40_000) > 30*took(5000) {
		t.Errorf("%v became %v", few, many)
	}
}

// TestLinear: no kind of document takes more than its length.
func TestLinear(t *testing.T) {
	for _, c := range []struct{ name, typ, open, unit, end string }{
		{"urls without end", "text/css", "", "url(", ""},
		{"quoted urls without end", "text/css", "", "url('\n", ""},
		{"comments", "text/css", "", "/*/", ""},
		{"image sets", "text/css", "a{b:", "image-set(", ""},
		{"escapes", "text/css", "a{b:url(", `\31 `, ")}"},
		{"imports", "text/css", "", "@import ", ""},
		{"elements without end", "application/xml", "<urlset>", "<loc>", ""},
		{"sections without end", "application/xml", "<urlset>", "<loc><![CDATA[", ""},
		{"prefixes", "application/xml", "<", "x:", "><loc>"},
		{"roots that are none", "application/xml", "", "<!-- --><!x>", "<urlset>"},
		{"lines", "text/plain", "", "http://x.example/sitemap\n", ""},
		{"frames in frames", "text/html", "", "<iframe srcdoc='", "'>"},
		{"scripts in comments", "text/html", "<script><!--", "<script></script>-", "-->"},
		{"candidates", "text/html", `<img srcset="`, "(,),", `">`},
		{"archives", "text/html", `<applet codebase=/x/y/z archive="`, "a,", `">`},
		{"ampersands", "text/html", `<a href="/?`, "&", `">`},
		{"names of references", "text/html", `<a href="/?&`, "a", `">`},
		{"refreshes", "text/html", `<meta http-equiv=refresh content="`, "0", `;url=/x">`},
		{"titles", "text/html", "", "<title>", ""},
		{"icons", "text/html", "", "<svg><title/>", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			linear(t, func(n int) {
				body := []byte(c.open + strings.Repeat(c.unit, n) + c.end)
				Links(Document{Base: "http://example.org/sitemap.txt", Type: c.typ, Body: body}, func(Link) {})
			})
		})
	}
	for _, unit := range []string{"<", "<a>", `<a>;rel="`, "<a>;", "<a>,", `<a>;x="\`, "<a>; imagesrcset=\"b,"} {
		t.Run("header "+unit, func(t *testing.T) {
			linear(t, func(n int) {
				v := []string{strings.Repeat(unit, n)}
				Links(Document{Base: "http://example.org/", Status: 200, Header: func(string) []string { return v }}, func(Link) {})
			})
		})
	}
}

// TestDataURLs are counted as what they are, also those that are longer than
// any URL may be; other references of that length are none.
func TestDataURLs(t *testing.T) {
	long := strings.Repeat("A", 1<<20)
	info := Links(Document{Base: "http://example.org/", Type: "text/html", Body: []byte(
		`<img src="data:image/gif;base64,AA=="><img src="DATA:image/png;base64,` + long + `"><p style="background:url(data:,` + long + `)"><a href="/` + long + `"><a href="/x">`,
	)}, func(Link) {})
	if info.Other != 3 || info.BadRefs != 1 || info.Links != 1 {
		t.Errorf("%+v", info)
	}
}
