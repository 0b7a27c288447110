package access

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// replay answers a capture as it was answered. What is asked for at a time when there
// was none leads to the nearest, and another writing of an address to the one that was
// captured.
func (v *visit) replay(at, mod, rest string) error {
	uri, err := target(rest)
	if err != nil {
		return err
	}
	when, err := ParseTime(at)
	if err != nil {
		return err
	}
	x, ok, err := v.closest(uri, when)
	if err != nil {
		return err
	}
	if !ok {
		return notCaptured(uri)
	}
	if exact := x.Time.UTC().Format(stamp); exact != at || another(uri, x.URL) {
		v.w.Header().Set("Location", v.base+exact+mod+"/"+percented(x.URL))
		v.cors()
		v.w.WriteHeader(http.StatusFound)
		return nil
	}
	return v.show(x, mod)
}

// another says whether a capture is of another address than was asked for, and would be
// known as itself: else leading to it would lead here again.
func another(uri, captured string) bool {
	return !sameURL(uri)(captured) && !sameURL(unpercented(uri))(captured) && sameURL(captured)(captured)
}

// closest is Collection.Closest of a URL as it stands in a path, where a % that
// escapes nothing is written %25.
func (v *visit) closest(uri string, at time.Time) (Capture, bool, error) {
	x, ok, err := v.c.Closest(v.ctx(), uri, at)
	if raw := unpercented(uri); err == nil && !ok && raw != uri {
		return v.c.Closest(v.ctx(), raw, at)
	}
	return x, ok, err
}

// cors lets pages of another origin read the answer, where the operator named one.
func (v *visit) cors() {
	if v.s.Origin != "" {
		v.w.Header().Set("Access-Control-Allow-Origin", v.s.Origin)
		v.w.Header().Set("Access-Control-Expose-Headers", "*")
	}
}

// show answers with a capture. One that cannot be read to its end breaks off: half an
// answer must not look whole.
func (v *visit) show(x Capture, mod string) error {
	c, err := v.c.Open(v.ctx(), x)
	if err != nil {
		return err
	}
	defer c.Close()
	body, size, coded := v.coding(c)
	h := v.w.Header()
	v.oldHead(h, c, mod)
	v.mementoHead(h, x)
	if coded {
		h.Set("Content-Encoding", oneLine(c.Get("Content-Encoding")))
	}
	h.Add("Vary", "Accept-Encoding")
	return v.send(c, body, size)
}

// coding is the body as the client takes it: with its content coding, or without.
func (v *visit) coding(c *Content) (body io.Reader, size int64, coded bool) {
	enc := c.Get("Content-Encoding")
	if enc == "" || strings.EqualFold(enc, "identity") {
		return c.Body, c.Size, false
	}
	if v.r.Header.Get("Range") == "" && acceptsCoding(v.r, enc) {
		return c.Body, c.Size, true
	}
	body, err := decoded(c.Body, enc)
	if err != nil { // what cannot be undone is given as it is
		return c.Body, c.Size, true
	}
	return body, -1, false
}

// repeated are the fields of the old answer that say what its body is. All others could
// act on this answer, on a proxy or on a browser: they are called X-Archive-Orig-..., as
// the Wayback Machine and pywb call them.
var repeated = map[string]bool{"content-type": true, "content-language": true, "content-disposition": true, "last-modified": true}

// oldHead repeats the head that was recorded.
func (v *visit) oldHead(h http.Header, c *Content, mod string) {
	for _, f := range c.Head {
		name, value := strings.ToLower(f.Name), oneLine(f.Value)
		switch {
		case name == "location":
			v.oldLocation(h, c.Capture, value, mod)
		case repeated[name] && h.Get(name) == "":
			h.Set(f.Name, value)
		default:
			h.Add("X-Archive-Orig-"+f.Name, value)
		}
	}
}

// oneLine is a value without control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// oldLocation leads to the capture of where the answer led to.
func (v *visit) oldLocation(h http.Header, x Capture, to, mod string) {
	h.Add("X-Archive-Orig-Location", to)
	base, err := url.Parse(x.URL)
	if err != nil {
		return
	}
	u, err := base.Parse(to)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return
	}
	h.Set("Location", v.base+x.Time.UTC().Format(stamp)+mod+"/"+percented(u.String()))
}

// mementoHead says what the answer is (RFC 7089, 2.1), and keeps it from acting as a
// page of this server: it has an origin of its own, and loads nothing from elsewhere.
func (v *visit) mementoHead(h http.Header, x Capture) {
	h.Set("Memento-Datetime", x.Time.UTC().Format(http.TimeFormat))
	h.Set("Link", links{}.add(x.URL, "original", "").add(v.uriG(x.URL), "timegate", "").add(v.uriT("link", x.URL), "timemap", linkFormat).
		memento(v.uriM(x), "memento", x.Time).String())
	h.Set("Content-Security-Policy", "sandbox; default-src 'self' data: 'unsafe-inline'; form-action 'none'; base-uri 'none'")
	v.cors()
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/octet-stream")
	}
}

const (
	// mostRanged bounds what is held of a body whose length is not known, to answer a
	// range of it, and rangedAtOnce how many are.
	mostRanged   = 8 << 20
	rangedAtOnce = 4
)

var ranged = make(chan struct{}, rangedAtOnce)

// measured is a body whose length is known then, if it is no larger than mostRanged.
func (v *visit) measured(body io.Reader) (io.Reader, int64, func()) {
	select {
	case ranged <- struct{}{}:
	case <-v.ctx().Done():
		return body, -1, func() {}
	}
	done := func() { <-ranged }
	var b bytes.Buffer
	n, err := io.CopyN(&b, body, mostRanged+1)
	if err == io.EOF {
		return &b, n, done
	}
	return io.MultiReader(&b, body), -1, done
}

// send writes a body, or the range of it that was asked for. An error is of a body that
// ends before anything was sent; later ones break the answer off.
func (v *visit) send(c *Content, body io.Reader, size int64) error {
	h, status := v.w.Header(), c.Status
	spec := v.r.Header.Get("Range")
	if v.r.Header.Get("If-Range") != "" {
		spec = "" // of what it names nothing is known
	}
	if spec != "" && status == http.StatusOK && size < 0 {
		var done func()
		body, size, done = v.measured(body)
		defer done()
	}
	if size >= 0 && status == http.StatusOK {
		h.Set("Accept-Ranges", "bytes")
		from, n, err := parseRange(spec, size)
		if err != nil {
			h.Set("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
			v.w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return nil
		}
		if from >= 0 {
			if _, err := io.CopyN(io.Discard, body, from); err != nil {
				return salvor.Errorf(salvor.Internal, "the capture of %.300s ends before byte %d: %w", c.Capture.URL, from, err)
			}
			h.Set("Content-Range", "bytes "+strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(from+n-1, 10)+"/"+strconv.FormatInt(size, 10))
			status, size, body = http.StatusPartialContent, n, io.LimitReader(body, n)
		}
	} else if status == http.StatusPartialContent { // recorded so
		h.Set("Content-Range", oneLine(c.Get("Content-Range")))
	}
	if size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	if status < 200 || status == http.StatusNotModified {
		status = http.StatusOK // of an answer that may have no body, and one is here
	}
	v.w.WriteHeader(status)
	return v.copyOut(body)
}

// parseRange reads a Range of one part (RFC 9110, 14.1.2); from is below 0 where the
// whole is meant: no range, several, or one that is no range. Its error is a range that
// the body has nothing of.
func parseRange(spec string, size int64) (from, n int64, err error) {
	set, ok := strings.CutPrefix(strings.ReplaceAll(spec, " ", ""), "bytes=")
	a, b, dash := strings.Cut(set, "-")
	if !ok || !dash || a == "" && b == "" || strings.Trim(a+b, "0123456789") != "" {
		return -1, 0, nil
	}
	none := salvor.Errorf(salvor.Invalid, "range %.40q", spec)
	if a == "" {
		if n = min(number(b), size); n == 0 {
			return 0, 0, none
		}
		return size - n, n, nil
	}
	from, last := number(a), size-1
	if b != "" {
		if number(b) < from {
			return -1, 0, nil
		}
		last = min(last, number(b))
	}
	if from >= size {
		return 0, 0, none
	}
	return from, last - from + 1, nil
}

// number reads digits; what is too large for an int64 is the largest.
func number(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64) // of digits only, so that an error is a range error
	return n
}

// file answers a WARC file, or a range of it.
func (v *visit) file(name string) error {
	name, err := url.PathUnescape(name)
	if err != nil {
		return salvor.Errorf(salvor.NotFound, "there is no WARC file %.80q", name)
	}
	v.c.places.lost(name) // its size is told: it is looked at anew
	p, err := v.c.place(v.ctx(), name)
	if err != nil {
		return err
	}
	from, n, err := parseRange(v.r.Header.Get("Range"), p.bytes)
	h := v.w.Header()
	h.Set("Accept-Ranges", "bytes")
	v.cors()
	if err != nil {
		h.Set("Content-Range", "bytes */"+strconv.FormatInt(p.bytes, 10))
		v.w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
		return nil
	}
	status := http.StatusOK
	if from >= 0 {
		status = http.StatusPartialContent
		h.Set("Content-Range", "bytes "+strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(from+n-1, 10)+"/"+strconv.FormatInt(p.bytes, 10))
	} else {
		from, n = 0, p.bytes
	}
	r, _, err := v.c.OpenSegment(v.ctx(), name, from, n)
	if err != nil {
		return err
	}
	defer r.Close()
	h.Set("Content-Type", "application/warc")
	h.Set("Content-Length", strconv.FormatInt(n, 10))
	h.Set("Content-Disposition", `attachment; filename="`+strings.ReplaceAll(name, `"`, "")+`"`)
	h.Set("Last-Modified", time.Unix(0, 0).UTC().Format(http.TimeFormat)) // segments never change
	v.w.WriteHeader(status)
	return v.copyOut(r)
}

// copyOut writes a body; who only wants the head gets that.
func (v *visit) copyOut(r io.Reader) error {
	if v.r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(v.w, r); err != nil {
		panic(http.ErrAbortHandler) // whoever reads must see that it is not whole
	}
	return nil
}
