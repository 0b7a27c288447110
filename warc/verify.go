package warc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"salvor"
)

// MaxProblems is how many problems a Report lists.
const MaxProblems = 100

// Report is what Verify found in a file.
type Report struct {
	Records  int64
	Bytes    int64 // of the file
	ByType   map[string]int64
	Digests  int64 // compared
	SHA256   [32]byte
	Problems []Problem // at most MaxProblems
	More     int64     // problems beyond those
}

// Problem is one defect and where it is.
type Problem struct {
	Offset int64
	Record string // WARC-Record-ID, when known
	Text   string
}

// OK reports whether nothing was found.
func (r *Report) OK() bool { return len(r.Problems) == 0 }

func (r *Report) problem(off int64, id, format string, args ...any) {
	if len(r.Problems) >= MaxProblems {
		r.More++
		return
	}
	r.Problems = append(r.Problems, Problem{off, id, fmt.Sprintf(format, args...)})
}

// Verify reads a file to its end, record by record, and checks framing,
// headers and digests, in constant memory whatever the file holds. An error
// means that the file could not be read; what is wrong with its content is in
// the report.
func Verify(ctx context.Context, path string) (Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return Report{}, diskError("open", path, err)
	}
	defer f.Close()
	rep, err := VerifyReader(ctx, f)
	if err != nil {
		return rep, fmt.Errorf("verify %s: %w", path, err)
	}
	return rep, nil
}

// VerifyReader is Verify of a stream.
func VerifyReader(ctx context.Context, src io.Reader) (Report, error) {
	return VerifyEach(ctx, src, func(*Record) {})
}

// VerifyEach is VerifyReader, and shows each record before its block is read.
func VerifyEach(ctx context.Context, src io.Reader, each func(*Record)) (Report, error) {
	rep := Report{ByType: make(map[string]int64)}
	sum := sha256.New()
	size := &counter{w: sum}
	in := &faults{r: io.TeeReader(src, size), ctx: ctx}
	rd := NewReader(in, 0, func(off int64, id, text string) { rep.problem(off, id, "%s", text) })
	err := rep.records(rd, each)
	if _, cerr := io.Copy(io.Discard, readerOnly{in}); cerr != nil && in.err == nil { // the digest is of all bytes
		in.err = cerr
	}
	if in.err != nil {
		return rep, in.err
	}
	if d, ok := errors.AsType[*Damage](err); ok {
		rep.problem(d.Offset, "", "%s", d.Text)
	} else if err != io.EOF {
		rep.problem(rd.lastEnd(), "", "%v", err)
	}
	rep.Bytes, rep.SHA256 = size.n, [32]byte(sum.Sum(nil))
	if rep.Records == 0 && rep.OK() {
		rep.problem(0, "", "file holds no record")
	}
	return rep, nil
}

func (r *Report) records(rd *Reader, each func(*Record)) error {
	for {
		rec, err := rd.Next()
		if err != nil {
			return err
		}
		r.Records++
		each(rec)
		r.ByType[typeKey(strings.ToLower(rec.Get("WARC-Type")))]++
		checkHeader(rec, func(format string, args ...any) { r.problem(rec.Offset, rec.ID(), format, args...) })
		r.digests(rec)
	}
}

// typeKey keeps a file from filling the memory with type names.
func typeKey(t string) string {
	if _, ok := recordTypes[t]; ok {
		return t
	}
	return "other"
}

// digests compares what the header says with the block. A payload digest may
// be of the payload with or without its transfer coding: tools differ
// (iipc/warc-specifications#22), so either is right.
func (r *Report) digests(rec *Record) {
	in := inspect(rec)
	if !in.whole {
		return // Next reports it
	}
	id := rec.ID()
	if h, want, text := digestField(rec, "WARC-Block-Digest"); want != nil {
		r.Digests++
		if !bytes.Equal(want, in.block) {
			r.problem(rec.Offset, id, "block digest is %s, the block has %x", text, in.block)
		}
	} else if h != nil {
		r.problem(rec.Offset, id, "block digest %q has the wrong length", text)
	}
	if typ := strings.ToLower(rec.Get("WARC-Type")); typ == "revisit" || rec.Get("WARC-Segment-Number") != "" {
		return // of bytes that are elsewhere
	}
	if h, want, text := digestField(rec, "WARC-Payload-Digest"); want != nil {
		r.Digests++
		if !bytes.Equal(want, in.raw) && !bytes.Equal(want, in.entire) {
			r.problem(rec.Offset, id, "payload digest is %s, the payload has %x", text, in.entire)
		}
	} else if h != nil {
		r.problem(rec.Offset, id, "payload digest %q has the wrong length", text)
	}
}

// Err is the report as an error: nil when nothing was found.
func (r *Report) Err() error {
	if r.OK() {
		return nil
	}
	p := r.Problems[0]
	return salvor.Errorf(salvor.Invalid, "offset %d: %s (%d problems in all)", p.Offset, p.Text, int64(len(r.Problems))+r.More)
}
