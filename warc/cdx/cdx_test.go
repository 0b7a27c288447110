package cdx

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"salvor"
)

func TestSURT(t *testing.T) {
	b, err := os.ReadFile("testdata/surt.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		url, want, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok {
			continue
		}
		n++
		if got := SURT(url); got != want {
			t.Errorf("%q:\n got %s\nwant %s", url, got, want)
		}
		// A key says nothing of scheme, so https gives the same one, where
		// no port is named.
		if rest, ok := strings.CutPrefix(url, "http://example"); ok && rest[:min(5, len(rest))] == ".com/" {
			if got := SURT("https://example" + rest); got != want {
				t.Errorf("https of %q gives %s", url, got)
			}
		}
	}
	if n < 60 || SURT("") != "-" {
		t.Errorf("%d vectors, empty gives %q", n, SURT(""))
	}
}

// TestSURTVectors takes the URLs of the shared vectors: nothing may panic, and
// a key never has a space or a line break, which would break its line.
func TestSURTVectors(t *testing.T) {
	path := "../../../shared/testdata/urls/urltestdata.json"
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("LOUD: the shared vectors %s are absent, nothing was tested here", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	var cases []any
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if m, ok := c.(map[string]any); ok {
			for _, f := range []string{"input", "href"} {
				if s, ok := m[f].(string); ok {
					checkKey(t, s)
				}
			}
		}
	}
}

func checkKey(t *testing.T, url string) {
	t.Helper()
	key := SURT(url)
	if strings.HasPrefix(url, "filedesc") {
		return
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] >= 0x7f {
			t.Fatalf("key %q of %q has the byte %q", key, url, key[i])
		}
	}
}

func FuzzSURT(f *testing.F) {
	b, err := os.ReadFile("testdata/surt.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		url, _, _ := strings.Cut(line, "\t")
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) { checkKey(t, url) })
}

var sample = Line{
	Key: "com,example)/", Timestamp: "20261124010203", URL: "http://example.com/?q=\"ü\\", Mime: "text/html", Detected: "text/plain",
	Status: "200", Digest: "VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5", Length: 1234, Offset: 1 << 33, Filename: "a.warc.gz", Date: "2026-11-24T01:02:03.456Z",
}

// TestLine has the shape pywb's own indexer gives: all values strings.
func TestLine(t *testing.T) {
	want := `com,example)/ 20261124010203 {"url": "http://example.com/?q=\"ü\\", "mime": "text/html", "mime-detected": "text/plain", "status": "200", ` +
		`"digest": "VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5", "length": "1234", "offset": "8589934592", "filename": "a.warc.gz", "date": "2026-11-24T01:02:03.456Z"}` + "\n"
	if got := string(sample.Append(nil)); got != want {
		t.Errorf("line is\n%s\nwant\n%s", got, want)
	}
	if got, err := Parse([]byte(want)); err != nil || got != sample {
		t.Errorf("it reads back as %+v, %v", got, err)
	}
	revisit := Line{Key: "k", Timestamp: "1", URL: "u", Mime: "warc/revisit"}
	if got := string(revisit.Append(nil)); got != `k 1 {"url": "u", "mime": "warc/revisit", "length": "0", "offset": "0"}`+"\n" {
		t.Errorf("revisit is %s", got)
	}
}

func TestParseForeign(t *testing.T) {
	got, err := Parse([]byte(`com,example)/ 20200101000000 {"url":"http://example.com/","status":200,"length":12,"offset":"34","digest":"sha1:ABC","mime":null,"x":[1]}`))
	if err != nil || got.Status != "200" || got.Length != 12 || got.Offset != 34 || got.Digest != "ABC" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"", " ", "a", "a b", "a b c", "a b {", "a b []", `a b {"length":"x"}`, `a b {"offset":-1}`, `a b {"offset":1.5}`} {
		if _, err := Parse([]byte(bad)); salvor.ClassOf(err) != salvor.Invalid || err == nil {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(sample.Append(nil))
	f.Add([]byte(`a b {"url":"\ud800","length":"1"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err != nil {
			return
		}
		if strings.ContainsAny(l.Key+l.Timestamp, " \n\r") {
			return // Write never makes such keys
		}
		again, err := Parse(l.Append(nil))
		if err != nil || again != l {
			t.Fatalf("%+v was written and read as %+v, %v", l, again, err)
		}
	})
}

func TestWriteSorts(t *testing.T) {
	var lines []Line
	for _, k := range []string{"com,b)/", "com,a)/z", "com,a)/", "com,a)/?x", "com,a-b)/", "Com,a)/"} {
		lines = append(lines, Line{Key: k, Timestamp: "2", URL: k}, Line{Key: k, Timestamp: "1", URL: k})
	}
	var b bytes.Buffer
	if err := Write(&b, lines); err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(got) != len(lines) || !slices.IsSorted(got) {
		t.Errorf("not sorted bytewise:\n%s", b.String())
	}
}

func TestOriginals(t *testing.T) {
	o := NewOriginals(3)
	at := time.Date(2026, 11, 24, 1, 2, 3, 456_000_000, time.UTC)
	sum := func(i int) salvor.SHA1 { return salvor.SHA1{byte(i), 1} }
	for i := range 5 {
		o.Add(sum(i), fmt.Sprint("http://example.com/", i), at.Add(time.Duration(i)*time.Second))
		o.Add(sum(i), "http://example.com/again", at)
	}
	o.Add(salvor.SHA1{}, "http://example.com/none", at)
	if o.Len() != 3 {
		t.Errorf("%d entries", o.Len())
	}
	for i := range 5 {
		url, date, ok := o.Lookup(sum(i))
		if ok != (i >= 2) {
			t.Errorf("entry %d: %v", i, ok)
		}
		if ok && (url != fmt.Sprint("http://example.com/", i) || !date.Equal(at.Add(time.Duration(i)*time.Second))) {
			t.Errorf("entry %d: %s %s", i, url, date)
		}
	}
}

// TestOriginalsLoad: only lines with a date are originals; the date is exact,
// because a revisit repeats it.
func TestOriginalsLoad(t *testing.T) {
	chunked := sample
	chunked.Date, chunked.Digest = "", "3I42H3S6NNFQ2MSVX7XZKYAYSCX5QBYJ"
	var b bytes.Buffer
	if err := Write(&b, []Line{sample, chunked}); err != nil {
		t.Fatal(err)
	}
	o := NewOriginals(10)
	if err := o.Load(strings.NewReader("!OpenWayback-CDXJ 1.0\n\n" + b.String())); err != nil {
		t.Fatal(err)
	}
	if o.Len() != 1 {
		t.Fatalf("%d originals", o.Len())
	}
	for d := range o.at {
		url, date, _ := o.Lookup(d)
		if d.String() != sample.Digest || url != sample.URL || date.Format("2006-01-02T15:04:05.000Z") != sample.Date {
			t.Errorf("%s %s %s", d, url, date)
		}
	}
	bad := sample
	bad.Digest = "nonsense"
	if err := o.Load(bytes.NewReader(bad.Append(nil))); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("a digest that is none: %v", err)
	}
	if err := o.Load(strings.NewReader(strings.Repeat("x", MaxLine+1))); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("an endless line: %v", err)
	}
}

func BenchmarkSURT(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		SURT("https://www.example.com/wiki/Main_Page?action=history&limit=50")
	}
}
