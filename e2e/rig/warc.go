package rig

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Record is one WARC record, read from exactly one gzip member.
type Record struct {
	File   string
	Offset int64
	Length int64 // compressed
	Header map[string][]string
	Block  []byte
}

// Get is the first value of a named field; names are in lower case.
func (r *Record) Get(name string) string {
	if v := r.Header[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Type is the WARC-Type.
func (r *Record) Type() string { return r.Get("warc-type") }

// URI is the WARC-Target-URI, without the angle brackets of WARC 1.0 writers.
func (r *Record) URI() string { return strings.Trim(r.Get("warc-target-uri"), "<>") }

// HTTP parses the block as an answer and gives its status and its payload
// without transfer coding.
func (r *Record) HTTP() (status int, payload []byte, err error) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(r.Block)), nil)
	if err != nil {
		return 0, nil, fmt.Errorf("%s at %d: %w", r.File, r.Offset, err)
	}
	defer resp.Body.Close()
	payload, err = io.ReadAll(resp.Body)
	if r.Type() == "revisit" {
		err = nil // the head announces a body that lies elsewhere
	}
	return resp.StatusCode, payload, err
}

// ReadWARC reads every record of a file, each of which must be one gzip member
// with nothing between them, and checks their digests.
func ReadWARC(path string, each func(*Record) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := &countingReader{r: bufio.NewReaderSize(f, 1<<20)}
	var zr gzip.Reader
	for {
		start := in.n
		if err := zr.Reset(in); err == io.EOF && in.n == start {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: member at %d: %w", path, start, err)
		}
		zr.Multistream(false)
		data, err := io.ReadAll(&zr)
		if err != nil {
			return fmt.Errorf("%s: member at %d: %w", path, start, err)
		}
		rec, err := parseRecord(data)
		if err != nil {
			return fmt.Errorf("%s: record at %d: %w", path, start, err)
		}
		rec.File, rec.Offset, rec.Length = path, start, in.n-start
		if err := each(rec); err != nil {
			return err
		}
	}
}

// ReadRange reads the one record that a range of a file must be.
func ReadRange(path string, offset, length int64) (*Record, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	part := bytes.NewReader(nil)
	raw := make([]byte, length)
	if _, err := f.ReadAt(raw, offset); err != nil {
		return nil, fmt.Errorf("%s: read %d bytes at %d: %w", path, length, offset, err)
	}
	part.Reset(raw)
	zr, err := gzip.NewReader(part)
	if err != nil {
		return nil, fmt.Errorf("%s at %d: %w", path, offset, err)
	}
	zr.Multistream(false)
	data, err := io.ReadAll(zr)
	if err != nil {
		return nil, fmt.Errorf("%s at %d: %w", path, offset, err)
	}
	if part.Len() != 0 {
		return nil, fmt.Errorf("%s at %d: %d bytes after the member", path, offset, part.Len())
	}
	rec, err := parseRecord(data)
	if err != nil {
		return nil, fmt.Errorf("%s at %d: %w", path, offset, err)
	}
	rec.File, rec.Offset, rec.Length = path, offset, length
	return rec, nil
}

// parseRecord reads a record that fills data to its last byte (WARC 1.1, 4).
func parseRecord(data []byte) (*Record, error) {
	head, rest, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if !ok {
		return nil, errors.New("no end of the header")
	}
	lines := strings.Split(string(head), "\r\n")
	if lines[0] != "WARC/1.1" && lines[0] != "WARC/1.0" {
		return nil, fmt.Errorf("version line %q", lines[0])
	}
	rec := &Record{Header: make(map[string][]string)}
	for _, l := range lines[1:] {
		name, value, ok := strings.Cut(l, ":")
		if !ok {
			return nil, fmt.Errorf("header line %q", l)
		}
		name = strings.ToLower(name)
		rec.Header[name] = append(rec.Header[name], strings.TrimSpace(value))
	}
	size, err := strconv.Atoi(rec.Get("content-length"))
	if err != nil {
		return nil, fmt.Errorf("content length: %w", err)
	}
	if len(rest) != size+4 || string(rest[size:]) != "\r\n\r\n" {
		return nil, fmt.Errorf("block of %d bytes and its end take %d bytes", size, len(rest))
	}
	rec.Block = rest[:size]
	return rec, rec.verify()
}

// verify checks both digests against the bytes that are there.
func (r *Record) verify() error {
	if d := r.Get("warc-block-digest"); d != "" {
		if err := verifyDigest(d, r.Block); err != nil {
			return fmt.Errorf("block: %w", err)
		}
	}
	d := r.Get("warc-payload-digest")
	if d == "" || r.Type() != "response" {
		return nil
	}
	_, body, ok := bytes.Cut(r.Block, []byte("\r\n\r\n"))
	if !ok {
		return errors.New("payload digest on a block without an end of the head")
	}
	if err := verifyDigest(d, body); err != nil {
		return fmt.Errorf("payload: %w", err)
	}
	return nil
}

func verifyDigest(label string, data []byte) error {
	algorithm, want, _ := strings.Cut(label, ":")
	var got string
	switch algorithm {
	case "sha1":
		sum := sha1.Sum(data)
		got = base32.StdEncoding.EncodeToString(sum[:])
	case "sha256":
		sum := sha256.Sum256(data)
		got = hex.EncodeToString(sum[:])
	default:
		return fmt.Errorf("digest %q is of an unknown kind", label)
	}
	if got != want {
		return fmt.Errorf("digest is %s:%s, record says %s", algorithm, got, label)
	}
	return nil
}

// countingReader counts what is taken; being an io.ByteReader it keeps
// compress/gzip from reading past a member.
type countingReader struct {
	r *bufio.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *countingReader) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// IndexLine is one line of a CDXJ file.
type IndexLine struct {
	Key       string `json:"-"`
	Timestamp string `json:"-"`
	URL       string `json:"url"`
	Mime      string `json:"mime"`
	Status    string `json:"status"`
	Digest    string `json:"digest"`
	Length    int64  `json:"length,string"`
	Offset    int64  `json:"offset,string"`
	Filename  string `json:"filename"`
}

// ReadIndex reads a CDXJ file, which must be sorted by bytes.
func ReadIndex(path string) ([]IndexLine, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []IndexLine
	before := ""
	for line := range strings.Lines(string(b)) {
		w := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 3)
		if len(w) != 3 {
			return nil, fmt.Errorf("%s: line %q", path, line)
		}
		l := IndexLine{Key: w[0], Timestamp: w[1]}
		if err := json.Unmarshal([]byte(w[2]), &l); err != nil {
			return nil, fmt.Errorf("%s: line %q: %w", path, line, err)
		}
		if line < before {
			return nil, fmt.Errorf("%s: %q comes after %q", path, line, before)
		}
		before = line
		out = append(out, l)
	}
	return out, nil
}

// WARCs lists the segments of an archive.
func WARCs(archive string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(filepath.Join(archive, "warc"), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(p, ".warc.gz") {
			out = append(out, p)
		}
		return err
	})
	return out, err
}
