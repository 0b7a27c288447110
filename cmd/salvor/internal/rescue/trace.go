package rescue

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/report"
	"salvor/coordinator"
	"salvor/crawler/canon"
	"salvor/crawler/crawllog"
)

// Trace follows a URL's links back to its seed. The frontier knows every URL,
// but only who holds the directory can open it; crawl.log can be read while
// another process crawls, and has what was tried.
func (Engine) Trace(ctx context.Context, q job.Inquiry) (t job.Trace, err error) {
	found, err := tried(ctx, q.Dir.Path("crawl.log"))
	if err != nil {
		return t, err
	}
	k, known, note, err := ask(ctx, q)
	if err != nil {
		return t, err
	}
	if last, ok := found[q.URL]; ok {
		t = job.Trace{Known: true, State: "tried", Status: last.status, At: last.at}
		if last.status > 0 {
			t.State, t.Outcome = "settled", outcomeOf(last.status)
		}
	}
	if known {
		t = traceOf(k)
		if _, ok := found[q.URL]; !ok {
			found[q.URL] = attempt{via: k.Via, hop: lastHop(k.Hop.Path)}
		}
	}
	t.Note, t.Partial = note, true
	if t.Known {
		t.Path, t.Partial = pathTo(q.URL, found)
	}
	return t, inForce(q.Dir, &t)
}

// inForce adds what holds beside the settings.
func inForce(d *archive.Dir, t *job.Trace) error {
	var m memory
	if err := m.load(d); err != nil {
		return err
	}
	moved, err := readMoves(d)
	for _, x := range slices.Concat(m.Moved, moved) {
		t.Moved = append(t.Moved, x.To)
	}
	t.Live = m.Excludes
	return err
}

// ask looks a URL up in the frontier. note says why it could not be asked.
func ask(ctx context.Context, q job.Inquiry) (k api.Known, known bool, note string, err error) {
	if _, err := os.Stat(q.Dir.State("coordinator")); err != nil {
		return k, false, "", nil // nothing was ever crawled
	}
	d, err := archive.Open(q.Dir.Path())
	if err != nil {
		return k, false, fmt.Sprintf("%v: this is what crawl.log tells; what was found and not tried yet is not in it", err), nil
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	node, err := coordinator.Start(ctx, coordinator.Config{Dir: d.State("coordinator")})
	if err != nil {
		return k, false, "", err
	}
	defer func() { err = errors.Join(err, node.Close(context.WithoutCancel(ctx))) }()
	status, err := d.Status()
	if err != nil {
		return k, false, "", err
	}
	k, err = lookUp(ctx, node, roundName(max(1, status.Round)), q.URL)
	if salvor.ClassOf(err) == salvor.NotFound {
		return k, false, "", nil
	}
	return k, err == nil, "", err
}

func lookUp(ctx context.Context, v api.View, crawl, url string) (api.Known, error) {
	u, err := canon.Parse(url)
	if err != nil {
		return api.Known{}, err
	}
	crawls, err := v.Crawls(ctx)
	for _, c := range crawls {
		if c.Name == crawl {
			return v.Lookup(ctx, c.ID, u.Host, salvor.ItemKey(c.HashKey, "", u.Href, nil))
		}
	}
	return api.Known{}, errors.Join(err, salvor.Errorf(salvor.NotFound, "%s was never begun", crawl))
}

var states = map[api.ItemState]string{api.StateQueued: "queued", api.StateWaiting: "waiting", api.StateLeased: "under_way", api.StateSettled: "settled"}

// traceOf is an item as the frontier has it.
func traceOf(k api.Known) job.Trace {
	t := job.Trace{Known: true, State: states[k.State], Outcome: k.Outcome, Reason: k.Reason, Status: report.Status(k)}
	if k.At > 0 {
		t.At = time.UnixMilli(k.At)
	}
	return t
}

func lastHop(path string) string {
	if path == "" {
		return ""
	}
	return path[len(path)-1:]
}

// outcomeOf is what a status usually means; the frontier has the last word.
func outcomeOf(status int) salvor.Outcome {
	switch {
	case status == 404 || status == 410:
		return salvor.Gone
	case status >= 500:
		return salvor.Failed
	case status >= 400:
		return salvor.Refused
	}
	return salvor.Saved
}

// attempt is what a line of crawl.log says.
type attempt struct {
	via    string
	hop    string
	status int
	at     time.Time
}

// tried reads the log: the last attempt of each URL.
func tried(ctx context.Context, name string) (map[string]attempt, error) {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]attempt{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	found := map[string]attempt{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && ctx.Err() == nil {
		e, err := crawllog.Parse(lines.Text())
		if err != nil {
			continue // another program's line: the log is for people too
		}
		found[e.URL] = attempt{via: e.Via, hop: lastHop(e.Path), status: e.Status, at: e.Time}
	}
	return found, errors.Join(lines.Err(), ctx.Err())
}

// pathTo walks from url back to its seed.
func pathTo(url string, found map[string]attempt) (path []job.Link, partial bool) {
	seen := map[string]bool{}
	for url != "" && !seen[url] {
		seen[url] = true
		a, ok := found[url]
		path = append(path, job.Link{URL: url, Hop: a.hop})
		if !ok {
			partial = true
			break
		}
		url = a.via
	}
	slices.Reverse(path)
	return path, partial
}
