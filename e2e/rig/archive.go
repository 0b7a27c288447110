package rig

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Capture is a response or revisit record of an archive.
type Capture struct {
	Type    string // response, revisit
	URI     string
	Status  int
	SHA256  string // of the payload without transfer coding; of nothing for a revisit
	Size    int
	Date    string
	File    string
	Offset  int64
	Length  int64
	Refers  string // WARC-Refers-To-Target-URI
	Indexed bool   // a CDXJ line points at it
}

// Archive is what lies in an archive directory, every byte of it checked.
type Archive struct {
	Dir      string
	Segments []string
	Captures []*Capture
	Types    map[string]int // records by type
	Lines    int            // of all CDXJ files
}

// ReadArchive reads all segments of an archive and their indexes, and checks
// that each is a chain of whole records with digests that verify, begins with
// a warcinfo, and that index and captures cover each other. It returns all
// that is wrong.
func ReadArchive(dir string) (*Archive, error) {
	a := &Archive{Dir: dir, Types: make(map[string]int)}
	var err error
	if a.Segments, err = WARCs(dir); err != nil {
		return nil, err
	}
	var wrong []error
	for _, s := range a.Segments {
		if err := a.readSegment(s); err != nil {
			wrong = append(wrong, err)
		}
	}
	return a, errors.Join(append(wrong, noOpenFiles(dir))...)
}

func (a *Archive) readSegment(path string) error {
	at := make(map[int64]*Capture)
	first := true
	err := ReadWARC(path, func(r *Record) error {
		a.Types[r.Type()]++
		if first && r.Type() != "warcinfo" {
			return fmt.Errorf("%s begins with a %s record", path, r.Type())
		}
		first = false
		if r.Type() != "response" && r.Type() != "revisit" {
			return nil
		}
		c, err := newCapture(r)
		if err != nil {
			return err
		}
		a.Captures = append(a.Captures, c)
		at[r.Offset] = c
		return nil
	})
	if err != nil {
		return err
	}
	return a.readIndex(path, at)
}

func newCapture(r *Record) (*Capture, error) {
	c := &Capture{
		Type: r.Type(), URI: r.URI(), Date: r.Get("warc-date"), Refers: r.Get("warc-refers-to-target-uri"),
		File: r.File, Offset: r.Offset, Length: r.Length,
	}
	if !strings.HasPrefix(r.Get("content-type"), "application/http") {
		return c, nil // dns: and the like
	}
	status, payload, err := r.HTTP()
	if err != nil && r.Get("warc-truncated") == "" {
		return nil, fmt.Errorf("%s at %d: %s: %w", r.File, r.Offset, c.URI, err)
	}
	sum := sha256.Sum256(payload)
	c.Status, c.Size, c.SHA256 = status, len(payload), hex.EncodeToString(sum[:])
	return c, nil
}

// readIndex follows every line of the CDXJ file beside a segment, and misses
// the lines that are not there.
func (a *Archive) readIndex(segment string, at map[int64]*Capture) error {
	lines, err := ReadIndex(IndexOf(segment))
	if err != nil {
		return err
	}
	a.Lines += len(lines)
	for _, l := range lines {
		if l.Filename != filepath.Base(segment) && !strings.HasSuffix(segment, "/"+l.Filename) {
			return fmt.Errorf("%s: line for %s names file %s", IndexOf(segment), l.URL, l.Filename)
		}
		r, err := ReadRange(segment, l.Offset, l.Length)
		if err != nil {
			return fmt.Errorf("index line for %s: %w", l.URL, err)
		}
		if uri := r.URI(); uri != l.URL {
			return fmt.Errorf("index line for %s leads to %s", l.URL, uri)
		}
		if d := r.Get("warc-payload-digest"); d != "" && strings.TrimPrefix(d, "sha1:") != l.Digest {
			return fmt.Errorf("index line for %s has digest %s, its record %s", l.URL, l.Digest, d)
		}
		if c := at[l.Offset]; c != nil {
			c.Indexed = true
		}
	}
	for _, c := range at {
		if !c.Indexed {
			return fmt.Errorf("%s at %d: %s of %s has no index line", segment, c.Offset, c.Type, c.URI)
		}
	}
	return nil
}

// IndexOf is the name of the index beside a segment: its own with .cdxj in
// place of .warc.gz, or after it.
func IndexOf(segment string) string {
	p := strings.TrimSuffix(segment, ".warc.gz") + ".cdxj"
	if _, err := os.Stat(p); err == nil {
		return p
	}
	return segment + ".cdxj"
}

// noOpenFiles looks for segments that somebody should have sealed.
func noOpenFiles(dir string) error {
	var wrong []error
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".open") {
			wrong = append(wrong, fmt.Errorf("%s was left open", p))
		}
		return err
	})
	return errors.Join(append(wrong, err)...)
}

// ByURI groups the captures of web pages.
func (a *Archive) ByURI() map[string][]*Capture {
	m := make(map[string][]*Capture)
	for _, c := range a.Captures {
		if strings.HasPrefix(c.URI, "http") {
			m[c.URI] = append(m[c.URI], c)
		}
	}
	return m
}

// Twice names the URLs captured more than once.
func (a *Archive) Twice() []string {
	var out []string
	for uri, cs := range a.ByURI() {
		if len(cs) > 1 {
			out = append(out, uri)
		}
	}
	return out
}

// CheckManifest reads manifest-sha256.txt as sha256sum -c does, and misses
// segments that it does not name.
func CheckManifest(dir string) error {
	f, err := os.Open(filepath.Join(dir, "manifest-sha256.txt"))
	if err != nil {
		return err
	}
	defer f.Close()
	named := make(map[string]bool)
	s := bufio.NewScanner(f)
	for s.Scan() {
		want, name, ok := strings.Cut(s.Text(), "  ")
		if !ok {
			return fmt.Errorf("manifest: line %q", s.Text())
		}
		p := filepath.Join(dir, name)
		got, err := fileSHA256(p)
		if err != nil {
			return fmt.Errorf("manifest: %w", err)
		}
		if got != want {
			return fmt.Errorf("manifest: %s has SHA-256 %s, not %s", name, got, want)
		}
		named[p] = true
	}
	segments, err := WARCs(dir)
	for _, p := range segments {
		if !named[p] {
			return fmt.Errorf("manifest: %s is missing", p)
		}
	}
	return errors.Join(err, s.Err())
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}
