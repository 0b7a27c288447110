package rescue

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/crawllog"
)

// Trace follows a URL's links back to its seed through crawl.log, which can be
// read while another process crawls. What was never tried is not in it.
func (Engine) Trace(ctx context.Context, q job.Inquiry) (job.Trace, error) {
	found, err := tried(ctx, q.Dir.Path("crawl.log"))
	if err != nil {
		return job.Trace{}, err
	}
	last, ok := found[q.URL]
	if !ok {
		return job.Trace{Partial: true}, nil
	}
	t := job.Trace{Known: true, State: "tried", Status: last.status, At: last.at}
	if last.status > 0 {
		t.State, t.Outcome = "settled", outcomeOf(last.status)
	}
	t.Path, t.Partial = pathTo(q.URL, found)
	return t, nil
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
		return nil, nil
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
		hop := ""
		if e.Path != "" {
			hop = e.Path[len(e.Path)-1:]
		}
		found[e.URL] = attempt{via: e.Via, hop: hop, status: e.Status, at: e.Time}
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
