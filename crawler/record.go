package crawler

import (
	"context"
	"strconv"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/canon"
	"salvor/crawler/crawllog"
	"salvor/crawler/extract"
	"salvor/crawler/fetch"
	"salvor/crawler/scope"
	"salvor/warc"
)

// warcExchange is a capture as the records have it.
func (w *Worker) warcExchange(x task, c *fetch.Capture, h harvest, title string) *warc.Exchange {
	e := &warc.Exchange{
		URL: c.URL, Method: c.Method, Begin: c.Begin, Duration: c.Duration,
		Request: c.Request, Response: c.Block, HeadLen: c.HeadLen, Status: c.Status,
		Chunked: c.Framing == fetch.Chunked, HasPayload: c.HasPayload() && c.PayloadLen > 0, PayloadDigest: c.PayloadSHA1,
		BlockDigest: c.BlockSHA256, Type: c.Type, Truncated: c.Truncated, Protocol: c.Protocol, Cipher: c.Cipher,
		Metadata: &warc.Metadata{
			Via: x.Via, Path: x.Hop.Path, FetchMS: c.Duration.Milliseconds(),
			Notes: c.Notes, Interim: c.Interim, Title: title,
		},
	}
	if c.IP.IsValid() {
		e.IP = c.IP.String()
	}
	for _, o := range h.outlinks {
		e.Metadata.Outlinks = append(e.Metadata.Outlinks, warc.Outlink{URL: o.url, Hop: o.hop, Context: o.context})
	}
	return e
}

// journal is what a later run needs to report this exchange. linked says that
// it has links which that run must send again before; stored, that the
// metadata record names them.
func journal(x task, e api.Entry, linked, stored bool) warc.Entry {
	var extra []byte
	if linked && !stored {
		extra = []byte{linksLost}
	}
	return warc.Entry{
		Links: !linked, Extra: extra,
		Crawl: x.Crawl, Host: x.Host, Key: x.Key, Round: x.Round, Lease: x.lease.ID, Class: x.Class, Hop: x.Hop,
		URL: x.URL, Via: x.Via, Outcome: e.Outcome, Reason: e.Reason, Status: e.Status,
		Digest: e.Digest, Bytes: e.Bytes, Type: e.Type, At: e.At,
	}
}

// linksLost in a journal entry's Extra says that only the page itself knows its
// links: without it the item is fetched again.
const linksLost = 'L'

// logEntry is an attempt's line in crawl.log.
func (w *Worker) logEntry(f finished, v verdict, c *fetch.Capture) crawllog.Entry {
	x := f.task
	e := crawllog.Entry{
		Time: time.Now(), Status: v.status, Size: -1, URL: x.URL, Path: x.Hop.Path, Via: x.Via, Worker: x.fetcher,
	}
	if v.reason != "" {
		e.Notes = append(e.Notes, strings.ReplaceAll(v.reason, " ", "_"))
	}
	if v.outcome == salvor.Revisit {
		e.Notes = append(e.Notes, "duplicate:digest")
	}
	if x.Attempts > 0 {
		e.Notes = append(e.Notes, strconv.Itoa(int(x.Attempts)+1)+"t")
	}
	if c != nil && c.Truncated != "" && v.reason != truncated(c) {
		e.Notes = append(e.Notes, truncated(c))
	}
	if c != nil && c.Cut() {
		e.Notes = append(e.Notes, "linksCut")
	}
	if c != nil {
		e.Size, e.Type, e.Digest = c.Block.Size(), c.Type, c.PayloadSHA1
		e.Begin, e.Duration = c.Begin, c.Duration
	}
	return e
}

// parent is an item as its links see it. A redirected robots.txt resolves
// against the URL that answered.
func (w *Worker) parent(x task, url string) (scope.Parent, error) {
	u, err := canon.Parse(url)
	return scope.Parent{URL: u, Hop: x.Hop, Class: x.Class}, err
}

// maxSeedMoves ends chains of redirects that make up a new seed at each step.
const maxSeedMoves = 20

// moveSeed makes the target of a seed's redirect a seed. At the end of a long
// chain it is judged as any redirect's.
func (w *Worker) moveSeed(ctx context.Context, h *harvest, x task, l extract.Link) error {
	if moves := len(x.Hop.Path) - len(strings.TrimRight(x.Hop.Path, "R")); moves >= maxSeedMoves {
		parent, err := w.parent(x, x.URL)
		if err == nil { // a URL that cannot be parsed again leads nowhere
			h.add(w, parent, l)
		}
		return nil
	}
	w.seedMoves.Lock() // of two moves the later scope holds both targets: it comes last
	defer w.seedMoves.Unlock()
	s, version, err := w.c.SeedMoved(ctx, x.URL, l.URL.Href)
	if err != nil {
		return err
	}
	w.SetScope(s, version)
	d := w.rules.Load().SeedRedirect(l.URL)
	d.Hop.Links, d.Hop.Path = x.Hop.Links, x.Hop.Append('R')
	h.offers = append(h.offers, api.Offer{Item: w.item(l.URL, d, x.URL)})
	return nil
}

// noteDeviations counts what was odd, and tells the operator once a host of an
// invalid certificate.
func (w *Worker) noteDeviations(x task, c *fetch.Capture) {
	if c.Cut() {
		w.notice("links_cut", x, x.URL+" is so large that not all of it was looked through for links")
	}
	for _, n := range c.Notes {
		w.stats.note(n)
		if strings.HasPrefix(n, "invalid certificate") {
			w.stats.certificate(x.Host, n)
			w.notice("invalid_certificate", x, n)
		}
	}
}

// notice tells the operator once a code and host.
func (w *Worker) notice(code string, x task, text string) {
	if w.c.Notice == nil {
		return
	}
	if _, told := w.told.LoadOrStore(code+" "+x.Origin, true); !told {
		w.c.Notice(code, x.Host, x.URL, text)
	}
}
