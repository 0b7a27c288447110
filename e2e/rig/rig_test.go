package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"salvor/e2e/site"
)

// wgetArchive makes an archive directory with wget and pywb's indexer, which
// know nothing of ours: the checks must accept theirs.
func wgetArchive(t *testing.T, s site.Site) (dir string, web *Nginx, c *Checkers) {
	t.Helper()
	c, err := FindCheckers()
	Need(t, err)
	wget, err := LookPath("wget")
	Need(t, err)
	root := t.TempDir()
	if err := s.Write(root); err != nil {
		t.Fatal(err)
	}
	web = ServeFiles(t, NginxConfig{Root: root})
	dir = t.TempDir()
	segment := filepath.Join(dir, "warc", "wget")
	if err := os.MkdirAll(filepath.Dir(segment), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := Start(t.TempDir(), nil, wget, "-q", "-r", "-l", "inf", "--warc-file", segment, web.URL+"/")
	if err != nil {
		t.Fatal(err)
	}
	// Exit code 8: wget asks for a robots.txt that is not there.
	if u, err := p.Wait(t.Context()); err != nil || u.Exit != 8 && u.Exit != 0 {
		t.Fatalf("wget: exit %d, %v\n%s", u.Exit, err, p.Stderr())
	}
	out, err := c.Run(t.Context(), "", "cdx-indexer", "-j", "-s", segment+".warc.gz")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(segment+".cdxj", withoutHeader(out), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, web, c
}

// withoutHeader drops the line " CDX ..." that cdx-indexer may begin with.
func withoutHeader(cdx []byte) []byte {
	if s := string(cdx); strings.HasPrefix(s, " CDX") {
		_, rest, _ := strings.Cut(s, "\n")
		return []byte(rest)
	}
	return cdx
}

func TestArchiveOfWget(t *testing.T) {
	s := site.Site{Pages: 60}
	dir, web, c := wgetArchive(t, s)
	a, err := ReadArchive(dir)
	if err != nil {
		t.Fatal(err)
	}
	by := a.ByURI()
	for i := range s.Pages {
		uri := web.URL + s.Path(i)
		if i == 0 {
			uri = web.URL + "/"
		}
		sum := sha256.Sum256(s.Page(i))
		if got := by[uri]; len(got) == 0 || got[0].SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: captures %+v", uri, got)
		}
	}
	seen, err := c.Records(t.Context(), a.Segments)
	if err != nil {
		t.Fatal(err)
	}
	agree(t, a, seen)
	if hits, err := web.Hits(); err != nil || len(hits) < s.Pages {
		t.Errorf("access log: %d requests, %v", len(hits), err)
	}
	if n := web.Requests().Count(); n < s.Pages {
		t.Errorf("counted %d requests", n)
	}
	replays(t, c, a, web, s)
}

// agree compares warcio's reading with ours.
func agree(t *testing.T, a *Archive, seen []Seen) {
	t.Helper()
	ours := make(map[string]*Capture)
	for _, c := range a.Captures {
		ours[fmt.Sprint(c.Offset)] = c
	}
	n := 0
	for _, r := range seen {
		if r.Type != "response" {
			continue
		}
		n++
		c := ours[fmt.Sprint(r.Offset)]
		if c == nil || c.URI != r.URI || c.SHA256 != r.SHA256 || c.Length != r.Length || fmt.Sprint(c.Status) != r.Status {
			t.Errorf("warcio reads %+v, we read %+v", r, c)
		}
	}
	if n != len(a.Captures) {
		t.Errorf("warcio finds %d responses, we find %d", n, len(a.Captures))
	}
}

func replays(t *testing.T, c *Checkers, a *Archive, web *Nginx, s site.Site) {
	t.Helper()
	w, err := c.Replay(t.Context(), t.TempDir(), a.Segments)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	for _, i := range []int{1, 17, 59} {
		status, body, err := w.Get(t.Context(), "", web.URL+s.Path(i))
		if err != nil || status != http.StatusOK || string(body) != string(s.Page(i)) {
			t.Errorf("page %d: status %d, %d bytes, %v\n%s", i, status, len(body), err, w.Errors())
		}
	}
	if status, _, err := w.Get(t.Context(), "", web.URL+"/never"); err != nil || status != http.StatusNotFound {
		t.Errorf("a page that is not there: status %d, %v", status, err)
	}
}

// TestChecksFindDamage: a check that cannot fail proves nothing.
func TestChecksFindDamage(t *testing.T) {
	dir, _, _ := wgetArchive(t, site.Site{Pages: 12})
	segment := filepath.Join(dir, "warc", "wget.warc.gz")
	index := filepath.Join(dir, "warc", "wget.cdxj")
	whole, lines := read(t, segment), read(t, index)
	firstLine, _, _ := strings.Cut(lines, "\n")
	for _, c := range []struct {
		name, segment, index, want string
	}{
		{"nothing", whole, lines, "<nil>"},
		{"a bit turned", whole[:len(whole)/2] + string(whole[len(whole)/2]^1) + whole[len(whole)/2+1:], lines, "member at"},
		{"cut", whole[:len(whole)-100], lines, "member at"},
		{"bytes after the last member", whole + "x", lines, "member at"},
		{"a line missing", whole, strings.Replace(lines, firstLine+"\n", "", 1), "has no index line"},
		{"a wrong offset", whole, strings.Replace(lines, `"offset": "`, `"offset": "1`, 1), "index line for"},
		{"a wrong length", whole, strings.Replace(lines, `"length": "`, `"length": "1`, 1), "index line for"},
		{"another URL", whole, strings.Replace(lines, `p000001.html"`, `p000002.html"`, 1), "leads to"},
		{"not sorted", whole, lines + firstLine + "\n", "comes after"},
	} {
		write(t, segment, c.segment)
		write(t, index, c.index)
		_, err := ReadArchive(dir)
		if got := fmt.Sprint(err); !strings.Contains(got, c.want) {
			t.Errorf("%s: got error %v, want one with %q", c.name, err, c.want)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestManifest(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "warc"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "warc", "a.warc.gz"), "abc")
	manifest := filepath.Join(dir, "manifest-sha256.txt")
	const good = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  warc/a.warc.gz\n"
	for text, ok := range map[string]bool{good: true, "": false, "0" + good[1:]: false, good + "00  warc/b.warc.gz\n": false, "x": false} {
		write(t, manifest, text)
		if err := CheckManifest(dir); (err == nil) != ok {
			t.Errorf("manifest %q: %v", text, err)
		}
	}
}

func TestProcess(t *testing.T) {
	p, err := Start("", []string{"GREETING=hello"}, "sh", "-c", `echo "$GREETING"; echo alas >&2; exit 7`)
	if err != nil {
		t.Fatal(err)
	}
	u, err := p.Wait(t.Context())
	if err != nil || u.Exit != 7 || p.Stdout() != "hello\n" || p.Stderr() != "alas\n" {
		t.Errorf("exit %d, %q, %q, %v", u.Exit, p.Stdout(), p.Stderr(), err)
	}
	p, err = Start("", nil, "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := Memory(p.PID()); err != nil || m <= 0 {
		t.Errorf("memory %d, %v", m, err)
	}
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if u, err := p.Wait(t.Context()); err != nil || u.Exit != -1 {
		t.Errorf("killed: exit %d, %v", u.Exit, err)
	}
	p, err = Start("", nil, "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := p.Wait(ctx); err == nil {
		t.Error("waiting past the limit is no error")
	}
}
