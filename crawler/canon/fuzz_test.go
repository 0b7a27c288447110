package canon

import (
	"errors"
	"strings"
	"testing"
	"unsafe"
)

func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

var fuzzBases = []string{
	"https://example.org/", "http://example.org/a/b/c?q=1&r=2", "http://h:8080/d//e/", "http://user:pa%40ss@h.example/x/y",
	"http://127.0.0.1:3000/docs/", "http://[2001:db8::1]/v6/x", "https://example.org/a/b/..c/.d?",
}

// FuzzResolve holds the fast path against the parser.
func FuzzResolve(f *testing.F) {
	for _, ref := range []string{
		"", "#x", "?a=b#c", "/", "//", "//host.example/x", "///x", "x/y.html?z#f", "../x", "../../../x", "./", "..", ".", "./..", ".../x",
		"http://example.org", "https://example.org/a%2e", "HTTP://E.ORG/", "http://h:80/", "https:x", "/a/./b/../c", "/%2E%2e/x", "a:b", "javascript:void(0)",
		"mailto:x@y", "data:,x", "/x y", "\t/x\n", "/é?é", "http://xn--zca.example/", "http://a-b.example/-x", "http://1.2.3/", "http://a.0x1/", "/'?'",
		"\\x", "/\\x", "http:\\\\h\\x", "http://a..b/", "http://h.example./", "//h.example:443/", "http://user@h/", "http://h.example?x", "/;a=b?c|d^e`{}",
		"http://127.0.0.1:3000/x", "http://127.0.0.1:30000/x", "blob:http://h/x", "tel:+1", "http://10.0.0.255:8080/x", "http://1.2.3.256/", "http://01.2.3.4/", "http://h:08/", "https://h:443", "https://h:80/", "http://h:65536/", "http://1.2.3.4.5/", "http://1.2.3.a/", "http://h:8080?x", "sms:?", "about:blank", "/..a/.b", "/a%2fb%2Ec",
	} {
		for base := range fuzzBases {
			f.Add(base, ref)
		}
	}
	f.Fuzz(func(t *testing.T, base int, ref string) {
		b, err := NewBase(fuzzBases[(base%len(fuzzBases)+len(fuzzBases))%len(fuzzBases)])
		if err != nil {
			t.Fatal(err)
		}
		want, slowErr := b.resolveSlow(ref)
		got, fastErr := b.Resolve(ref)
		if got != want || (fastErr == nil) != (slowErr == nil) {
			t.Fatalf("base %s, ref %q: fast %+v %v, parser %+v %v", b.url.Href, ref, got, fastErr, want, slowErr)
		}
		if errors.Is(fastErr, ErrTooLong) != errors.Is(slowErr, ErrTooLong) {
			t.Fatalf("ref %q: fast %v, parser %v", ref, fastErr, slowErr)
		}
		if fastErr == nil {
			check(t, got)
		}
	})
}

// check holds what is true of every canonical URL.
func check(t *testing.T, u URL) {
	t.Helper()
	if fast, err := Parse(u.Href); err != nil || fast != u {
		t.Fatalf("%s: Parse gives %+v %v", u.Href, fast, err)
	}
	again, err := parse(u.Href, nil)
	if err != nil || again != u {
		t.Fatalf("%s is not its own canonical form: %+v %v", u.Href, again, err)
	}
	if Parts(u.Href) != u {
		t.Fatalf("%s: parts %+v", u.Href, Parts(u.Href))
	}
	if u.Host == "" || u.Path == "" || u.Path[0] != '/' || strings.ContainsAny(u.Href, " \t\r\n#\x00") ||
		strings.IndexFunc(u.Href, func(r rune) bool { return r > 0x7e || r < 0x21 }) >= 0 || !strings.HasSuffix(u.Href, u.Path) {
		t.Fatalf("%+v", u)
	}
	u.Site()
	if u.Port() == "" {
		t.Fatalf("%+v has no port", u)
	}
}

func FuzzParseSeed(f *testing.F) {
	for _, s := range []string{"example.org", "example.org:80/x", "http://h", " x ", "localhost:8080", "[::1]:80", "http//x", "://", ":80", "a:b@c", "user:80@h.x", "mailto:x@y.z"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if u, err := ParseSeed(s); err == nil {
			check(t, u)
		}
	})
}

// FuzzQueryCharset: no encoding makes a URL that is none.
func FuzzQueryCharset(f *testing.F) {
	for _, c := range []string{"shift_jis", "gbk", "big5", "euc-jp", "iso-2022-jp", "windows-1252", "koi8-r", "utf-16le", "x"} {
		f.Add(c, "/p?q=日本é\\表&x=é#é")
	}
	f.Fuzz(func(t *testing.T, label, ref string) {
		b, _ := NewBase("http://h.example/d")
		b.SetCharset(label)
		if u, err := b.Resolve(ref); err == nil {
			check(t, u)
		}
	})
}
