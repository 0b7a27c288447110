package probe

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"time"

	"salvor/coordinator/risk"
)

const (
	contentEvery = 24 * time.Hour
	// leastEntries is how many dates a feed must have to tell how often something is
	// posted.
	leastEntries = 5
	// quietTimes the usual distance of two entries without a new one, and quietLeast,
	// is a site that nobody writes to any more.
	quietTimes = 10
	quietLeast = 30 * 24 * time.Hour
)

// content looks at a site's feed once a day: whether something new comes as often as
// it used to. It asks for the front page and the feed that it names, or one of two
// usual ones.
type content struct {
	pages *pages
}

func (*content) Name() string         { return "content" }
func (*content) Every() time.Duration { return contentEvery }

// Look implements Looker. A site without a feed says nothing.
func (l *content) Look(ctx context.Context, t Target) ([]risk.Observation, error) {
	root := &url.URL{Scheme: "http", Host: t.Host, Path: "/"}
	if t.TLS {
		root.Scheme = "https"
	}
	front, err := l.pages.get(ctx, root.String())
	if err != nil || front.status != http.StatusOK {
		return nil, nil // how a page answers is told by the look at pages
	}
	for _, u := range feedsOf(front, root) {
		p, err := l.pages.get(ctx, u)
		if err != nil || p.status != http.StatusOK {
			continue
		}
		if o, ok := l.judge(t, p.body); ok {
			return []risk.Observation{o}, nil
		}
	}
	return nil, nil
}

var (
	alternate = regexp.MustCompile(`(?i)<link\b[^>]*\btype\s*=\s*["']?application/(?:rss|atom|feed)\+(?:xml|json)[^>]*>`)
	hrefForm  = regexp.MustCompile(`(?i)\bhref\s*=\s*["']?([^"'\s>]+)`)
)

// feedsOf are where a site's feed may be, on its own host.
func feedsOf(front *page, root *url.URL) (out []string) {
	for _, tag := range alternate.FindAll(front.body, 3) {
		m := hrefForm.FindSubmatch(tag)
		if m == nil {
			continue
		}
		if u, err := front.final.Parse(string(m[1])); err == nil && u.Host == front.final.Host && !slices.Contains(out, u.String()) {
			out = append(out, u.String())
		}
	}
	if len(out) == 0 {
		out = []string{root.JoinPath("feed").String(), root.JoinPath("rss.xml").String()}
	}
	return out
}

// judge compares how long nothing came with how often something did. ok is false
// where a feed does not tell.
func (l *content) judge(t Target, feed []byte) (o risk.Observation, ok bool) {
	list, _ := risk.ParseFeed(feed, nil) // what was read before an error counts
	var dates []time.Time
	for _, c := range list {
		if !c.Published.IsZero() && !c.Published.After(l.pages.w.now().Add(24*time.Hour)) {
			dates = append(dates, c.Published)
		}
	}
	if len(dates) < leastEntries {
		return o, false
	}
	slices.SortFunc(dates, func(a, b time.Time) int { return b.Compare(a) })
	gaps := make([]time.Duration, len(dates)-1)
	for i := range gaps {
		gaps[i] = dates[i].Sub(dates[i+1])
	}
	slices.Sort(gaps)
	usual, quiet := gaps[len(gaps)/2], l.pages.w.now().Sub(dates[0])
	if quiet < max(quietLeast, quietTimes*usual) {
		return l.pages.w.missed(t, risk.SigContentDecline), true
	}
	days := func(d time.Duration) float64 { return d.Hours() / 24 }
	return l.pages.w.saw(t, risk.SigContentDecline, fmt.Sprintf("nothing new in its feed for %.0f days, before every %.1f days", days(quiet), days(usual))), true
}
