package input

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/scope"
)

// canonical stands for the real one: these tests are about files.
func canonical(s string) (string, error) {
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return "", fmt.Errorf("%q is no URL", s)
	}
	return s, nil
}

func seeds(text string) ([]Seed, error) { return Seeds(strings.NewReader(text), "f", canonical) }

func TestSeeds(t *testing.T) {
	got, err := seeds("\ufeff# mine\r\n\r\n  http://a/#frag  \r\nhttps://b/?q=#x # because\r\n\thttp://c/\t#\n#http://d/\nhttp://last/")
	want := []Seed{
		{URL: "http://a/#frag", Given: "http://a/#frag", Source: "f:3"},
		{URL: "https://b/?q=#x", Given: "https://b/?q=#x", Source: "f:4"},
		{URL: "http://c/", Given: "http://c/", Source: "f:5"},
		{URL: "http://last/", Given: "http://last/", Source: "f:7"},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	if got, err := seeds(""); err != nil || got != nil {
		t.Errorf("empty: %v, %v", got, err)
	}
}

func TestSeedsHaveValues(t *testing.T) {
	got, err := seeds("http://a/ value=5\nhttp://b/\tvalue=0.5 # less\nhttp://c/ # value=7\n")
	want := []Seed{
		{URL: "http://a/", Given: "http://a/", Source: "f:1", Value: 5},
		{URL: "http://b/", Given: "http://b/", Source: "f:2", Value: 0.5},
		{URL: "http://c/", Given: "http://c/", Source: "f:3"},
	}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	_, err = seeds("http://a/ value=\nhttp://b/ value=-1\nhttp://c/ value=NaN\nhttp://d/ value=1 2\nhttp://e/ worth=1\n")
	wrong := `f:1: "" is no value
f:2: "-1" is no value
f:3: "NaN" is no value
f:4: "http://d/ value=1 2": white space inside; write one URL a line, and %20 for a space in one
f:5: "http://e/ worth=1": white space inside; write one URL a line, and %20 for a space in one`
	if err == nil || err.Error() != wrong {
		t.Errorf("got  %v\nwant %s", err, wrong)
	}
}

func TestValueRules(t *testing.T) {
	got, err := ValueRules(strings.NewReader("# mine\n/t0/ 10 # first\nkind:image 0.3\n"), "f")
	want := []scope.ValueRule{{Text: "/t0/ 10", From: "f:2"}, {Text: "kind:image 0.3", From: "f:3"}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	_, err = ValueRules(strings.NewReader("/ok/ 1\n/t0/\nkind:x 3\n"), "f")
	if err == nil || !strings.HasPrefix(err.Error(), "f:2: value rule \"/t0/\": ") || !strings.Contains(err.Error(), "\nf:3: ") || salvor.HintOf(err) == "" {
		t.Errorf("%v (%s)", err, salvor.HintOf(err))
	}
}

func TestByteOrderMarks(t *testing.T) {
	got, err := seeds("\ufeffhttp://a/\n\ufeff\ufeff# b\r\n\ufeff http://b/\n\ufeff")
	want := []Seed{{URL: "http://a/", Given: "http://a/", Source: "f:1"}, {URL: "http://b/", Given: "http://b/", Source: "f:3"}}
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	if _, err := seeds("http://a/\ufeffhttp://b/\n"); err == nil || !strings.Contains(err.Error(), "f:1: a byte order mark inside") {
		t.Errorf("two files without a line end between: %v", err)
	}
}

func TestAllBadSeedsAtOnce(t *testing.T) {
	_, err := seeds("http://ok/\nexample\nhttp://a/ http://b/\n\xff\xfe\nhttp://ok/\nx\x00y\n")
	want := `f:2: "example" is no URL
f:3: "http://a/ http://b/": white space inside; write one URL a line, and %20 for a space in one
f:4: not UTF-8
f:6: holds a NUL byte: no text file`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if salvor.ClassOf(err) != salvor.Invalid || salvor.HintOf(err) == "" {
		t.Errorf("class %v, hint %q", salvor.ClassOf(err), salvor.HintOf(err))
	}
}

func TestManyBadLinesAreCounted(t *testing.T) {
	_, err := seeds(strings.Repeat("x\n", 1000))
	bad, ok := errors.AsType[*BadLines](err)
	if !ok || len(bad.Lines) != maxBad || bad.More != 1000-maxBad {
		t.Fatalf("%v", err)
	}
	if _, one := Seeds(strings.NewReader(strings.Repeat("x y\n", maxBad+1)), "f", canonical); !strings.HasSuffix(one.Error(), "f: 1 more bad line") {
		t.Errorf("one more: %v", one)
	}
	if !strings.HasSuffix(err.Error(), "f: 980 more bad lines") {
		t.Error(err)
	}
}

func TestUTF16IsNamed(t *testing.T) {
	for _, s := range []string{"\xff\xfeh\x00t\x00", "\xfe\xff\x00h"} {
		if _, err := seeds(s); err == nil || !strings.Contains(err.Error(), "UTF-16") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestLongLineCostsNoMemory(t *testing.T) {
	long := io.MultiReader(strings.NewReader("http://a/\nhttp://"), io.LimitReader(zeros{}, 50<<20), strings.NewReader("\nhttp://b/\n"))
	_, err := Seeds(long, "f", canonical)
	if err == nil || err.Error() != "f:2: longer than 1048576 bytes" {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestReadErrorIsNotTheEnd(t *testing.T) {
	_, err := Seeds(io.MultiReader(strings.NewReader("http://a/\n"), broken{}), "f", canonical)
	if err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("half a file was taken for the whole: %v", err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Open(filepath.Join(dir, "none"), nil); salvor.ClassOf(err) != salvor.NotFound || salvor.HintOf(err) == "" {
		t.Error(err)
	}
	if _, _, err := Open(filepath.Join(dir, strings.Repeat("x", 300)), nil); salvor.ClassOf(err) != salvor.Invalid || salvor.HintOf(err) == "" {
		t.Error(err)
	}
	if _, _, err := Open(dir, nil); salvor.ClassOf(err) != salvor.Invalid {
		t.Error(err)
	}
	r, name, err := Open("-", strings.NewReader("x"))
	if b, _ := io.ReadAll(r); err != nil || name != "stdin" || string(b) != "x" {
		t.Errorf("%q %q %v", name, b, err)
	}
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("y"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r, name, err = Open(path, nil); err != nil || name != path {
		t.Errorf("%q %v", name, err)
	}
	r.Close()
}

func TestRules(t *testing.T) {
	got, err := Rules(strings.NewReader("# junk\n\\.iso$\n/a b/\n"), "f")
	if err != nil || len(got) != 2 || got[1] != "/a b/" {
		t.Errorf("%q %v", got, err)
	}
	if _, err = Rules(strings.NewReader("ok\n(\n[z-a]\n"), "f"); err == nil || strings.Count(err.Error(), "f:") != 2 {
		t.Errorf("%v", err)
	}
}

func TestHeaders(t *testing.T) {
	got, err := Headers(strings.NewReader("# login\nAuthorization:  Bearer s3cret \nX-A:\n"), "f")
	if err != nil || len(got) != 2 || got[0].Name != "Authorization" || got[0].Value.Reveal() != "Bearer s3cret" || got[1].Value != "" {
		t.Errorf("%v %v", got, err)
	}
	for _, s := range []string{"", "x", "a b: c", ": v", "Host: x", "cookie: a=b", "User-Agent: x", "X: a\rb", "é: x", "Transfer-Encoding: chunked"} {
		if _, err := Header(s); salvor.ClassOf(err) != salvor.Invalid || salvor.HintOf(err) == "" {
			t.Errorf("%q: %v", s, err)
		}
	}
	_, err = Headers(strings.NewReader("Authorization Bearer s3cret\nHost: s3cret\nX: s3cret\x01\n"), "f")
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a bad header's value was told: %v", err)
	}
}

func TestWARCHeader(t *testing.T) {
	if h, err := WARCHeader("isPartOf: a: b"); err != nil || h != [2]string{"isPartOf", "a: b"} {
		t.Errorf("%q %v", h, err)
	}
	for _, s := range []string{"", "x", "a b: c", "a: b\nc: d"} {
		if _, err := WARCHeader(s); salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%q: %v", s, err)
		}
	}
}

const cookieFile = "# Netscape HTTP Cookie File\n\n" +
	".Example.org\tTRUE\t/\tFALSE\t1790000000\tsid\tabc=1\n" +
	"#HttpOnly_www.example.org\tFALSE\t/x\tTRUE\t0\tauth\ts3cret\n" +
	"example.org\tFALSE\t/\tFALSE\t1790000000.5\tempty\t\n"

func TestCookies(t *testing.T) {
	got, err := Cookies(strings.NewReader(cookieFile), "f")
	if err != nil || len(got) != 3 {
		t.Fatalf("%v %v", got, err)
	}
	if c := got[0]; c.Domain != "example.org" || !c.Subdomains || c.Value.Reveal() != "abc=1" || c.Expires.Unix() != 1790000000 {
		t.Errorf("%+v", c)
	}
	if c := got[1]; !c.HTTPOnly || !c.Secure || !c.Expires.IsZero() || c.Path != "/x" {
		t.Errorf("%+v", c)
	}
	if c := got[2]; c.Name != "empty" || c.Value != "" {
		t.Errorf("%+v", c)
	}
}

func TestBadCookies(t *testing.T) {
	for line, want := range map[string]string{
		"a.org TRUE / FALSE 0 n v":                  "1 fields",
		"a.org\tmaybe\t/\tFALSE\t0\tn\tv":           "TRUE or FALSE",
		"a.org\tTRUE\t/\tFALSE\tsoon\tn\tv":         "Unix seconds",
		"a.org\tTRUE\tx\tFALSE\t0\tn\tv":            "no path",
		"http://a.org/\tTRUE\t/\tFALSE\t0\tn\tv":    "no domain",
		"a.org\tTRUE\t/\tFALSE\t0\tn=m\tv":          "no cookie name",
		"a.org\tTRUE\t/\tFALSE\t0\tn\ts3cret; HaHa": "semicolon",
	} {
		_, err := Cookies(strings.NewReader(line), "f")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v; want %q", line, err, want)
		}
	}
}

func TestSecretsDoNotShow(t *testing.T) {
	got, err := Cookies(strings.NewReader(cookieFile), "f")
	if err != nil {
		t.Fatal(err)
	}
	h, _ := Header("Authorization: s3cret")
	s := job.Settings{Secrets: job.Secrets{Headers: []job.Header{h}, Cookies: got, ProxyPass: "s3cret"}}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(b), fmt.Sprintf("%v", s), fmt.Sprintf("%+v", s), fmt.Sprintf("%#v", s), fmt.Sprint(h), fmt.Sprintf("%q", h.Value), fmt.Sprintf("%x", h.Value)} {
		if strings.Contains(text, "s3cret") || strings.Contains(text, "733363726574") {
			t.Errorf("a secret shows: %s", text)
		}
	}
}

func FuzzSeeds(f *testing.F) {
	f.Add("http://a/\n# x\r\n\ufeffhttp://b/ # c")
	f.Add("\xff\xfe")
	f.Add("a\x00b\n\n\n x y")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := seeds(s)
		if err == nil && len(got) > strings.Count(s, "\n")+1 {
			t.Fatalf("%d seeds in %q", len(got), s)
		}
		for _, g := range got {
			if strings.ContainsAny(g.URL, " \t\r\n\x00") {
				t.Fatalf("seed %q", g.URL)
			}
		}
	})
}

func FuzzCookies(f *testing.F) {
	f.Add(cookieFile)
	f.Add("a\tTRUE\t/\tTRUE\t-1\tn\t")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Cookies(strings.NewReader(s), "f")
		if err != nil && salvor.HintOf(err) == "" {
			t.Fatalf("no remedy: %v", err)
		}
		for _, c := range got {
			v := c.Value.Reveal()
			if c.Name == "" || c.Domain == "" || strings.ContainsAny(c.Name+v, "\r\n;\x00") || !strings.HasPrefix(c.Path, "/") {
				t.Fatalf("cookie %+v %q", c, v)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add("A: b")
	f.Add("X-Y:\tz\r\nHost: evil")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := Header(s)
		if err == nil && (strings.ContainsAny(h.Name, " :\r\n") || strings.ContainsAny(h.Value.Reveal(), "\r\n\x00")) {
			t.Fatalf("header %q: %q", h.Name, h.Value.Reveal())
		}
	})
}
