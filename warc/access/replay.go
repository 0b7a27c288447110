package access

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// replay answers a capture as it was answered. What is asked for at a time when there
// was none leads to the nearest.
func (v *visit) replay(at, mod, rest string) error {
	uri, err := target(rest)
	if err != nil {
		return err
	}
	when, err := ParseTime(at)
	if err != nil {
		return err
	}
	x, ok, err := v.c.Closest(v.ctx(), uri, when)
	if err != nil {
		return err
	}
	if !ok {
		return notCaptured(uri)
	}
	if exact := x.Time.UTC().Format(stamp); exact != at && len(at) != 17 {
		v.w.Header().Set("Location", v.base+exact+mod+"/"+x.URL)
		v.w.Header().Set("Access-Control-Allow-Origin", "*")
		v.w.WriteHeader(http.StatusFound)
		return nil
	}
	return v.show(x, mod)
}

// show answers with a capture.
func (v *visit) show(x Capture, mod string) error {
	c, err := v.c.Open(v.ctx(), x)
	if err != nil {
		return err
	}
	body, size, coded, err := v.coding(c)
	if err != nil {
		return errors.Join(err, c.Close())
	}
	h := v.w.Header()
	v.oldHead(h, c, mod)
	v.mementoHead(h, x)
	if coded {
		h.Set("Content-Encoding", c.Get("Content-Encoding"))
	}
	h.Add("Vary", "Accept-Encoding")
	err = v.send(c.Status, body, size)
	return errors.Join(ignore(err), ignore(c.Close()))
}

// coding is the body as the client takes it: with its content coding, or without.
func (v *visit) coding(c *Content) (body io.Reader, size int64, coded bool, err error) {
	enc := c.Get("Content-Encoding")
	if enc == "" || strings.EqualFold(enc, "identity") {
		return c.Body, c.Size, false, nil
	}
	if v.r.Header.Get("Range") == "" && acceptsCoding(v.r, enc) {
		return c.Body, c.Size, true, nil
	}
	body, err = decoded(c.Body, enc)
	if err != nil { // what cannot be undone is given as it is
		return c.Body, c.Size, true, nil
	}
	return body, -1, false, nil
}

// pastOnly are fields that would be about this answer, not about the one that was
// recorded: how it came, who may use it, what a browser remembers of it.
var pastOnly = map[string]bool{
	"connection": true, "keep-alive": true, "proxy-authenticate": true, "te": true, "trailer": true, "transfer-encoding": true, "upgrade": true,
	"content-length": true, "content-encoding": true, "set-cookie": true, "set-cookie2": true, "clear-site-data": true, "strict-transport-security": true,
	"public-key-pins": true, "public-key-pins-report-only": true, "content-security-policy": true, "content-security-policy-report-only": true,
	"report-to": true, "nel": true, "reporting-endpoints": true, "alt-svc": true, "link": true, "refresh": true, "x-frame-options": true, "date": true,
	"server-timing": true, "location": true, "content-location": true, "service-worker-allowed": true, "access-control-allow-origin": true,
	"cross-origin-opener-policy": true, "cross-origin-embedder-policy": true, "cross-origin-resource-policy": true, "vary": true, "www-authenticate": true,
	"accept-ranges": true, "content-range": true, "memento-datetime": true, "x-content-type-options": true, "referrer-policy": true, "x-resume-key": true,
}

// oldHead repeats the head that was recorded. What would act on this answer is called
// X-Archive-Orig-..., as the Wayback Machine and pywb do.
func (v *visit) oldHead(h http.Header, c *Content, mod string) {
	for _, f := range c.Head {
		name := strings.ToLower(f.Name)
		switch {
		case name == "location":
			v.oldLocation(h, c.Capture, f.Value, mod)
		case pastOnly[name]:
			h.Add("X-Archive-Orig-"+f.Name, f.Value)
		default:
			h.Add(f.Name, f.Value)
		}
	}
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
	h.Set("Location", v.base+x.Time.UTC().Format(stamp)+mod+"/"+u.String())
}

// mementoHead says what the answer is (RFC 7089, 2.1), and keeps it from acting as a
// page of this server: it has an origin of its own, and loads nothing from elsewhere.
func (v *visit) mementoHead(h http.Header, x Capture) {
	h.Set("Memento-Datetime", x.Time.UTC().Format(http.TimeFormat))
	h.Set("Link", links{}.add(x.URL, "original", "").add(v.uriG(x.URL), "timegate", "").add(v.uriT("link", x.URL), "timemap", linkFormat).
		memento(v.uriM(x), "memento", x.Time).String())
	h.Set("Content-Security-Policy", "sandbox; default-src 'self' data: 'unsafe-inline'; form-action 'none'; base-uri 'none'")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "*")
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/octet-stream")
	}
}

// mostRanged bounds what is held of a body whose length is not known, to answer a
// range of it.
const mostRanged = 32 << 20

// send writes a body, or the range of it that was asked for.
func (v *visit) send(status int, body io.Reader, size int64) error {
	h := v.w.Header()
	spec := v.r.Header.Get("Range")
	if spec != "" && status == http.StatusOK && size < 0 {
		b, err := io.ReadAll(io.LimitReader(body, mostRanged+1))
		if err == nil && len(b) <= mostRanged {
			size = int64(len(b))
		}
		body = io.MultiReader(strings.NewReader(string(b)), body)
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
				return err
			}
			h.Set("Content-Range", "bytes "+strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(from+n-1, 10)+"/"+strconv.FormatInt(size, 10))
			status, size, body = http.StatusPartialContent, n, io.LimitReader(body, n)
		}
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
// whole is meant: no range, several, or one that is no range.
func parseRange(spec string, size int64) (from, n int64, err error) {
	set, ok := strings.CutPrefix(strings.ReplaceAll(spec, " ", ""), "bytes=")
	a, b, dash := strings.Cut(set, "-")
	if !ok || !dash || strings.Contains(set, ",") {
		return -1, 0, nil
	}
	if a == "" {
		n, bad := strconv.ParseInt(b, 10, 64)
		if bad != nil {
			return -1, 0, nil
		}
		if n == 0 || size == 0 {
			return 0, 0, salvor.Errorf(salvor.Invalid, "range %q", spec)
		}
		n = min(n, size)
		return size - n, n, nil
	}
	from, bad := strconv.ParseInt(a, 10, 64)
	if bad != nil {
		return -1, 0, nil
	}
	last := size - 1
	if b != "" {
		to, bad := strconv.ParseInt(b, 10, 64)
		if bad != nil || to < from {
			return -1, 0, nil
		}
		last = min(last, to)
	}
	if from >= size {
		return 0, 0, salvor.Errorf(salvor.Invalid, "range %q", spec)
	}
	return from, last - from + 1, nil
}

// file answers a WARC file, or a range of it.
func (v *visit) file(name string) error {
	name, err := url.PathUnescape(name)
	if err != nil {
		return salvor.Errorf(salvor.NotFound, "there is no WARC file %.80q", name)
	}
	p, err := v.c.place(v.ctx(), name)
	if err != nil {
		return err
	}
	from, n, err := parseRange(v.r.Header.Get("Range"), p.bytes)
	h := v.w.Header()
	h.Set("Accept-Ranges", "bytes")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "Content-Range, Content-Length, Accept-Ranges")
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
	_, err := io.Copy(v.w, r)
	return ignore(err)
}
