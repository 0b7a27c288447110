package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/gocolly/colly/v2"
	"golang.org/x/net/html/charset"
)

// Driver drives fetches through a colly collector of its own, so that the
// OnHTML and OnXML callbacks of recipes can hang on a fetch. colly is only the
// plumbing: what is asked for, and what is recorded, is the Client's. One
// goroutine uses it.
//
// Callbacks are registered on the embedded Collector before the first Drive.
type Driver struct {
	*colly.Collector

	// Parse decides whether colly is handed the body of a capture, decoded and
	// in UTF-8. A DOM costs ten times the link scanner, so the zero value
	// hands over none.
	Parse func(*Capture) bool

	client     *Client
	onResponse func(*Capture, *colly.Response)
	task       *task
}

// task is the fetch that is under way.
type task struct {
	ctx     context.Context
	request Request
	capture *Capture
	err     error
	asked   bool // the transport was called: colly could carry the URL
}

// NewDriver makes a Driver.
func (c *Client) NewDriver() *Driver {
	d := &Driver{client: c}
	d.Collector = colly.NewCollector()
	plumb(d.Collector)
	d.WithTransport(d)
	d.OnResponse(func(r *colly.Response) { d.respond(r) })
	return d
}

// plumb takes all policy out of a collector. It sets what NewCollector may
// have taken from COLLY_ environment variables too.
func plumb(c *colly.Collector) {
	c.AllowedDomains, c.DisallowedDomains = nil, nil
	c.DisallowedURLFilters, c.URLFilters = nil, nil
	c.AllowURLRevisit = true
	c.IgnoreRobotsTxt = true
	c.ParseHTTPErrorResponse = true
	c.MaxBodySize, c.MaxDepth, c.MaxRequests = 0, 0, 0
	c.CacheDir = ""
	c.Async, c.DetectCharset, c.TraceHTTP, c.CheckHead = false, false, false, false
	c.UserAgent, c.Headers = "", nil
	c.DisableCookies()
	c.SetRequestTimeout(0)
}

// Drive fetches r and calls onResponse, once, with the capture, which the
// callee then owns, and with colly's response, which is nil where colly cannot
// carry the URL. Then the other callbacks run. The error, if it is an *Error,
// says that there was no capture; any other is a callback's, after onResponse.
func (d *Driver) Drive(ctx context.Context, r Request, onResponse func(*Capture, *colly.Response)) error {
	t := &task{ctx: ctx, request: r}
	d.task, d.onResponse = t, onResponse
	defer func() { d.task, d.onResponse = nil, nil }()
	d.Context = ctx
	err := d.Request(method(&r), r.URL, body(r.Body), colly.NewContext(), http.Header{"User-Agent": nil})
	switch {
	case t.err != nil:
		return t.err
	case !t.asked:
		t.capture, t.err = d.client.Fetch(ctx, r)
		if t.err == nil {
			d.respond(nil)
		}
		return t.err
	case t.capture != nil: // colly gave up between transport and OnResponse
		d.respond(nil)
	}
	return err
}

func body(b []byte) io.Reader {
	if len(b) == 0 {
		return nil
	}
	return bytes.NewReader(b)
}

// respond hands the capture over.
func (d *Driver) respond(r *colly.Response) {
	c := d.task.capture
	d.task.capture = nil
	if c != nil {
		d.onResponse(c, r)
	}
}

// RoundTrip implements http.RoundTripper for colly. It takes the request from
// the task, because colly's own was through net/url.
func (d *Driver) RoundTrip(req *http.Request) (*http.Response, error) {
	t := d.task
	if t == nil {
		return nil, errors.New("request outside of Drive")
	}
	if t.asked {
		return nil, errors.New("one task is one request")
	}
	t.asked = true
	if t.capture, t.err = d.client.Fetch(t.ctx, t.request); t.err != nil {
		return nil, t.err
	}
	return d.synthetic(req, t.capture), nil
}

// synthetic is what colly sees: no Location, so that net/http follows
// nothing; no coding and no length, because the body is decoded; no cookie.
func (d *Driver) synthetic(req *http.Request, c *Capture) *http.Response {
	res := &http.Response{
		StatusCode: c.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, len(c.Header)), Request: req,
		Body: http.NoBody, ContentLength: -1, Uncompressed: true,
	}
	if c.Status < 100 {
		res.StatusCode = http.StatusOK
	}
	for _, f := range c.Header {
		if !stripped(f.Name) {
			res.Header.Add(f.Name, f.Value)
		}
	}
	if d.Parse == nil || c.ViewType == "" || !d.Parse(c) {
		return res
	}
	res.Header.Set("Content-Type", c.ViewType+"; charset=utf-8")
	res.Body = io.NopCloser(utf8Reader(c))
	return res
}

func stripped(name string) bool {
	for _, n := range [...]string{"Location", "Content-Encoding", "Transfer-Encoding", "Content-Length", "Set-Cookie"} {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// utf8Reader is the view in UTF-8: by byte order mark, header, or what the
// page itself says in its first kilobyte (WHATWG HTML 13.2.3.2).
func utf8Reader(c *Capture) io.Reader {
	view := c.View()
	enc, name, _ := charset.DetermineEncoding(view[:min(len(view), 1024)], "text/html; charset="+c.ViewCharset)
	if name == "utf-8" || enc == nil {
		return bytes.NewReader(bytes.TrimPrefix(view, []byte("\xef\xbb\xbf")))
	}
	return enc.NewDecoder().Reader(bytes.NewReader(view))
}
