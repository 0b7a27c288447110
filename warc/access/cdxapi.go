package access

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/klauspost/compress/gzip"

	"salvor"
)

// dialect is whose parameters a request has, where they differ.
type dialect int

const (
	pywb dialect = iota // and OutbackCDX
	wayback
)

// cdx answers the CDX server API: docs/researchers.md lists the parameters.
func (v *visit) cdx(raw string, d dialect) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "the query %.80q cannot be read: %w", raw, err)
	}
	q, err := parseQuery(values, d)
	if err != nil {
		return err
	}
	if values.Get("showNumPages") == "true" {
		return v.pages(q, d)
	}
	out, err := newLineWriter(values, d)
	if err != nil {
		return err
	}
	return v.stream(q, out, values.Get("gzip") != "false", values.Get("showResumeKey") == "true")
}

// stream answers line by line.
func (v *visit) stream(q *Query, out *lineWriter, mayZip, showResume bool) error {
	h := v.w.Header()
	sink := &response{w: v.w}
	var to io.Writer = sink
	var gz *gzip.Writer
	if mayZip && acceptsCoding(v.r, "gzip") {
		gz, _ = gzip.NewWriterLevel(sink, gzip.BestSpeed)
		to = gz
	}
	sink.start = func() {
		h.Set("Content-Type", out.contentType())
		h.Set("Trailer", "X-Resume-Key")
		if h.Add("Vary", "Accept-Encoding"); gz != nil {
			h.Set("Content-Encoding", "gzip")
		}
	}
	bw := bufio.NewWriterSize(to, 64<<10)
	out.begin(bw)
	a, err := v.c.Find(v.ctx(), q, func(x *Found) bool { return out.line(bw, x) == nil })
	if err != nil {
		if sink.begun {
			panic(http.ErrAbortHandler) // half an answer must not look whole
		}
		return err
	}
	out.end(bw, a, showResume)
	if bw.Flush() != nil {
		return nil // nobody reads it any more
	}
	if gz != nil {
		_ = gz.Close()
	}
	_, _ = sink.Write(nil)
	if a.Resume != "" {
		h.Set("X-Resume-Key", a.Resume)
	}
	return nil
}

// response sets its header when the first byte is written, so that an error before
// that can still be answered.
type response struct {
	w     http.ResponseWriter
	start func()
	begun bool
}

func (r *response) Write(b []byte) (int, error) {
	if !r.begun {
		r.begun = true
		r.start()
	}
	return r.w.Write(b)
}

// acceptsCoding says whether a client takes a content coding.
func acceptsCoding(r *http.Request, coding string) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.EqualFold(strings.TrimSpace(name), coding) {
			q := strings.ReplaceAll(params, " ", "")
			return q != "q=0" && q != "q=0.0" && q != "q=0.00" && q != "q=0.000"
		}
	}
	return false
}

// pages says how many pages an answer has.
func (v *visit) pages(q *Query, d dialect) error {
	n, err := v.c.blocks(v.ctx(), q)
	if err != nil {
		return err
	}
	size := max(q.PageBlocks, pageBlocks)
	if q.PageBlocks > 0 {
		size = q.PageBlocks
	}
	pages := (n + size - 1) / size
	if d == wayback {
		v.w.Header().Set("Content-Type", "text/plain")
		_, err = fmt.Fprintln(v.w, pages)
	} else {
		v.w.Header().Set("Content-Type", "application/json")
		_, err = fmt.Fprintf(v.w, `{"blocks": %d, "pages": %d, "pageSize": %d}`+"\n", n, pages, size)
	}
	return ignore(err)
}

// ignore is for what fails only because nobody reads it any more.
func ignore(error) error { return nil }
