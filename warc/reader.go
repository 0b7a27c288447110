package warc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Limits of the reader. What exceeds them is damage, or somebody else's joke.
const (
	maxRecordHeader = 1 << 20
	maxFields       = 10000
	maxFolds        = 1000 // lines that go on with the one before
)

// Field is one named field of a record's header.
type Field struct{ Name, Value string }

// Record is one record while its Reader stands on it.
type Record struct {
	Offset  int64 // of the record, or of the gzip member that holds it
	Version string
	Fields  []Field
	Length  int64     // Content-Length
	Block   io.Reader // its content; drained by the next Next
}

// Get is the first value of a field, whatever the case of its name.
func (r *Record) Get(name string) string {
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// ID is the record's id without angle brackets.
func (r *Record) ID() string { return strings.Trim(r.Get("WARC-Record-ID"), "<>") }

// Reader reads records one after the other from any WARC file, compressed or
// not. It holds one header in memory, never a block, and takes damage as a
// problem to report, not as a reason to stop, while it can tell where the
// next record begins.
type Reader struct {
	in     *offsetReader
	gz     *gzip.Reader
	body   *bufio.Reader
	report func(off int64, id, text string)

	compressed, inMember bool
	crowded              bool // the member held more than one record
	folds                int  // continued lines of the header
	start                int64
	cur                  *Record
	left                 *blockReader
}

// NewReader reads from r, whose first byte has offset off in its file.
// Problems that do not stop it go to report, which may be nil.
func NewReader(r io.Reader, off int64, report func(off int64, id, text string)) *Reader {
	if report == nil {
		report = func(int64, string, string) {}
	}
	return &Reader{in: newOffsetReader(r, off), report: report}
}

// offsetReader knows where in its file the next byte stands. It is a
// *bufio.Reader to the decompressor, which then takes no byte too many.
type offsetReader struct {
	*bufio.Reader
	n *counting
}

type counting struct {
	r   io.Reader
	off int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.off += int64(n)
	return n, err
}

func newOffsetReader(r io.Reader, off int64) *offsetReader {
	c := &counting{r, off}
	return &offsetReader{bufio.NewReaderSize(c, 64<<10), c}
}

func (o *offsetReader) offset() int64 { return o.n.off - int64(o.Buffered()) }

// Next moves to the next record. It returns io.EOF at the end of a file that
// ends well, and another error where nothing more can be read.
func (r *Reader) Next() (*Record, error) {
	if err := r.finish(); err != nil {
		return nil, err
	}
	for {
		if err := r.member(); err != nil {
			return nil, err
		}
		rec, err := r.header()
		if err == io.EOF && r.compressed { // the member is over
			r.inMember = false
			if rec != nil {
				r.report(r.start, "", "empty gzip member")
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		r.cur = rec
		r.left = &blockReader{r: r.body, left: rec.Length}
		rec.Block = r.left
		return rec, nil
	}
}

// lastEnd is where the bytes after the last finished record begin: the start
// of the current one, if there is one.
func (r *Reader) lastEnd() int64 {
	if r.cur != nil {
		return r.cur.Offset
	}
	return r.in.offset()
}

// member stands at the start of a record's bytes.
func (r *Reader) member() error {
	if r.inMember {
		return nil
	}
	r.start = r.in.offset()
	if !r.compressed {
		magic, err := r.in.Peek(2)
		if len(magic) == 0 {
			return ioEnd(err)
		}
		r.compressed = len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b
		if !r.compressed {
			r.body = r.in.Reader
			return nil
		}
	}
	if _, err := r.in.Peek(1); err != nil {
		return ioEnd(err)
	}
	return r.openMember()
}

func (r *Reader) openMember() (err error) {
	if r.gz == nil {
		r.gz, err = gzip.NewReader(r.in.Reader)
	} else {
		err = r.gz.Reset(r.in.Reader)
	}
	if err != nil {
		return r.damage(r.start, "gzip member: %v", err)
	}
	r.gz.Multistream(false)
	if r.body == nil || r.body == r.in.Reader {
		r.body = bufio.NewReaderSize(r.gz, 32<<10)
	} else {
		r.body.Reset(r.gz)
	}
	r.inMember, r.crowded = true, false
	return nil
}

func ioEnd(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return io.EOF
	}
	return err
}

func (r *Reader) damage(off int64, format string, args ...any) error {
	return &Damage{off, fmt.Sprintf(format, args...)}
}

// header reads a version line and the named fields. io.EOF with a record
// means that nothing stood there at all.
func (r *Reader) header() (*Record, error) {
	rec := &Record{Offset: r.start}
	if !r.compressed {
		rec.Offset = r.in.offset()
	}
	budget := maxRecordHeader
	line, err := r.line(&budget)
	if err == io.EOF && len(line) == 0 {
		if r.crowded {
			rec = nil
		}
		return rec, io.EOF
	}
	if err != nil {
		return nil, r.damage(rec.Offset, "version line: %v", err)
	}
	rec.Version = line
	if len(line) < 5 || !strings.EqualFold(line[:5], "WARC/") {
		return nil, r.damage(rec.Offset, "no WARC record: it begins with %.40q", line)
	}
	r.folds = 0
	for len(rec.Fields) < maxFields {
		line, err := r.line(&budget)
		if err != nil {
			return nil, r.damage(rec.Offset, "header ends early: %v", err)
		}
		if line == "" {
			return rec, r.length(rec)
		}
		r.field(rec, line)
	}
	return nil, r.damage(rec.Offset, "header has more than %d fields", maxFields)
}

func (r *Reader) field(rec *Record, line string) {
	if line[0] == ' ' || line[0] == '\t' {
		if r.folds++; r.folds > maxFolds {
			if r.folds == maxFolds+1 {
				r.report(rec.Offset, rec.ID(), fmt.Sprintf("header has more than %d continued lines", maxFolds))
			}
			return
		}
		if n := len(rec.Fields); n > 0 {
			f := &rec.Fields[n-1]
			f.Value = strings.TrimSpace(f.Value + " " + strings.TrimSpace(line))
			return
		}
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok || name == "" || strings.ContainsAny(name, " \t") {
		r.report(rec.Offset, rec.ID(), fmt.Sprintf("header line %.80q is no named field", line))
		return
	}
	rec.Fields = append(rec.Fields, Field{name, strings.TrimSpace(value)})
}

func (r *Reader) length(rec *Record) error {
	v := rec.Get("Content-Length")
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 || v[0] == '+' {
		return r.damage(rec.Offset, "Content-Length is %.40q", v)
	}
	rec.Length = n
	return nil
}

var errLongHeader = errors.New("header is longer than 1 MiB")

// line reads up to LF and drops the line end.
func (r *Reader) line(budget *int) (string, error) {
	var long []byte
	for {
		part, err := r.body.ReadSlice('\n')
		if *budget -= len(part); *budget < 0 {
			return "", errLongHeader
		}
		if err == bufio.ErrBufferFull {
			long = append(long, part...)
			continue
		}
		if err != nil {
			if err == io.EOF && len(long)+len(part) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return "", err
		}
		if long != nil {
			part = append(long, part...)
		}
		s, crlf := bytes.CutSuffix(part, []byte("\r\n"))
		if !crlf {
			r.report(r.start, "", "header line ends in LF, not CR LF")
			s = bytes.TrimSuffix(part, []byte("\n"))
		}
		return string(s), nil
	}
}

// blockReader gives a block's bytes and knows when they were too few.
type blockReader struct {
	r    *bufio.Reader
	left int64
	err  error
}

func (b *blockReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if b.left > 0 {
		b.err = err
	} else {
		err = nil
	}
	return n, err
}

// finish drains the current record and checks what follows its block: two
// line ends, and in a compressed file the end of the member.
func (r *Reader) finish() error {
	rec := r.cur
	if rec == nil {
		return nil
	}
	r.cur = nil
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	if _, err := io.CopyBuffer(writerOnly{io.Discard}, r.left, *buf); err != nil || r.left.left > 0 {
		return r.damage(rec.Offset, "block has %d bytes of %d: %v", rec.Length-r.left.left, rec.Length, err)
	}
	if end, err := r.body.Peek(4); string(end) != "\r\n\r\n" {
		if err != nil && err != io.EOF {
			return r.damage(rec.Offset, "after the block: %v", err)
		}
		return r.badEnd(rec, end)
	}
	r.body.Discard(4)
	return r.endMember(rec)
}

type writerOnly struct{ io.Writer }

// badEnd: the length of the block is wrong, or its line ends are missing. In a
// compressed file the next member still says where the next record begins.
func (r *Reader) badEnd(rec *Record, end []byte) error {
	r.report(rec.Offset, rec.ID(), fmt.Sprintf("block of %d bytes is not followed by two line ends but by %q", rec.Length, end))
	if r.compressed {
		if _, err := io.Copy(io.Discard, r.body); err != nil {
			return r.damage(rec.Offset, "gzip member: %v", err)
		}
		r.inMember = false
		return nil
	}
	for len(end) > 0 && (end[0] == '\r' || end[0] == '\n') {
		r.body.Discard(1)
		end, _ = r.body.Peek(1)
	}
	if end, _ = r.body.Peek(5); len(end) == 0 || string(end) == "WARC/" {
		return nil
	}
	return r.damage(r.in.offset(), "no record begins here")
}

func (r *Reader) endMember(rec *Record) error {
	if !r.compressed {
		return nil
	}
	_, err := r.body.Peek(1)
	if err == io.EOF { // checksum and length were right
		r.inMember = false
		return nil
	}
	if err != nil {
		return r.damage(rec.Offset, "gzip member: %v", err)
	}
	if !r.crowded {
		r.crowded = true
		r.report(rec.Offset, rec.ID(), "gzip member holds more than one record")
	}
	return nil
}
