package crawllog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
)

var begin = time.Date(2026, 11, 23, 10, 15, 29, 7_000_000, time.UTC)

var lines = []struct {
	e    Entry
	line string
}{
	{Entry{
		Time: begin.Add(1116 * time.Millisecond), Status: 200, Size: 14320, URL: "https://example.org/a?b=c", Path: "LLE", Via: "https://example.org/",
		Type: "text/html", Worker: 7, Begin: begin, Duration: 1093 * time.Millisecond, Digest: salvor.SHA1{0: 1, 19: 255},
		Source: "https://example.org/", Notes: []string{"duplicate:digest", "warcRevisit:digest"},
	}, "2026-11-23T10:15:30.123Z   200      14320 https://example.org/a?b=c LLE https://example.org/ text/html #007 20261123101529007+1093 sha1:AEAAAAAAAAAAAAAAAAAAAAAAAAAAAAH7 https://example.org/ duplicate:digest,warcRevisit:digest"},
	{Entry{Time: begin, Status: -9998, Size: -1, URL: "http://h/private"},
		"2026-11-23T10:15:29.007Z -9998          - http://h/private - - - #000 - - - -"},
	{Entry{Time: begin, Status: 404, Size: 0, URL: "http://h/", Worker: 1234, Begin: begin},
		"2026-11-23T10:15:29.007Z   404          0 http://h/ - - - #1234 20261123101529007+0 - - -"},
	{Entry{Time: begin.In(time.FixedZone("", 3600)), Status: 200, Size: 12345678901, URL: "http://h/a b\n", Via: "x\x00y", Type: "a b", Notes: []string{"a,b", "c d", ""}},
		"2026-11-23T10:15:29.007Z   200 12345678901 http://h/a%20b%0A - x%00y a%20b #000 - - - a%2Cb,c%20d,-"},
}

func TestLine(t *testing.T) {
	for _, c := range lines {
		got := string(c.e.Append(nil))
		if got != c.line+"\n" {
			t.Errorf("got  %q\nwant %q", got, c.line+"\n")
		}
		back, err := Parse(got)
		if err != nil {
			t.Error(err)
		}
		if again := string(back.Append(nil)); again != got {
			t.Errorf("read back and written again:\ngot  %q\nwant %q", again, got)
		}
	}
	if back, _ := Parse(lines[0].line); !cmp.Equal(back, lines[0].e) {
		t.Error(cmp.Diff(lines[0].e, back))
	}
}

// A line written by Heritrix itself, with its extra JSON.
func TestParseHeritrix(t *testing.T) {
	e, err := Parse(`2011-06-23T17:12:08.802Z   200       1299 http://content-5.powells.com/robots.txt LREP http://content-5.powells.com/cgi-bin/imageDB.cgi?isbn=9780385518635 text/plain #014 20110623171208574+225 sha1:YIUOKDBAEIXTVSDLG7LMNZVHLUVSWWK6 http://www.powells.com/ duplicate:digest {"contentSize":1503}`)
	want := time.Date(2011, 6, 23, 17, 12, 8, 574_000_000, time.UTC)
	if err != nil || e.Status != 200 || e.Size != 1299 || e.Path != "LREP" || e.Worker != 14 || !e.Begin.Equal(want) ||
		e.Duration != 225*time.Millisecond || e.Digest.String() != "YIUOKDBAEIXTVSDLG7LMNZVHLUVSWWK6" || len(e.Notes) != 1 {
		t.Errorf("%+v, %v", e, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range lines {
		f.Add(c.line)
	}
	f.Add("a b c")
	f.Fuzz(func(t *testing.T, line string) {
		e, err := Parse(line)
		if err != nil || e.Time.Year() > 9999 || e.Begin.Year() > 9999 {
			return
		}
		once := string(e.Append(nil))
		if strings.Count(once, "\n") != 1 || len(strings.Fields(once)) != 12 {
			t.Fatalf("%q became %q", line, once)
		}
		back, err := Parse(once)
		if err != nil || string(back.Append(nil)) != once {
			t.Fatalf("%q became %q, then %q (%v)", line, once, back.Append(nil), err)
		}
	})
}

func mustOpen(t *testing.T, path string) *Writer {
	t.Helper()
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestMend(t *testing.T) {
	whole := lines[1].line + "\n" + lines[2].line + "\n"
	for name, c := range map[string]struct{ tail, want string }{
		"empty":   {"", ""},
		"whole":   {whole, whole},
		"partial": {whole + lines[0].line[:40], whole},
		"only":    {lines[0].line[:40], ""},
		"zeros":   {whole + strings.Repeat("\x00", 3*bufferSize), whole},
		"nearly":  {whole + lines[0].line, whole},
		"edge":    {whole + strings.Repeat("x", bufferSize), whole},
	} {
		path := filepath.Join(t.TempDir(), "crawl.log")
		if err := os.WriteFile(path, []byte(c.tail), 0o644); err != nil {
			t.Fatal(err)
		}
		w := mustOpen(t, path)
		if got := read(t, path); got != c.want {
			t.Errorf("%s: %d bytes left, want %d", name, len(got), len(c.want))
		}
		if w.Mended() != int64(len(c.tail)-len(c.want)) || w.Offset() != int64(len(c.want)) {
			t.Errorf("%s: cut %d, offset %d", name, w.Mended(), w.Offset())
		}
		if err := w.Write(lines[0].e); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != c.want+lines[0].line+"\n" {
			t.Errorf("%s: appended badly", name)
		}
	}
}

func TestBuffering(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crawl.log")
	w := mustOpen(t, path)
	if err := w.Write(lines[0].e); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "" {
		t.Errorf("a line was not buffered: %q", got)
	}
	for _, flush := range []func() error{w.Flush, w.Sync} {
		if err := flush(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); int64(len(got)) != w.Offset() || len(got) == 0 {
			t.Errorf("%d bytes in the file, offset %d", len(got), w.Offset())
		}
	}
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				w.Write(Entry{Time: begin, URL: fmt.Sprintf("http://h/%d/%d", worker, i), Size: -1, Worker: worker})
			}
		})
	}
	wg.Wait()
	if len(w.buf) > 2*bufferSize {
		t.Errorf("the buffer grew to %d", len(w.buf))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(read(t, path)) {
		if _, err := Parse(line); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
}

func TestTail(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crawl.log")
	w := mustOpen(t, path)
	url := func(i int) string { return fmt.Sprintf("http://h/%d", i) }
	at := func(i int) time.Time { return begin.Add(time.Duration(i) * time.Millisecond) }
	var offsets []int64
	for i := range 10 {
		offsets = append(offsets, w.Offset())
		if err := w.Write(Entry{Time: begin, URL: url(i), Begin: at(i), Duration: time.Second}); err != nil {
			t.Fatal(err)
		}
	}
	for from := range 10 {
		for delta := int64(0); delta < 2; delta++ { // exactly at a line, and just after
			tail, err := w.Tail(offsets[from] + delta)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				if want := i >= from+int(delta); tail.Has(at(i), url(i)) != want {
					t.Errorf("from line %d+%d: line %d is there: %v", from, delta, i, !want)
				}
			}
		}
	}
	tail, _ := w.Tail(0)
	if tail.Len() != 10 || tail.Has(at(1), url(2)) || tail.Has(time.Time{}, url(1)) {
		t.Errorf("%d lines, or lines that were never written", tail.Len())
	}
	if tail, err := w.Tail(1 << 40); err != nil || tail.Len() != 0 {
		t.Errorf("beyond the end: %v, %v", tail, err)
	}
}

// full is a disk that fills up, and later has room again.
type full struct {
	logFile
	room int
}

func (f *full) Write(p []byte) (int, error) {
	n, err := f.logFile.Write(p[:min(len(p), f.room)])
	f.room -= n
	if err == nil && n < len(p) {
		err = &os.PathError{Op: "write", Path: "crawl.log", Err: syscall.ENOSPC}
	}
	return n, err
}

// A full disk costs no line and leaves no half one, once there is room again.
func TestFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "crawl.log")
	w := mustOpen(t, path)
	disk := &full{w.f, 100}
	w.f = disk
	var want strings.Builder
	failed := false
	for i := range 2000 {
		e := Entry{Time: begin, URL: fmt.Sprintf("http://h/%d", i)}
		err := w.Write(e)
		if err != nil {
			failed = true
			if salvor.ClassOf(err) != salvor.Exhausted || !strings.Contains(salvor.HintOf(err), path) {
				t.Fatalf("%v, hint %q", err, salvor.HintOf(err))
			}
			disk.room = 1 << 30
			err = w.Write(e)
		}
		if err != nil {
			t.Fatal(err)
		}
		want.Write(e.Append(nil))
	}
	if err := w.Close(); err != nil || !failed {
		t.Fatalf("failed %v, close %v", failed, err)
	}
	if got := read(t, path); got != want.String() {
		t.Errorf("the log has %d bytes, want %d", len(got), want.Len())
	}
}

func BenchmarkWrite(b *testing.B) {
	w, err := Open(filepath.Join(b.TempDir(), "crawl.log"))
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := w.Write(lines[0].e); err != nil {
			b.Fatal(err)
		}
	}
}
