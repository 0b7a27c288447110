package extract

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// FuzzLinks: nothing panics or hangs, and what is emitted is canonical.
func FuzzLinks(f *testing.F) {
	types := []string{"text/html", "text/css", "application/xml", "application/xhtml+xml", "text/plain", ""}
	f.Add(uint8(0), []byte(`<base href=/d/><a href="x&amp;y">1</a><img srcset="a 1x, b 2x"><style>@import "c"; p{background:url(d)}</style>`))
	f.Add(uint8(0), []byte("<script><!--<script></script>--></script><!--[if IE]><link rel=stylesheet href=ie.css><![endif]-->"))
	f.Add(uint8(1), []byte(`@import url("a\62.css"); b{background:image-set("c" 1x, url(d) 2x)}`))
	f.Add(uint8(2), []byte(`<?xml version="1.0"?><urlset><url><loc> http://x.example/a?b&amp;c </loc></url></urlset>`))
	f.Add(uint8(2), []byte(`<rss><item><link>http://x.example/</link><enclosure url="a.mp3"/></item></rss>`))
	f.Add(uint8(3), []byte(`<html xmlns="http://www.w3.org/1999/xhtml"><![CDATA[<a href="no">]]><a href="yes"/></html>`))
	f.Fuzz(func(t *testing.T, kind uint8, body []byte) {
		d := Document{Base: "http://example.org/dir/page", Type: types[int(kind)%len(types)], Body: body}
		Links(d, func(l Link) { canonical(t, l.URL) })
	})
}

// FuzzAgainstTokenizer compares the values of a's href with x/net/html, an
// independent reading of the standard. Where the two may differ for good
// reasons, the input is passed over: inside of elements whose text only one of
// them skips, and bytes that are no UTF-8.
func FuzzAgainstTokenizer(f *testing.F) {
	f.Add([]byte(`<a href=x><a href='y'><A HREF="z&amp;1"><a href=a&ampb><a x="1"href=u>`))
	f.Add([]byte(`<a/href=x><a href = "y" href="z"><a href><a href=""><a href="&#x41;&#65;&notit;">`))
	f.Add([]byte(`<!-- <a href=no> --><a title='>' href="yes"></a href=no>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if bytes.ContainsAny(body, "\x00\r") || len(body) > 4096 || !bytes.Equal(bytes.ToValidUTF8(body, nil), body) || special(body) {
			return
		}
		var ours []string
		s := scans.Get().(*scan)
		defer s.release()
		*s = scan{seen: s.seen}
		walkTags(s, body, func(href string) { ours = append(ours, href) })
		if theirs := hrefs(body); fmt.Sprint(ours) != fmt.Sprint(theirs) {
			t.Errorf("%q\nours   %q\ntheirs %q", body, ours, theirs)
		}
	})
}

// special reports whether a document has elements in which text is no HTML, or
// comments and declarations, whose ends the two read alike only when they are
// well formed.
func special(b []byte) bool {
	low := bytes.ToLower(b)
	for _, name := range []string{"script", "style", "title", "textarea", "xmp", "iframe", "plaintext", "noembed", "noframes", "noscript", "svg", "math", "<!", "<?", "</"} {
		if bytes.Contains(low, []byte(name)) {
			return true
		}
	}
	return false
}

// walkTags reads start tags as html does.
func walkTags(s *scan, b []byte, emit func(string)) {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 || i+n+1 >= len(b) {
			return
		}
		i += n + 1
		if c := b[i] | 0x20; c < 'a' || 'z' < c {
			continue
		}
		if i = s.tag.readTag(b, i); i < 0 {
			return
		}
		if v, ok := s.tag.get(attrHref); ok && s.tag.id == tagA {
			emit(string(s.value(v)))
		}
	}
}

func hrefs(b []byte) (out []string) {
	z := html.NewTokenizer(bytes.NewReader(b))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return out
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			for _, a := range tok.Attr {
				if tok.Data == "a" && a.Key == "href" {
					out = append(out, a.Val)
					break
				}
			}
		}
	}
}

// BenchmarkPage reads a page of 22 KB with 50 links, and the same page with
// x/net/html's tokenizer in the same run: what counts is the ratio.
func BenchmarkPage(b *testing.B) {
	page := []byte("<!DOCTYPE html><title>A page</title><link rel=stylesheet href=/style.css>")
	for i := range 50 {
		page = fmt.Appendf(page, `<div class="row item-%d" id=i%d><p>%s</p><a class="link" href="/forum/topic/%d/view?page=%d">Topic <b>%d</b></a></div>`+"\n",
			i, i, strings.Repeat("some words of text that stand on the page ", 7), i*7919, i%9, i)
	}
	b.Run("scanner", func(b *testing.B) {
		b.SetBytes(int64(len(page)))
		b.ReportAllocs()
		for b.Loop() {
			Links(Document{Base: "http://example.org/", Type: "text/html", Body: page}, func(Link) {})
		}
	})
	b.Run("tokenizer", func(b *testing.B) {
		b.SetBytes(int64(len(page)))
		b.ReportAllocs()
		for b.Loop() {
			hrefs(page)
		}
	})
}
