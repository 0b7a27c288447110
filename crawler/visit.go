package crawler

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gocolly/colly/v2"

	"salvor"
	"salvor/api"
	"salvor/crawler/extract"
	"salvor/crawler/fetch"
	"salvor/crawler/scope"
	"salvor/warc"
)

// visit takes one item to its report. An error is one of this machine, not of
// the server, and ends the run.
func (w *Worker) visit(ctx context.Context, d *fetch.Driver, x task) error {
	if !w.sched.live(x) || w.drain.Err() != nil {
		w.sched.settled([]task{x})
		return nil
	}
	if x.Class != salvor.ClassRobots {
		if rule := w.forbidden(x); rule != "" {
			return w.finish(ctx, finished{task: x}, excluded(rule))
		}
	}
	q := w.quota.Load()
	if !q.take(w.drain) {
		w.sched.settled([]task{x})
		return nil
	}
	if x.counted = q != nil; x.counted && !w.sched.live(x) { // it waited
		q.settled(api.Entry{})
		w.sched.settled([]task{x})
		return nil
	}
	if x.Class == salvor.ClassRobots {
		return w.visitRobots(ctx, d, x)
	}
	return w.exchange(ctx, d, x, x.URL, w.page)
}

// forbidden names the rule that keeps an item from being fetched now.
func (w *Worker) forbidden(x task) string {
	if d := w.rules.Load().Recheck(x.Item); !d.In {
		return d.Rule
	}
	if w.c.Robots == RobotsIgnore {
		return ""
	}
	r := w.sched.rulesFor(x)
	if r == nil || r.status != api.RobotsRules {
		return ""
	}
	if ok, rule := r.file.Allowed(target(x.URL)); !ok {
		return "robots: " + rule
	}
	return ""
}

// target is the path and query of a serialised URL.
func target(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		return rest[i:]
	}
	return "/"
}

// exchange fetches url for x and hands the answer to then, which owns it.
func (w *Worker) exchange(ctx context.Context, d *fetch.Driver, x task, url string, then func(context.Context, task, *fetch.Capture) error) error {
	w.stats.requests.Add(1)
	w.stats.busy.Add(1)
	defer w.stats.busy.Add(-1)
	var cap *fetch.Capture
	fctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	defer context.AfterFunc(w.cutting, func() { stop(fetch.ErrCut) })()
	if wait := w.robotsWait(x); wait > 0 {
		timer := time.AfterFunc(wait, func() { stop(fetch.ErrCut) })
		defer timer.Stop()
	}
	err := d.Drive(fctx, fetch.Request{URL: url, Method: x.Method, Body: x.Body, Referer: referer(x)}, func(c *fetch.Capture, _ *colly.Response) { cap = c })
	if cap != nil {
		defer cap.Close()
		if cap.DNS != nil {
			server := "" // none, when the system's own files knew
			if s := cap.DNS.Server.Addr(); s.IsValid() {
				server = s.String()
			}
			if err := w.c.Pool.WriteDNS(ctx, cap.DNS.Name, cap.DNS.Time, server, cap.DNS.Text); err != nil {
				return err
			}
		}
		return then(ctx, x, cap)
	}
	return w.unanswered(ctx, x, err)
}

// unanswered reports an attempt that brought no byte.
func (w *Worker) unanswered(ctx context.Context, x task, err error) error {
	if ctx.Err() != nil {
		return nil // the lease is given back when the session ends
	}
	fe, ok := errors.AsType[*fetch.Error](err)
	if ok && errors.Is(err, fetch.ErrCut) {
		if w.cutting.Err() != nil {
			w.giveUp(x)
			return nil
		}
		err = &fetch.Error{Class: fetch.ClassTimeout, URL: x.URL, Err: fetch.ErrCut} // robotsWait
	}
	switch {
	case ok && fe.Class == fetch.ClassSpool:
		return err
	case ok && fe.Class == fetch.ClassRefused:
		w.notice("refused_address", x, err.Error())
		return w.finish(ctx, finished{task: x}, excluded("refused-address"))
	}
	v := judgeError(x.Item, err, w.c.Tries, time.Now())
	v.ours = ok && errors.Is(err, fetch.ErrCut)
	if x.Class == salvor.ClassRobots {
		return w.robotsLost(ctx, finished{task: x}, v)
	}
	w.sched.observe(x, v, 0)
	return w.finish(ctx, finished{task: x}, v)
}

// referer is the page that named an item. robots.txt was named by nobody.
func referer(x task) string {
	if x.Class == salvor.ClassRobots {
		return ""
	}
	return x.Via
}

// giveUp leaves an item as if it had not been started: it is queued again.
func (w *Worker) giveUp(x task) {
	if x.counted {
		w.quota.Load().settled(api.Entry{})
	}
	w.sched.settled([]task{x})
}

// page reports an answered attempt: records, links, verdict.
func (w *Worker) page(ctx context.Context, x task, c *fetch.Capture) error {
	v := w.verdict(x, c, time.Now())
	w.sched.observe(x, v, c.FirstByte)
	h, info, err := w.harvest(ctx, x, c)
	if err != nil {
		return err
	}
	w.noteDeviations(x, c) // those of decoding too
	f := finished{task: x, links: w.sender.offer(WithRobots(w.c.Crawl, h.offers))}
	return w.record(ctx, f, v, c, h, info.Title)
}

// verdict judges an answered attempt by what this worker knows besides: that it
// cut the exchange off itself, and how often the server asked to wait.
func (w *Worker) verdict(x task, c *fetch.Capture, at time.Time) verdict {
	if w.cutting.Err() != nil && c.Truncated == fetch.TruncatedTime && c.Status < 400 {
		return verdict{verb: api.VerbPostpone, status: c.Status, reason: truncated(c)}
	}
	return w.waits.judge(x.Item, judge(x.Item, c, w.c.Tries, at), w.c.Tries, at)
}

// record writes the exchange's records and hands it to the committer.
func (w *Worker) record(ctx context.Context, f finished, v verdict, c *fetch.Capture, h harvest, title string) error {
	e := w.warcExchange(f.task, c, h, title)
	e.Revisit = w.original(c, v)
	if e.Revisit != nil {
		v.outcome = salvor.Revisit
	}
	f.entry = w.entry(f.task, v)
	f.entry.Digest, f.entry.Type = c.PayloadSHA1, clip(c.Type)
	f.entry.Bytes, f.entry.At = c.Block.Size(), c.Begin.UnixMilli()
	e.Journal = journal(f.task, f.entry, len(f.links) > 0, w.c.Outlinks)
	r, err := w.c.Pool.Write(ctx, e)
	if err != nil {
		return err
	}
	f.receipt, f.entry.Place = &r, r.Place
	if e.Revisit == nil && dedupable(c) && v.outcome == salvor.Saved {
		f.original = &warc.Original{URL: f.task.URL, Date: c.Begin}
	}
	w.stats.failed(v)
	f.log = w.logEntry(f, v, c)
	return w.hand(ctx, f)
}

// dedupable: a revisit may point only at a record that carries its payload's
// digest, so neither may be chunked, nor empty, nor cut (protocol 6).
func dedupable(c *fetch.Capture) bool {
	return c.HasPayload() && c.Framing != fetch.Chunked && c.PayloadLen > 0 && c.Truncated == ""
}

func (w *Worker) original(c *fetch.Capture, v verdict) *warc.Original {
	if v.outcome != salvor.Saved || !dedupable(c) {
		return nil
	}
	if url, date, ok := w.c.Originals.Lookup(c.PayloadSHA1); ok {
		return &warc.Original{URL: url, Date: date}
	}
	return nil
}

// finish hands over an attempt without a record.
func (w *Worker) finish(ctx context.Context, f finished, v verdict) error {
	f.entry = w.entry(f.task, v)
	f.entry.At = time.Now().UnixMilli()
	w.stats.failed(v)
	f.log = w.logEntry(f, v, nil)
	return w.hand(ctx, f)
}

// clip shortens what a server may make as long as it likes: a rule of its
// robots.txt, a media type. What is longer the coordinator refuses.
func clip(s string) string {
	if len(s) <= api.MaxText {
		return s
	}
	return strings.ToValidUTF8(s[:api.MaxText], "")
}

func (w *Worker) hand(ctx context.Context, f finished) error {
	select {
	case w.dones <- f:
	case <-ctx.Done():
	}
	return nil
}

func (w *Worker) entry(x task, v verdict) api.Entry {
	return api.Entry{
		Key: x.Key, Host: x.Host, Lease: x.lease.ID, Round: x.Round, Verb: v.verb, Outcome: v.outcome,
		Reason: clip(v.reason), Status: v.status, Retry: v.retry,
	}
}

// harvest extracts a page's links and judges them.
func (w *Worker) harvest(ctx context.Context, x task, c *fetch.Capture) (h harvest, info extract.Info, err error) {
	parent, err := w.parent(x, c.URL)
	if err != nil {
		return h, info, nil // a URL that cannot be parsed again has no links to resolve
	}
	p := extract.Document{
		Base: c.URL, Type: c.ViewType, Status: c.Status, Body: c.View(),
		Charset: c.ViewCharset, Header: c.Header.Values, Robots: x.Class == salvor.ClassRobots, List: x.Class == salvor.ClassSitemap,
	}
	info = extract.Links(p, func(l extract.Link) {
		if err == nil {
			err = w.takeLink(ctx, &h, x, parent, l)
		}
	})
	return h, info, err
}

func (w *Worker) takeLink(ctx context.Context, h *harvest, x task, parent scope.Parent, l extract.Link) error {
	if w.c.Outlinks {
		h.outlinks = append(h.outlinks, outlink{l.URL.Href, l.Context, l.Kind.Hop()})
	}
	if l.Kind == extract.Redirect && x.Class == salvor.ClassSeed {
		return w.moveSeed(ctx, h, x, l)
	}
	h.add(w, parent, l)
	return nil
}
