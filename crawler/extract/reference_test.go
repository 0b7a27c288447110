package extract

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// seedDocuments are the documents of testdata/links.
func seedDocuments(f *testing.F) (out [][]byte) {
	files, err := filepath.Glob("testdata/links/*")
	if err != nil || len(files) == 0 {
		f.Fatal("no documents", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for part := range bytes.SplitSeq(b, []byte("\nlinks")) {
			_, doc, _ := bytes.Cut(part, []byte("\n"))
			doc, _, _ = bytes.Cut(doc, []byte("----\n"))
			out = append(out, doc)
		}
	}
	return out
}

// FuzzDocument: no type, charset, header or status makes anything panic or
// emit what is not canonical, and a document always yields the same.
func FuzzDocument(f *testing.F) {
	for i, doc := range seedDocuments(f) {
		f.Add(doc, []string{"text/html", "text/css", "text/xml", "image/svg+xml", "text/plain", ""}[i%6], "", "</a>; rel=next", 200)
	}
	f.Add([]byte("<meta http-equiv=content-type content='\xff\xff\xff\xff charset=x'>"), "text/html", "", "0;url=x", 302)
	f.Add([]byte("\x1b$B<T\x1b(B<a href=x>"), "text/html", "iso-2022-jp", "", 0)
	f.Add([]byte("\xfe\xff\x00<\x00a\x00>\x00"), "application/xml", "", "", 0)
	f.Fuzz(func(t *testing.T, body []byte, typ, charset, header string, status int) {
		for _, base := range []string{"http://example.org/dir/page?q", "http://example.org/robots.txt", "http://example.org/sitemap.txt"} {
			d := Document{Base: base, Type: typ, Charset: charset, Status: status, Body: body, Header: func(string) []string { return []string{header} }}
			var first, second []Link
			info := Links(d, func(l Link) { first = append(first, l) })
			for _, l := range first {
				canonical(t, l.URL)
			}
			again := Links(d, func(l Link) { second = append(second, l) })
			if again != info || !slices.Equal(first, second) || info.Links != len(first) {
				t.Errorf("once %+v %v, then %+v %v", info, first, again, second)
			}
			if len(info.Title) > maxTitle || !strings.HasPrefix(info.Title, strings.TrimSpace(info.Title)) {
				t.Errorf("title %q", info.Title)
			}
		}
	})
}

// FuzzWhole compares all the links of a elements with those that x/net/html's
// tokenizer finds in the whole document: comments, declarations, end tags and
// raw text included. It passes over what the two read differently on purpose.
func FuzzWhole(f *testing.F) {
	for _, doc := range seedDocuments(f) {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) > 4096 || readsOtherwise(body) {
			return
		}
		s := scans.Get().(*scan)
		defer s.release()
		s.html(body)
		theirs := map[string]bool{}
		for _, v := range hrefs(body) {
			if v = string(trim([]byte(v))); v != "" && v[0] != '#' {
				theirs[v] = true
			}
		}
		pages := map[string]bool{}
		for _, r := range s.refs {
			if pages[string(r.text)] = true; r.context == "a/@href" && !theirs[string(r.text)] {
				t.Errorf("the tokenizer does not find %q in %q", r.text, body)
			}
		}
		for v := range theirs {
			if !pages[v] {
				t.Errorf("we do not find %q in %q", v, body)
			}
		}
	})
}

// readsOtherwise: noscript, noframes and noembed hold links for us; conditional
// comments are read; SVG closes elements that HTML does not; a srcdoc is a
// document; a comment in a script ends at any "<" for the tokenizer; its bytes
// are UTF-8 and its line ends mended.
func readsOtherwise(b []byte) bool {
	if bytes.ContainsAny(b, "\x00\r") || !bytes.Equal(bytes.ToValidUTF8(b, nil), b) {
		return true
	}
	low := string(bytes.ToLower(b))
	for _, word := range []string{"noscript", "noframes", "noembed", "[if", "svg", "srcdoc"} {
		if strings.Contains(low, word) {
			return true
		}
	}
	return strings.Contains(low, "<script") && strings.Contains(low, "<!--")
}

// FuzzReferences compares character references with x/net/html's.
func FuzzReferences(f *testing.F) {
	for _, v := range []string{"&amp;&amp&ampx&amp=", "&notit;&not;it&not", "&#65;&#x41;&#65&#x&#;&#", "&copy&copy;&copy1", "&fjlig;&;&&", "&#128;&#0;&#xD800;"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		if strings.ContainsAny(v, "\"\x00\r") || !bytes.Equal([]byte(strings.ToValidUTF8(v, "")), []byte(v)) {
			return
		}
		z := html.NewTokenizer(strings.NewReader(`<a href="` + v + `">`))
		z.Next()
		if got, want := string(unescape(nil, []byte(v))), z.Token().Attr[0].Val; got != want {
			t.Errorf("%q is %q, the tokenizer says %q", v, got, want)
		}
	})
}

// FuzzSrcset compares with the standard's algorithm as it is written
// (https://html.spec.whatwg.org/#parsing-a-srcset-attribute), but for the
// descriptors' meaning.
func FuzzSrcset(f *testing.F) {
	for _, v := range []string{"a", "a 1x, b 2x", "a,b 1x,,c", ",, a ,", "a,, b", "a (1x, b), c", "a 1x (,b", "data:,x 1x, d\t2w\n,e"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		s := scans.Get().(*scan)
		defer s.release()
		s.srcset([]byte(v), "x")
		seen := map[string]bool{}
		var want []string
		for _, url := range candidates(v) {
			if url = string(trim([]byte(url))); url != "" && url[0] != '#' && !seen[url] {
				seen[url] = true
				want = append(want, url)
			}
		}
		var got []string
		for _, r := range s.refs {
			got = append(got, string(r.text))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q holds %q, the standard says %q", v, got, want)
		}
	})
}

// candidates are the URLs of a srcset, by the standard's steps.
func candidates(input string) (out []string) {
	const space = " \t\n\f\r"
	for {
		input = strings.TrimLeft(input, space+",")
		if input == "" {
			return out
		}
		end := strings.IndexAny(input, space)
		if end < 0 {
			end = len(input)
		}
		url := input[:end]
		input = input[end:]
		if strings.HasSuffix(url, ",") {
			out = append(out, strings.TrimRight(url, ","))
			continue
		}
		out = append(out, url)
		input = strings.TrimLeft(input, space)
		state, pos := "in descriptor", 0
	descriptors:
		for ; pos < len(input); pos++ {
			c := input[pos]
			switch state {
			case "in descriptor":
				if strings.IndexByte(space, c) >= 0 {
					state = "after descriptor"
				} else if c == ',' {
					pos++
					break descriptors
				} else if c == '(' {
					state = "in parens"
				}
			case "in parens":
				if c == ')' {
					state = "in descriptor"
				}
			case "after descriptor":
				if strings.IndexByte(space, c) < 0 {
					state = "in descriptor"
					pos-- // reconsume
				}
			}
		}
		input = input[pos:]
	}
}
