package warc

import (
	"strings"
	"testing"

	"github.com/nlnwa/gowarc"
)

// strictly reads a file with gowarc's strict reader, after our own has found
// its framing whole, and returns how many records of each type there are.
func strictly(t testing.TB, path string) map[string]int {
	t.Helper()
	rep, err := Verify(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if !rep.OK() {
		t.Fatalf("%s: %v", path, rep.Problems)
	}
	r, err := gowarc.NewWarcFileReader(path, 0, gowarc.WithStrictValidation())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	types := make(map[string]int)
	for n := int64(0); n < rep.Records; n++ {
		rec, _, v, err := r.Next()
		if err != nil {
			t.Fatalf("%s: record %d: %v", path, n, err)
		}
		if err := rec.ValidateDigest(v); err != nil {
			t.Fatalf("%s: record %d: %v", path, n, err)
		}
		if !v.Valid() {
			t.Fatalf("%s: record %d: %v", path, n, v)
		}
		types[strings.ToLower(rec.Type().String())]++
	}
	return types
}

func TestSegmentIsWhatOthersRead(t *testing.T) {
	dir := t.TempDir()
	p, _ := mustOpen(t, testConfig(t, dir))
	mustWrite(t, p, page("http://example.com/a", "<html>a</html>"))
	rev := page("http://example.com/b", "<html>a</html>")
	rev.Revisit = &Original{URL: "http://example.com/a", Date: testStart}
	if r := mustWrite(t, p, rev); !r.Revisit {
		t.Error("no revisit was written")
	}
	if err := p.WriteDNS(t.Context(), "example.com", testStart, "127.0.0.53", "20261124010203\nexample.com.\t300\tIN\tA\t127.0.0.5\n"); err != nil {
		t.Fatal(err)
	}
	if err := p.WriteResource(t.Context(), "urn:salvor:report.json", "application/json", []byte(`{"saved": 2}`)); err != nil {
		t.Fatal(err)
	}
	mustSeal(t, p)
	files := stored(t, dir)
	if len(files) != 1 {
		t.Fatalf("stored %v", files)
	}
	got := strictly(t, files[0])
	want := map[string]int{"warcinfo": 1, "response": 1, "revisit": 1, "request": 2, "metadata": 2, "resource": 2}
	for k, n := range want {
		if got[k] != n {
			t.Errorf("%s: %d records, want %d", k, got[k], n)
		}
	}
}
