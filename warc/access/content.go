package access

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"

	"salvor"
	"salvor/warc"
	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

// Content is what a capture holds, as it was answered.
type Content struct {
	Capture  Capture
	Record   []warc.Field // of the record's header
	Original *Capture     // whose payload it is; nil: its own
	Status   int          // 200 of records that are no HTTP message
	Head     []warc.Field // of the answer, in its order
	// Body is the answer's body without transfer coding, with its content coding.
	Body io.Reader
	Size int64 // of Body; below 0 it is not known
	HTTP bool

	closers []io.Closer
}

// Close ends the reading.
func (c *Content) Close() error {
	var errs []error
	for _, x := range c.closers {
		errs = append(errs, x.Close())
	}
	return errors.Join(errs...)
}

// Get is the first value of a field of the answer's head.
func (c *Content) Get(name string) string { return get(c.Head, name) }

func get(fields []warc.Field, name string) string {
	for _, f := range fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

const (
	// mostHead bounds the head of an answer that is read, and mostFolds how many of its
	// lines go on with the one before.
	mostHead  = 1 << 20
	mostFolds = 1000
)

// Open reads a capture. The payload of a revisit is that of the record it refers to.
func (c *Collection) Open(ctx context.Context, x Capture) (*Content, error) {
	out, err := c.open(ctx, x)
	if err != nil {
		return nil, err
	}
	if !x.IsRevisit() && !strings.EqualFold(get(out.Record, "WARC-Type"), "revisit") {
		return out, nil
	}
	if err := c.resolve(ctx, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	return out, nil
}

// open reads a record.
func (c *Collection) open(ctx context.Context, x Capture) (*Content, error) {
	r, _, err := c.OpenSegment(ctx, x.Filename, x.Offset, cmpLength(x.Length))
	if err != nil && salvor.ClassOf(err) == salvor.Invalid {
		return nil, damaged(x, err)
	}
	if err != nil {
		return nil, err
	}
	out := &Content{Capture: x, Status: 200, Size: -1, closers: []io.Closer{r}}
	rec, err := warc.NewReader(r, x.Offset, nil).Next()
	if err == nil {
		out.Record = rec.Fields
		err = out.head(rec)
	}
	if err != nil {
		return nil, errors.Join(salvor.Errorf(salvor.Internal, "read the record at byte %d of %s: %w", x.Offset, x.Filename, err).
			WithHint("salvor verify says what else is damaged"), out.Close())
	}
	return out, nil
}

// cmpLength is how much to read for a record of a length; an index that does not
// know it has 0.
func cmpLength(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

// head reads what stands before the body.
func (c *Content) head(rec *warc.Record) error {
	kind, _, _ := strings.Cut(rec.Get("Content-Type"), ";")
	br := bufio.NewReaderSize(rec.Block, 32<<10)
	c.Body, c.Size = br, rec.Length
	if !strings.EqualFold(strings.TrimSpace(kind), "application/http") {
		c.Head = []warc.Field{{Name: "Content-Type", Value: rec.Get("Content-Type")}}
		return nil
	}
	if rec.Length == 0 {
		return nil
	}
	c.HTTP = true
	budget, folds := mostHead, 0
	err := c.statusLine(br, &budget)
	for err == nil {
		var line string
		if line, err = headLine(br, &budget); err != nil {
			break
		}
		if line == "" {
			c.Size = rec.Length - int64(mostHead-budget)
			c.unchunk(br)
			return nil
		}
		if line[0] == ' ' || line[0] == '\t' {
			folds++
		}
		if folds <= mostFolds {
			c.field(line)
		}
	}
	if err == io.EOF { // a head without a body, as revisits have it
		c.Body, c.Size = strings.NewReader(""), 0
		return nil
	}
	return err
}

// headLine reads a line within what is left of a head.
func headLine(br *bufio.Reader, budget *int) (string, error) {
	var long []byte
	for {
		part, err := br.ReadSlice('\n')
		if *budget -= len(part); *budget < 0 {
			return "", salvor.Errorf(salvor.Invalid, "the answer's head is longer than %d bytes", mostHead)
		}
		if err == nil && long == nil {
			return strings.TrimRight(string(part), "\r\n"), nil
		}
		if long = append(long, part...); err == nil {
			return strings.TrimRight(string(long), "\r\n"), nil
		}
		if err != bufio.ErrBufferFull {
			return string(long), err
		}
	}
}

func (c *Content) statusLine(br *bufio.Reader, budget *int) error {
	line, err := headLine(br, budget)
	if err != nil && err != io.EOF {
		return err
	}
	_, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	if c.Status, err = strconv.Atoi(code); err != nil || c.Status < 100 || c.Status > 999 {
		return salvor.Errorf(salvor.Invalid, "%.60q is no status line", line)
	}
	return nil
}

func (c *Content) field(line string) {
	if n := len(c.Head); n > 0 && (line[0] == ' ' || line[0] == '\t') {
		c.Head[n-1].Value += " " + strings.TrimSpace(line)
		return
	}
	if name, value, ok := strings.Cut(line, ":"); ok {
		c.Head = append(c.Head, warc.Field{Name: strings.TrimSpace(name), Value: strings.TrimSpace(value)})
	}
}

// unchunk takes the transfer coding off. Some archives say chunked of what is not.
func (c *Content) unchunk(br *bufio.Reader) {
	if !strings.Contains(strings.ToLower(c.Get("Transfer-Encoding")), "chunked") {
		return
	}
	start, _ := br.Peek(18)
	line, _, ok := strings.Cut(string(start), "\n")
	size, _, _ := strings.Cut(strings.TrimRight(line, "\r"), ";")
	if _, err := strconv.ParseUint(strings.TrimSpace(size), 16, 64); err != nil || !ok && len(start) == 18 && !strings.Contains(line, ";") {
		return
	}
	c.Body, c.Size = httputil.NewChunkedReader(br), -1
}

// resolve takes a revisit's payload from the record it refers to: by its URL and
// date, as pywb does, or else by its digest.
func (c *Collection) resolve(ctx context.Context, x *Content) error {
	url, date := get(x.Record, "WARC-Refers-To-Target-URI"), get(x.Record, "WARC-Refers-To-Date")
	if url == "" {
		url = x.Capture.URL
	}
	o, ok, err := c.original(ctx, url, date, x.Capture.Digest)
	if err != nil {
		return err
	}
	if !ok {
		return salvor.Errorf(salvor.NotFound, "the capture of %s at %s is a revisit, and what it refers to, %s at %s, is not here", x.Capture.URL, x.Capture.Timestamp, url, date).
			WithHint("add the WARC file that has it: all files of an archive belong together")
	}
	src, err := c.open(ctx, o)
	if err != nil {
		return err
	}
	x.closers = append(x.closers, src)
	x.Original, x.Body, x.Size = &o, src.Body, src.Size
	if len(x.Head) == 0 {
		x.Head, x.Status, x.HTTP = src.Head, src.Status, src.HTTP
		return nil
	}
	// How the payload is coded is said where it is.
	for _, name := range []string{"Content-Encoding", "Transfer-Encoding"} {
		x.Head = withField(x.Head, name, src.Get(name))
	}
	if x.Status == 304 {
		x.Status = src.Status
	}
	return nil
}

func withField(fields []warc.Field, name, value string) (out []warc.Field) {
	for _, f := range fields {
		if !strings.EqualFold(f.Name, name) {
			out = append(out, f)
		}
	}
	if value != "" {
		out = append(out, warc.Field{Name: name, Value: value})
	}
	return out
}

// original finds the capture of a URL that has a payload: of that date, or with that
// digest.
func (c *Collection) original(ctx context.Context, url, date, digest string) (best Capture, ok bool, err error) {
	at := dateStamp(date)
	score := 0
	err = c.Index.Scan(ctx, exactSpan(cdx.SURT(url)), func(e *index.Entry) bool {
		x, good := capture(e)
		if !good || x.IsRevisit() || digest != "" && x.Digest != "" && x.Digest != digest {
			return true
		}
		n := 0
		if digest != "" && x.Digest == digest {
			n += 4
		}
		if at != "" && x.Timestamp == at {
			n += 2
		}
		if n > 0 && x.URL == url {
			n++
		}
		if n > score {
			best, ok, score = x, true, n
		}
		return score < 7
	})
	return best, ok, err
}

// dateStamp is a WARC-Date in 14 digits.
func dateStamp(date string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, date)
	if len(digits) < 14 {
		return ""
	}
	return digits[:14]
}
