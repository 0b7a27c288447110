package index_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"salvor"
	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

func line(key, at, url, file string, offset int64) cdx.Line {
	return cdx.Line{Key: key, Timestamp: at, URL: url, Mime: "text/html", Status: "200", Digest: "VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5", Length: 10, Offset: offset, Filename: file}
}

func cdxj(t testing.TB, lines ...cdx.Line) io.Reader {
	t.Helper()
	var b bytes.Buffer
	if err := cdx.Write(&b, lines); err != nil {
		t.Fatal(err)
	}
	return &b
}

func scan(t testing.TB, x *index.Index, s index.Span) (out []string) {
	t.Helper()
	if err := x.Scan(t.Context(), s, func(e *index.Entry) bool {
		out = append(out, strings.TrimSuffix(string(e.Append(nil)), "\n"))
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

func open(t testing.TB, dir string) *index.Index {
	t.Helper()
	x, err := index.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestOrder: lines of many segments come out as one sorted file of all of them would
// have them, whatever the order in which they were added, forward and back.
func TestOrder(t *testing.T) {
	x := open(t, t.TempDir())
	defer x.Close()
	rng := rand.New(rand.NewPCG(1, 2))
	var all []string
	for s := range 7 {
		var lines []cdx.Line
		for range rng.IntN(300) {
			n := rng.IntN(60)
			url := fmt.Sprintf("%s%d", []string{"http://a.com/", "http://a.com/b", "http://b.a.com/", "http://a-b.com/", "http://a.com/?x"}[rng.IntN(5)], n)
			l := line(cdx.SURT(url), fmt.Sprintf("202611240102%02d", rng.IntN(60)), url, "s", int64(len(all)+len(lines)))
			lines = append(lines, l)
			all = append(all, strings.TrimSuffix(string(l.Append(nil)), "\n"))
		}
		if added, n, err := x.Add(t.Context(), fmt.Sprint("seg-", s), cdxj(t, lines...)); !added || n != int64(len(lines)) || err != nil {
			t.Fatal(added, n, err)
		}
	}
	// Lines that differ only behind key and timestamp keep the order of their segments.
	prefix := func(s string) string { return strings.Join(strings.SplitN(s, " ", 3)[:2], " ") }
	slices.SortStableFunc(all, func(a, b string) int { return strings.Compare(prefix(a), prefix(b)) })
	got := scan(t, x, index.Span{})
	if !slices.IsSortedFunc(got, func(a, b string) int { return strings.Compare(prefix(a), prefix(b)) }) || len(got) != len(all) {
		t.Fatalf("%d lines of %d, sorted or not", len(got), len(all))
	}
	slices.Sort(all)
	sorted := slices.Clone(got)
	slices.Sort(sorted)
	if !slices.Equal(sorted, all) {
		t.Error("other lines than were added")
	}
	back := scan(t, x, index.Span{Reverse: true})
	slices.Reverse(back)
	if !slices.Equal(back, got) {
		t.Error("backwards it is another order")
	}
	some := scan(t, x, index.Span{From: []byte("com,a)/b"), To: []byte("com,a)/c")})
	for _, l := range got {
		if in := strings.HasPrefix(l, "com,a)/b"); in != slices.Contains(some, l) {
			t.Errorf("the span has %q: %v", l, !in)
		}
	}
}

// TestWholeOrNot: a segment whose index is damaged, or that was cut off while it was
// added, leaves nothing; adding one again changes nothing.
func TestWholeOrNot(t *testing.T) {
	dir := t.TempDir()
	x := open(t, dir)
	good := line("com,a)/", "20261124010203", "http://a.com/", "one", 1)
	if _, _, err := x.Add(t.Context(), "one", cdxj(t, good)); err != nil {
		t.Fatal(err)
	}
	if added, _, err := x.Add(t.Context(), "one", cdxj(t, good, good)); added || err != nil {
		t.Error("added again:", added, err)
	}
	bad := io.MultiReader(cdxj(t, line("com,a)/", "20261124010204", "http://a.com/", "two", 1)), strings.NewReader("no line\n"))
	if _, _, err := x.Add(t.Context(), "two", bad); salvor.ClassOf(err) != salvor.Invalid {
		t.Error("of a damaged index:", err)
	}
	big := make([]cdx.Line, 60_000)
	for i := range big {
		big[i] = line("com,a)/", "20261124010205", "http://a.com/", "three", int64(i))
	}
	cut := errors.New("cut off")
	if _, _, err := x.Add(t.Context(), "three", io.MultiReader(cdxj(t, big...), failing{cut})); !errors.Is(err, cut) {
		t.Error("of one that was cut off:", err)
	}
	if _, err := index.Open(dir); salvor.ClassOf(err) != salvor.Conflict {
		t.Error("opened twice:", err)
	}
	for range 2 {
		if got := scan(t, x, index.Span{}); len(got) != 1 {
			t.Errorf("%d lines, one was added whole", len(got))
		}
		if _, has, err := x.Has("three"); has || err != nil {
			t.Error("the one that was cut off:", has, err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		x = open(t, dir)
	}
	defer x.Close()
	if added, n, err := x.Add(t.Context(), "three", cdxj(t, big...)); !added || n != int64(len(big)) || err != nil {
		t.Error("added anew:", added, n, err)
	}
	if got := scan(t, x, index.Span{}); len(got) != 1+len(big) {
		t.Errorf("%d lines", len(got))
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestForeignLines: other tools' keys are made anew, and a file that ends within a line
// is none yet.
func TestForeignLines(t *testing.T) {
	x := open(t, t.TempDir())
	defer x.Close()
	foreign := "com,example,www2)/a/?b=2&a=1 20261124010203 {\"url\":\"https://WWW2.Example.com:443/A/?b=2&a=1\",\"status\":200}\n"
	if _, n, err := x.Add(t.Context(), "one", strings.NewReader(foreign+"x)/ 20261124010203 {\"url\": \"http://b.test/\\u00fc\"}\n")); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	got := scan(t, x, index.Span{})
	if len(got) != 2 || !strings.HasPrefix(got[0], "com,example)/a?a=1&b=2 20261124010203 {") || !strings.HasPrefix(got[1], "test,b)/%c3%bc 20261124010203 {") {
		t.Errorf("%q", got)
	}
	if _, _, err := x.Add(t.Context(), "two", strings.NewReader(foreign[:len(foreign)-1])); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("a line without an end: %v", err)
	}
	if size, ok, err := x.Has("one"); !ok || err != nil || size == 0 {
		t.Error(size, ok, err)
	}
}

func TestRemove(t *testing.T) {
	x := open(t, t.TempDir())
	defer x.Close()
	id := "urn:uuid:d7ae5c10-e6b3-4d27-967d-34780c58ba39"
	for i, name := range []string{"one", "two"} {
		l := line("com,a)/", "20261124010203", "http://a.com/"+name, name, int64(i))
		if name == "one" {
			l.ID = id
		}
		if _, _, err := x.Add(t.Context(), name, cdxj(t, l)); err != nil {
			t.Fatal(err)
		}
	}
	e, ok, err := x.Record(id)
	if err != nil || !ok || !bytes.Contains(e.Object, []byte("http://a.com/one")) {
		t.Fatalf("by its id: %v %v", ok, err)
	}
	if err := x.Remove(t.Context(), "one", "none"); err != nil {
		t.Fatal(err)
	}
	if got := scan(t, x, index.Span{}); len(got) != 1 || !strings.Contains(got[0], "a.com/two") {
		t.Errorf("left: %q", got)
	}
	if _, ok, err := x.Record(id); ok || err != nil {
		t.Errorf("the removed one by its id: %v %v", ok, err)
	}
	if _, _, err := x.Record("urn:uuid:none"); salvor.ClassOf(err) != salvor.Invalid {
		t.Error(err)
	}
	for name, n := range x.Segments(t.Context()) {
		if name != "two" || n != 1 {
			t.Error(name, n)
		}
	}
}

// TestScanEnds: with its context, and where its reader has enough.
func TestScanEnds(t *testing.T) {
	x := open(t, t.TempDir())
	defer x.Close()
	lines := make([]cdx.Line, 5000)
	for i := range lines {
		lines[i] = line("com,a)/", "20261124010203", "http://a.com/", "s", int64(i))
	}
	if _, _, err := x.Add(t.Context(), "s", cdxj(t, lines...)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := x.Scan(ctx, index.Span{}, func(*index.Entry) bool {
		n++
		cancel()
		return true
	})
	if !errors.Is(err, context.Canceled) || n > 2000 {
		t.Errorf("%d lines after it was cancelled, %v", n, err)
	}
	n = 0
	if err := x.Scan(t.Context(), index.Span{}, func(*index.Entry) bool { n++; return n < 3 }); err != nil || n != 3 {
		t.Errorf("%d lines, %v", n, err)
	}
}
