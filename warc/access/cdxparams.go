package access

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"

	"salvor"
)

const (
	// pageBlocks is a page's size where none is given.
	pageBlocks = 5
	mostPage   = 1000
	// mostNumber bounds numbers that are asked for.
	mostNumber = 1 << 30
)

// parseQuery reads the parameters of a CDX query. Unknown ones are passed over, as
// other servers do.
func parseQuery(v url.Values, d dialect) (*Query, error) {
	q := &Query{URL: v.Get("url"), Match: Match(v.Get("matchType")), Resume: v.Get("resumeKey"), Reverse: v.Get("sort") == "reverse" || v.Get("reverse") == "true"}
	if q.URL == "" {
		return nil, salvor.Errorf(salvor.Invalid, "no url is given").WithHint("add ?url=http://example.org/, or ?url=example.org&matchType=domain")
	}
	r := reader{v: v}
	q.From, q.To = r.time("from", false), r.time("to", true)
	q.Limit, q.Offset = r.number("limit", -1<<31), r.number("offset", 0)
	if v.Get("sort") == "closest" || v.Has("closest") && d == pywb {
		q.Closest = r.time("closest", false)
	}
	if v.Get("fastLatest") == "true" && q.Limit == 0 {
		q.Limit = -1
	}
	if v.Has("page") || v.Has("pageSize") {
		q.Page, q.PageBlocks = r.number("page", 0), min(cmp.Or(r.number("pageSize", 0), pageBlocks), mostPage)
	}
	r.filters(q, d)
	r.collapse(q)
	return q, r.err
}

// reader keeps the first error.
type reader struct {
	v   url.Values
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) number(name string, least int) int {
	s := r.v.Get(name)
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > mostNumber {
		r.fail(salvor.Errorf(salvor.Invalid, "%s is %.40q, which is no such number", name, s))
	}
	return n
}

// time reads a timestamp; an end lasts as long as its shortest part.
func (r *reader) time(name string, end bool) time.Time {
	s := r.v.Get(name)
	if len(s) < 4 { // fewer digits than a year bound nothing, as in pywb
		return time.Time{}
	}
	t, err := ParseTime(s)
	if err != nil {
		r.fail(salvor.Errorf(salvor.Invalid, "%s: %w", name, err))
	}
	if end {
		t = lastOf(t, len(s))
	}
	return t
}

// ParseEnd reads a timestamp as the end of the year, month, day and so on that it names.
func ParseEnd(s string) (time.Time, error) {
	t, err := ParseTime(s)
	return lastOf(t, len(s)), err
}

// lastOf is the last second of a year, month, day and so on, that so many digits name.
func lastOf(t time.Time, digits int) time.Time {
	switch {
	case digits < 6:
		t = t.AddDate(1, 0, 0)
	case digits < 8:
		t = t.AddDate(0, 1, 0)
	case digits < 10:
		t = t.AddDate(0, 0, 1)
	case digits < 12:
		t = t.Add(time.Hour)
	case digits < 14:
		t = t.Add(time.Minute)
	default:
		return t
	}
	return t.Add(-time.Second)
}

func (r *reader) filters(q *Query, d dialect) {
	parse := filterPywb
	if d == wayback {
		parse = filterWayback
	}
	list := r.v["filter"]
	if len(list) > mostFilters {
		r.fail(salvor.Errorf(salvor.Invalid, "the query has %d filters, at most %d are taken", len(list), mostFilters))
		return
	}
	for _, s := range list {
		f, err := parse(s)
		if err != nil {
			r.fail(err)
		}
		q.Filters = append(q.Filters, f)
	}
}

func (r *reader) collapse(q *Query) {
	list := append(r.v["collapse"], r.v["collapseToFirst"]...)
	if len(list) > mostFilters {
		r.fail(salvor.Errorf(salvor.Invalid, "the query collapses %d times, at most %d are taken", len(list), mostFilters))
		return
	}
	for _, s := range list {
		name, digits, has := strings.Cut(s, ":")
		c := Collapse{}
		var err error
		if c.Field, err = fieldName(name); err != nil {
			r.fail(err)
		}
		if has {
			if c.Digits, err = strconv.Atoi(digits); err != nil || c.Digits < 1 {
				r.fail(salvor.Errorf(salvor.Invalid, "collapse is %.40q", s).WithHint("write FIELD or FIELD:DIGITS, timestamp:8 say for one a day"))
			}
		}
		q.Collapse = append(q.Collapse, c)
	}
}
