package extract

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/encoding/htmlindex"
)

// documents have letters beyond ASCII. A browser encodes them in UTF-8 in a
// link's path, and in the page's own encoding in its query.
var documents = []struct {
	name, encoding, header, text, want string
}{
	// A byte of 表 in Shift_JIS is a backslash.
	{"Japanese", "shift_jis", "Shift_JIS", `<a href="/日本?q=日本&amp;r=表">`, `/%E6%97%A5%E6%9C%AC?q=%93%FA%96{&r=%95\`},
	{"Japanese, of Unix", "euc-jp", "EUC-JP", `<a href="/日本?q=日本&amp;r=表">`, "/%E6%97%A5%E6%9C%AC?q=%C6%FC%CB%DC&r=%C9%BD"},
	{"Japanese, of mail", "iso-2022-jp", "iso-2022-jp", `<a href="/日本?q=日本">`, `/%E6%97%A5%E6%9C%AC?q=%1B$BF|K\%1B(B`},
	{"Chinese", "gbk", "gb2312", `<a href="/日本?q=日本">`, "/%E6%97%A5%E6%9C%AC?q=%C8%D5%B1%BE"},
	{"Chinese, of Taiwan", "big5", "big5", `<a href="/日本?q=日本">`, "/%E6%97%A5%E6%9C%AC?q=%A4%E9%A5%BB"},
	// In ISO-2022-JP 者 is <T between escapes: no tag begins there.
	{"letters that look like tags", "iso-2022-jp", "", `<meta charset=iso-2022-jp><p>者</p><a href="/1">`, "/1"},

	{"declared as content", "windows-1251", "", `<meta http-equiv=Content-Type content="text/html; charset=windows-1251"><a href="/п?п">`, "/%D0%BF?%EF"},
	{"declared after another word", "windows-1251", "", `<meta content="charset; CHARSET = 'windows-1251'" http-equiv=content-type><a href="/?п">`, "/?%EF"},
	// Their lower-case forms are longer in UTF-8.
	{"declared behind bytes that are no UTF-8", "windows-1252", "", `<meta http-equiv=content-type content="ÿÿÿÿÿÿÿÿÿÿÿÿ charset=windows-1252"><a href="/?é">`, "/?%E9"},
	{"declared by XML", "koi8-r", "", `<?xml version="1.0" encoding="koi8-r"?><a href="/?п">`, "/?%D0"},
	{"declared twice", "windows-1251", "", `<meta charset=windows-1251><meta charset=koi8-r><a href="/?п">`, "/?%EF"},
	{"declared in a comment", "windows-1252", "", `<!-- <meta charset=koi8-r> --><a href="/?é">`, "/?%E9"},
	{"declared too late", "windows-1252", "", `<!--` + strings.Repeat("x", prescan) + `--><meta charset=koi8-r><a href="/?é">`, "/?%E9"},
	{"declared as what it cannot be", "utf-8", "", `<meta charset=utf-16le><a href="/?é">`, "/?%C3%A9"},
	{"declared as nothing known", "windows-1252", "", `<meta charset=nonsense><a href="/?é">`, "/?%E9"},
	{"not declared", "utf-8", "", `<a href="/?é">`, "/?%C3%A9"},
	{"neither declared nor UTF-8", "windows-1252", "", `<a href="/?é">`, "/?%E9"},
	{"the header beats the declaration", "windows-1252", "latin1", `<meta charset=windows-1251><a href="/?é">`, "/?%E9"},
	{"unless it is unknown", "windows-1251", "none", `<meta charset=windows-1251><a href="/?п">`, "/?%EF"},
	{"a mark beats the header", "utf-8", "latin1", "\ufeff" + `<a href="/?é">`, "/?%C3%A9"},
	{"16 bits by header", "utf-16be", "utf-16be", `<a href="/é?é">`, "/%C3%A9?%C3%A9"},
	{"16 bits by mark", "utf-16le", "", "\ufeff" + `<a href="/é?é">`, "/%C3%A9?%C3%A9"},

	// What the encoding does not have is asked for as a character reference.
	{"a letter it lacks", "windows-1252", "windows-1252", `<a href="/?é&#8212;&#1055;">`, "/?%E9%97%26%231055%3B"},
	{"in CSS and srcset", "windows-1252", "windows-1252", `<p style="background:url(/é?é)"><img srcset="/è?è 1x">`, "/%C3%A9?%E9 /%C3%A8?%E8"},
	// It was decoded with its attribute.
	{"in srcdoc", "windows-1252", "windows-1252", `<iframe srcdoc="<a href='/?é'>"></iframe><a href="/?è">`, "/?%E9 /?%E8"},
	{"under a base", "windows-1252", "windows-1252", `<base href="/é/?é"><a href="?é">`, "/%C3%A9/?%E9"},
}

func TestCharsets(t *testing.T) {
	for _, c := range documents {
		t.Run(c.name, func(t *testing.T) {
			e, err := htmlindex.Get(c.encoding)
			if err != nil {
				t.Fatal(err)
			}
			body, err := e.NewEncoder().Bytes([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			info := Links(Document{Base: "http://example.org/d", Type: "text/html", Charset: c.header, Body: body}, func(l Link) {
				got = append(got, l.URL.Path)
			})
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("read as %s: %s, want %s", info.Charset, s, c.want)
			}
		})
	}
}

func TestTitles(t *testing.T) {
	for _, c := range []struct{ page, want string }{
		{"<title>\n a\t&amp;\u00a0b &copy \n</title>", "a & b ©"},
		{"<svg><title>icon</title></svg><title>page</title><title>other</title>", "page"},
		{"<title></title><title>second</title>", "second"},
		{`<iframe srcdoc="<title>inner</title>"></iframe><title>outer</title>`, "outer"},
		{"<title><b>not markup</b> <!-- nor this --></title>", "<b>not markup</b> <!-- nor this -->"},
		{"<title>" + strings.Repeat("é", maxTitle) + "</title>", strings.Repeat("é", maxTitle/2)},
		{"<title>never ends", "never ends"},
		{"<title/>", ""},
	} {
		info := Links(Document{Base: "http://example.org/", Type: "text/html", Charset: "utf-8", Body: []byte(c.page)}, func(Link) {})
		if info.Title != c.want {
			t.Errorf("%s has the title %q, want %q", c.page, info.Title, c.want)
		}
	}
}

// TestHasLinks: what is looked through is what the transport keeps in memory.
func TestHasLinks(t *testing.T) {
	for typ, want := range map[string]bool{
		"": true, "text/html": true, "TEXT/HTML ; charset=x": true, "text/css": true, "text/plain": true, "application/xhtml+xml": true,
		"image/svg+xml": true, "application/xml": true, "text/xml": true, "application/atom+xml": true,
		"image/png": false, "application/pdf": false, "text/csv": false, "video/mp4": false,
	} {
		if got := HasLinks(typ); got != want {
			t.Errorf("%s: %v", typ, got)
		}
	}
	if s := fmt.Sprint(NumKinds, Kind(99)); s != "unknown unknown" || Kind(99).Hop() != 'X' {
		t.Errorf("kinds that are none are %s, %c", s, Kind(99).Hop())
	}
}
