package risk

import (
	"bytes"
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/publicsuffix"

	"salvor"
)

// Candidate is what a feed of announced shutdowns says. It counts for nothing
// until a person has read its source and recorded a Deadline.
type Candidate struct {
	ID        string      `json:"id"`              // as the feed numbers it, else its link or title: to show each once
	Sites     []string    `json:"sites,omitempty"` // that are named, in the order of the text
	What      End         `json:"what"`
	Dates     []time.Time `json:"dates,omitempty"` // that are named and not before Published, in UTC
	Zone      string      `json:"zone,omitempty"`
	Exact     bool        `json:"exact,omitempty"` // the feed says which site and when, in fields for it
	Source    string      `json:"source,omitempty"`
	Title     string      `json:"title,omitempty"`
	Text      string      `json:"text,omitempty"`
	Published time.Time   `json:"published,omitzero"`
}

// What ParseFeed reads at most. What is longer is cut, what is more left out.
const (
	MaxFeed       = 4 << 20
	MaxCandidates = 1000
	maxFeedText   = 2000
	maxNamed      = 8 // sites, and dates, of one candidate
)

// ParseFeed reads a feed: JSON Feed 1.1, RSS 0.91 to 2.0, RSS 1.0 or Atom (RFC
// 4287). An item of a JSON feed may have "_salvor": {"site", "what", "at",
// "zone"}. dates finds the dates of a text that has no such field; nil is Dates.
// What was read before an error is returned with it.
func ParseFeed(b []byte, dates func(text string) []time.Time) ([]Candidate, error) {
	if len(b) > MaxFeed {
		return nil, salvor.Errorf(salvor.Invalid, "feed: %d bytes, at most %d", len(b), MaxFeed)
	}
	if dates == nil {
		dates = Dates
	}
	b = bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\ufeff")))
	var items []feedItem
	var err error
	switch {
	case bytes.HasPrefix(b, []byte("{")):
		items, err = jsonItems(b)
	case bytes.HasPrefix(b, []byte("<")):
		items, err = xmlItems(b)
	default:
		err = salvor.Errorf(salvor.Invalid, "feed: neither JSON nor XML")
	}
	list := make([]Candidate, 0, len(items))
	for _, i := range items {
		list = append(list, i.candidate(dates))
	}
	return list, err
}

// feedItem is what all forms of feeds say.
type feedItem struct {
	id, link, title, text, published string
	exact                            *exactItem
}

type exactItem struct {
	Site string `json:"site"`
	What string `json:"what"`
	At   string `json:"at"`
	Zone string `json:"zone"`
}

func (i feedItem) candidate(dates func(string) []time.Time) Candidate {
	c := Candidate{
		ID: cut(cmp.Or(i.id, i.link, i.title), 255), Source: cut(i.link, maxFeedText),
		Title: cut(plain(i.title), 300), Text: cut(plain(i.text), maxFeedText), Published: feedTime(i.published),
	}
	if i.exact != nil && c.exact(*i.exact) {
		return c
	}
	c.Sites = named(c.Title+" "+c.Text, c.Source)
	for _, at := range dates(c.Title + "\n" + c.Text) {
		if len(c.Dates) < maxNamed && dated(at) && at.After(c.Published.Add(-day)) {
			c.Dates = append(c.Dates, at.UTC())
		}
	}
	slices.SortFunc(c.Dates, time.Time.Compare)
	c.Dates = slices.CompactFunc(c.Dates, time.Time.Equal)
	return c
}

// exact takes the fields that are made for it, if they can be read.
func (c *Candidate) exact(e exactItem) bool {
	site := strings.ToLower(strings.TrimSpace(e.Site))
	zone, err := time.LoadLocation(e.Zone)
	if err != nil || !tidy(site, 1, 255) || strings.ContainsAny(site, " /") || !tidy(e.Zone, 0, 64) {
		return false
	}
	var what End
	if e.What != "" && what.UnmarshalText([]byte(e.What)) != nil {
		return false
	}
	at, ok := exactTime(e.At, zone)
	if !ok {
		return false
	}
	c.Sites, c.What, c.Dates, c.Zone, c.Exact = []string{site}, what, []time.Time{at.UTC()}, e.Zone, true
	return true
}

// exactTime reads a moment, or a day, which ends when the day does.
func exactTime(s string, zone *time.Location) (time.Time, bool) {
	if at, err := time.Parse(time.RFC3339, s); err == nil && dated(at) {
		return at, true
	}
	if at, err := time.ParseInLocation("2006-01-02T15:04", s, zone); err == nil && dated(at) {
		return at, true
	}
	at, err := time.ParseInLocation(time.DateOnly, s, zone)
	return at.AddDate(0, 0, 1).Add(-time.Minute), err == nil && dated(at)
}

// cut shortens a text to n bytes, at a rune, as one line that may be shown.
func cut(s string, n int) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool { return r <= ' ' || r >= 0x7f && r <= 0xa0 }), " ")
	if len(s) > n {
		s = strings.TrimSpace(strings.ToValidUTF8(s[:n], ""))
	}
	return s
}

// plain is the text of what may be HTML.
func plain(s string) string {
	if len(s) > 16*maxFeedText {
		s = s[:16*maxFeedText]
	}
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	var out strings.Builder
	for z := html.NewTokenizer(strings.NewReader(s)); ; {
		switch z.Next() {
		case html.ErrorToken:
			return out.String()
		case html.TextToken:
			out.Write(z.Text())
		default:
			out.WriteByte(' ')
		}
	}
}

var hostForm = regexp.MustCompile(`(?i)\b(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}\b`)

// named are the registered domains that a text names, but for its source's own.
func named(text, source string) (list []string) {
	own := ""
	if u, err := url.Parse(source); err == nil {
		own = SiteOf(u.Hostname())
	}
	for _, w := range hostForm.FindAllString(text, 50) {
		w = strings.ToLower(w)
		if _, icann := publicsuffix.PublicSuffix(w); !icann {
			continue
		}
		if s, err := publicsuffix.EffectiveTLDPlusOne(w); err == nil && s != own && !slices.Contains(list, s) && len(list) < maxNamed {
			list = append(list, s)
		}
	}
	return list
}

// feedTime reads the dates of feeds; zero when it is none.
func feedTime(s string) time.Time {
	s = strings.TrimSpace(s)
	for _, form := range []string{time.RFC3339, time.RFC1123Z, time.RFC1123, "Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05 -0700", time.DateOnly} {
		if at, err := time.Parse(form, s); err == nil && dated(at) {
			return at.UTC()
		}
	}
	return time.Time{}
}
