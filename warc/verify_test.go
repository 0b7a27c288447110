package warc

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"salvor"
)

// TestVerifyVectors: JHOVE's files say in their names what they are.
func TestVerifyVectors(t *testing.T) {
	paths, err := filepath.Glob(sharedData(t, "warc") + "/*")
	if err != nil || len(paths) < 100 {
		t.Fatalf("%d vectors, %v", len(paths), err)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		rep, err := Verify(ctx, path)
		cancel()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(name, "__invalid-") && rep.OK() {
			t.Errorf("%s: nothing was found", name)
		}
		if strings.Contains(name, "__valid-") && !rep.OK() {
			t.Errorf("%s: %v", name, rep.Problems)
		}
	}
	for name, want := range map[string]string{
		"webrecorder_warcio__example.warc.gz":                           "",
		"webrecorder_warcio__example-iana.org-chunked.warc":             "",
		"webrecorder_warcio__example-resource.warc.gz":                  "",
		"webrecorder_warcio__post-test.warc.gz":                         "",
		"webrecorder_warcio__example-wget-bad-target-uri.warc.gz":       "",
		"iipc_jwarc__gzip_extra_sl.warc.gz":                             "",
		"iipc_warc-specifications__hello-world.warc.gz":                 "",
		"internetarchive_gowarc__test.warc.gz":                          "",
		"webrecorder_warcio__example-bad-non-chunked.warc.gz":           "more than one record",
		"webrecorder_warcio__example-digest.warc":                       "digest",
		"webrecorder_warcio__example-trunc.warc":                        "digest",
		"webrecorder_warcio__example-wrong-chunks.warc.gz":              "unexpected EOF",
		"webrecorder_warcio__example-space-in-target-uri.warc.gz":       "WARC-Target-URI",
		"webrecorder_warcio__example.arc.gz":                            "no WARC record",
		"internetarchive_gowarc__corrupted-trailing-bytes.warc.gz.open": "gzip member",
		"internetarchive_gowarc__empty.warc.gz.open":                    "empty gzip member",
	} {
		rep, err := Verify(t.Context(), sharedData(t, "warc", name))
		if err != nil || rep.OK() != (want == "") || !strings.Contains(fmt.Sprint(rep.Problems), want) {
			t.Errorf("%s: %v %v", name, err, rep.Problems)
		}
	}
}

// sampleSegment is a small stored segment's bytes.
func sampleSegment(t testing.TB) []byte {
	dir := t.TempDir()
	p, _ := mustOpen(t, testConfig(t, dir))
	mustWrite(t, p, page("http://example.com/a", "payload"))
	ch := exchange("http://example.com/c", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n")
	ch.Chunked = true
	mustWrite(t, p, ch)
	mustSeal(t, p)
	return readFile(t, stored(t, dir)[0])
}

// TestVerifyDamage: every cut and every changed byte of a segment is found,
// except in the parts of a gzip header that mean nothing.
func TestVerifyDamage(t *testing.T) {
	good := sampleSegment(t)
	verify := func(b []byte) Report {
		rep, err := VerifyReader(t.Context(), bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
	whole := verify(good)
	if !whole.OK() || whole.Records != 6 || whole.Bytes != int64(len(good)) || whole.Digests != 7 {
		t.Fatalf("%+v", whole)
	}
	starts := map[int]bool{}
	for i := 0; i+3 < len(good); i++ {
		if good[i] == 0x1f && good[i+1] == 0x8b && good[i+2] == 8 {
			starts[i] = true
		}
	}
	for i := range good {
		if cut := verify(good[:i]); cut.OK() && !starts[i] {
			t.Errorf("cut at %d of %d: nothing was found", i, len(good))
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0x55
		rep := verify(bad)
		header := false // time stamp, extra flags and system of a member
		for n := 4; n < 10; n++ {
			header = header || starts[i-n]
		}
		if rep.OK() && !header {
			t.Errorf("byte %d of %d changed: nothing was found", i, len(good))
		}
	}
}

// TestVerifyHostile: bombs and endless headers end, in little memory.
func TestVerifyHostile(t *testing.T) {
	var bomb bytes.Buffer
	gz := gzip.NewWriter(&bomb)
	io.WriteString(gz, "WARC/1.1\r\nContent-Length: 200000000\r\n\r\n")
	io.CopyN(gz, zeros{}, 200_000_000)
	gz.Close()
	for name, r := range map[string]io.Reader{
		"bomb":             &bomb,
		"endless line":     io.LimitReader(io.MultiReader(strings.NewReader("WARC/1.1\r\nX: "), letters{}), 100<<20),
		"endless fields":   io.MultiReader(strings.NewReader("WARC/1.1\r\n"), strings.NewReader(strings.Repeat("a:b\r\n", 3_000_000))),
		"endless types":    strings.NewReader(strings.Repeat("WARC/1.1\r\nContent-Length: 0\r\n\r\n\r\n\r\n", 200_000)),
		"endless http":     io.LimitReader(io.MultiReader(strings.NewReader("WARC/1.1\r\nWARC-Type: response\r\nContent-Type: application/http\r\nContent-Length: 99999999999\r\n\r\nHTTP/1.1 200 OK\r\nX: "), letters{}), 100<<20),
		"huge length":      strings.NewReader("WARC/1.1\r\nContent-Length: 9223372036854775807\r\n\r\nx"),
		"negative length":  strings.NewReader("WARC/1.1\r\nContent-Length: -1\r\n\r\nx"),
		"WARC slash":       strings.NewReader("WARC/\n"),
		"only line breaks": strings.NewReader(strings.Repeat("\r\n", 1000)),
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		rep, err := VerifyReader(t.Context(), r)
		runtime.ReadMemStats(&after)
		if err != nil || rep.OK() {
			t.Errorf("%s: %v %v", name, err, rep.Problems)
		}
		if n := len(rep.Problems); n > MaxProblems {
			t.Errorf("%s: %d problems are listed", name, n)
		}
		if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 160<<20 { // the runtime takes 64 MB at a time
			t.Errorf("%s: the heap grew by %d bytes", name, grown)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type letters struct{}

func (letters) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestVerifyStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := VerifyReader(ctx, zeros{}); salvor.ClassOf(err) != salvor.Interrupted {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := VerifyReader(t.Context(), io.MultiReader(strings.NewReader("WARC/1.1\r\n"), badDisk{})); err == nil || salvor.ClassOf(err) != salvor.Internal {
		t.Errorf("a disk that fails is not the file's fault: %v", err)
	}
	if _, err := Verify(t.Context(), filepath.Join(t.TempDir(), "none")); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("no file: %v", err)
	}
}

type badDisk struct{}

func (badDisk) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

func FuzzVerify(f *testing.F) {
	good := sampleSegment(f)
	f.Add(good)
	f.Add(good[:len(good)-7])
	f.Add(good[10:])
	plain, err := gzip.NewReader(bytes.NewReader(good))
	if err != nil {
		f.Fatal(err)
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("WARC/1.1\r\nContent-Length: 0\r\n\r\n\r\n\r\n"))
	f.Add([]byte("WARC/\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := VerifyReader(ctx, bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		if _, err := scanRecords(ctx, bytes.NewReader(b), int64(len(b))); err != nil {
			t.Fatal(err)
		}
		last := int64(0)
		err := wholeMembers(ctx, bytes.NewReader(b), 0, int64(len(b)), func(end int64) bool {
			if end <= last || end > int64(len(b)) {
				t.Fatalf("member ends at %d after %d of %d", end, last, len(b))
			}
			last = end
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
