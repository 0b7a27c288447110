package canon

import (
	"bufio"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"salvor"
)

// vectors reads a file of the vectors shared between projects, which are not
// part of this one.
func vectors(t testing.TB, name string) []byte {
	dir := os.Getenv("SALVOR_TESTDATA")
	if dir == "" {
		t.Skipf("LOUD: SALVOR_TESTDATA does not name the directory of the vectors shared between projects: nothing was tested here")
	}
	b, err := os.ReadFile(filepath.Join(dir, "urls", name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("LOUD: the shared vectors %s are absent (SALVOR_TESTDATA names their directory): nothing was tested here", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// table reads lines of fields separated by " | "; # begins a comment.
func table(t testing.TB, name string, fields int) (rows [][]string) {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if sc.Text() == "" || strings.HasPrefix(sc.Text(), "#") {
			continue
		}
		row := strings.Split(sc.Text(), " | ")
		if len(row) != fields {
			t.Fatalf("%s: %q has %d fields, want %d", name, sc.Text(), len(row), fields)
		}
		rows = append(rows, row)
	}
	return rows
}

// shown writes what a table has for a result.
func shown(u URL, err error) string {
	switch {
	case errors.Is(err, ErrScheme):
		return "ERR scheme"
	case errors.Is(err, ErrTooLong):
		return "ERR long"
	case err != nil:
		return "ERR invalid"
	}
	return u.Href
}

func TestResolve(t *testing.T) {
	for _, row := range table(t, "resolve.txt", 3) {
		b, err := NewBase(row[0])
		if err != nil {
			t.Fatal(err)
		}
		ref := strings.NewReplacer(`\t`, "\t", `\n`, "\n", `\0`, "\x00").Replace(row[1])
		if got := shown(b.Resolve(ref)); got != row[2] {
			t.Errorf("base %s, ref %q: %s, want %s", row[0], ref, got, row[2])
		}
	}
}

func TestParts(t *testing.T) {
	for _, row := range table(t, "parts.txt", 6) {
		u, err := Parse(row[0])
		if err != nil {
			t.Fatal(err)
		}
		if u.Host != row[1] || u.Origin != row[2] || u.Path != row[3] || u.Port() != row[4] || u.Site() != row[5] {
			t.Errorf("%s: %+v port %s site %s", row[0], u, u.Port(), u.Site())
		}
		if p := Parts(u.Href); p != u {
			t.Errorf("Parts(%s) = %+v, want %+v", u.Href, p, u)
		}
	}
}

func TestPartsOfRubbish(t *testing.T) {
	for _, s := range []string{"", "x", "http:", "http://", "http:///", "https://x", "ftp://x/", "http://@/", "http://]/", "http://[/"} {
		if u := Parts(s); !u.IsZero() && u.Href != s {
			t.Errorf("%q: %+v", s, u)
		}
	}
	if p := (URL{}).Port(); p != "" {
		t.Errorf("port of nothing: %q", p)
	}
}

func TestParseSeed(t *testing.T) {
	for _, row := range table(t, "seeds.txt", 2) {
		u, err := ParseSeed(row[0])
		if got := shown(u, err); got != row[1] {
			t.Errorf("%q: %s, want %s", row[0], got, row[1])
		}
		if err != nil && (salvor.ClassOf(err) != salvor.Invalid || salvor.HintOf(err) == "" || !strings.Contains(err.Error(), strings.Trim(row[0], `"`))) {
			t.Errorf("%q: %v (%s) hint %q", row[0], err, salvor.ClassOf(err), salvor.HintOf(err))
		}
	}
	for _, blank := range []string{"", " \t"} {
		if _, err := ParseSeed(blank); salvor.HintOf(err) == "" {
			t.Errorf("%q: %v", blank, err)
		}
	}
}

func TestTooLong(t *testing.T) {
	fits := "https://example.org/" + strings.Repeat("a", MaxLen-len("https://example.org/"))
	if _, err := Parse(fits); err != nil {
		t.Errorf("%d bytes: %v", len(fits), err)
	}
	_, err := Parse(fits + "a")
	if !errors.Is(err, ErrTooLong) || len(err.Error()) > 400 {
		t.Errorf("%d bytes: %v", len(fits)+1, err)
	}
	b, _ := NewBase("https://example.org/dir/")
	if _, err := b.Resolve(strings.Repeat("a", MaxLen-3)); !errors.Is(err, ErrTooLong) {
		t.Errorf("long once resolved: %v", err)
	}
	if _, err := b.Resolve(strings.Repeat("é", MaxLen/4)); !errors.Is(err, ErrTooLong) {
		t.Errorf("long once encoded: %v", err)
	}
}

// TestQueryCharset: browsers encode the query, and only it, in the document's
// charset.
func TestQueryCharset(t *testing.T) {
	for _, row := range table(t, "charset.txt", 3) {
		b, _ := NewBase("http://h/d")
		b.SetCharset(row[0])
		if got := shown(b.Resolve(row[1])); got != row[2] {
			t.Errorf("%s %q: %s, want %s", row[0], row[1], got, row[2])
		}
	}
}

// TestResolveKeepsNothing: the scanner reuses the memory of references.
func TestResolveKeepsNothing(t *testing.T) {
	for _, ref := range []string{"http://a.example/x", "/p", "q", "?x", "//h.example", "http://A.example/é", "http://127.0.0.1/"} {
		b, _ := NewBase("http://base.example/d/")
		mem := []byte(ref)
		u, err := b.Resolve(unsafeString(mem))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Clone(u.Href) + strings.Clone(u.Origin+u.Host+u.Path+u.Scheme)
		for i := range mem {
			mem[i] = '!'
		}
		if got := u.Href + u.Origin + u.Host + u.Path + u.Scheme; got != want {
			t.Errorf("%s: became %s", want, got)
		}
	}
}

// wpt is one case of web-platform-tests' url/resources/urltestdata.json.
type wpt struct {
	Input   string
	Base    *string
	Href    string
	Failure bool
}

// idnaGap are the cases in which the parser's IDNA tables refuse a host that
// the present standard lets pass: ill-formed xn-- labels.
const idnaGap = 7

func TestWebPlatformVectors(t *testing.T) {
	var raw []json.RawMessage
	if err := json.Unmarshal(vectors(t, "urltestdata.json"), &raw); err != nil {
		t.Fatal(err)
	}
	ran, gap := 0, 0
	for _, r := range raw {
		var c wpt
		if json.Unmarshal(r, &c) != nil || c.Base != nil && !strings.HasPrefix(*c.Base, "http") {
			continue
		}
		var u URL
		var err error
		if c.Base != nil {
			b, e := NewBase(*c.Base)
			if e != nil {
				continue
			}
			u, err = b.Resolve(c.Input)
		} else {
			u, err = parse(c.Input, nil)
		}
		ran++
		want, _, _ := strings.Cut(withoutUser.ReplaceAllString(c.Href, "$1"), "#")
		switch isWeb := strings.HasPrefix(want, "http:") || strings.HasPrefix(want, "https:"); {
		case c.Failure || !isWeb:
			if err == nil {
				t.Errorf("%q: %s, want a refusal", c.Input, u.Href)
			}
		case err != nil && strings.Contains(want, "xn--"):
			gap++
		case u.Href != want:
			t.Errorf("%q: %s %v, want %s", c.Input, u.Href, err, want)
		}
	}
	if ran < 400 || gap > idnaGap {
		t.Errorf("%d cases, %d fell into the IDNA gap", ran, gap)
	}
	t.Logf("%d cases, %d in the IDNA gap", ran, gap)
}

// withoutUser: credentials are left out.
var withoutUser = regexp.MustCompile(`^(https?://)[^/?#]*@`)

// TestFunkyAddresses: what looks like a name may be an address; the guard at
// the dialler sees what canon makes of it.
func TestFunkyAddresses(t *testing.T) {
	var cases map[string]*string
	if err := json.Unmarshal(vectors(t, "urlcanon-funky_ipv4.json"), &cases); err != nil {
		t.Fatal(err)
	}
	for in, want := range cases {
		u, err := Parse("http://" + in + "/")
		if want == nil && err == nil && u.Host != in || want != nil && (err != nil || u.Host != *want) {
			t.Errorf("%s: %s %v", in, u.Host, err)
		}
	}
}
