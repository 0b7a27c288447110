package access

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"slices"
	"time"

	"salvor"
	"salvor/warc/cdx/index"
)

// Query asks for captures.
type Query struct {
	URL      string
	Match    Match // "" is exact, or what a star in URL says
	Same     bool  // the URL as it is, not all that have its key
	From, To time.Time
	Filters  []Filter
	Collapse []Collapse
	Limit    int // 0 none; below 0 the last so many
	Offset   int
	Reverse  bool
	Closest  time.Time // by distance from it; zero: in order
	Resume   string    // where an earlier answer ended; "" the beginning
	Most     int       // lines to look at; 0 is mostLooked
	// Pages cut what a query could find, before it is filtered, in parts of so many
	// blocks of blockLines lines; 0 does not.
	PageBlocks, Page int
}

// blockLines is what pywb's paged indexes have in a block.
const blockLines = 3000

const (
	// mostLooked bounds the lines that one request looks at: whoever wants more goes on
	// where it ended.
	mostLooked = 20_000_000
	// mostTime bounds how long one request looks, which is seen every lookedCheck lines.
	mostTime    = 30 * time.Second
	lookedCheck = 128
	// mostSorted bounds the captures of a query that wants another order than the
	// index has: they are held in memory.
	mostSorted = 100_000
	// mostCollapses and mostFilters bound what is done for each line.
	mostFilters = 32
)

// Answer says how a query ended.
type Answer struct {
	Lines  int
	Resume string // where the next would begin; "" there is none
}

// Found is a capture that a query found. It is good until the next.
type Found struct {
	Entry *index.Entry
	f     fields
}

// Capture is the line, read; false if it is damaged.
func (x *Found) Capture() (Capture, bool) { return capture(x.Entry) }

// Find gives the captures that a query asks for to f, until it returns false.
func (c *Collection) Find(ctx context.Context, q *Query, f func(*Found) bool) (Answer, error) {
	s, err := span(q.URL, q.Match)
	if err != nil {
		return Answer{}, err
	}
	if s, err = q.resumed(s); err != nil {
		return Answer{}, err
	}
	if q.Limit < 0 || !q.Closest.IsZero() {
		return c.findSorted(ctx, q, s, f)
	}
	s.Reverse = q.Reverse
	return c.find(ctx, q, s, f)
}

// find walks the index in the order of the answer.
func (c *Collection) find(ctx context.Context, q *Query, s index.Span, f func(*Found) bool) (a Answer, err error) {
	g := newSieve(q)
	looked, page, began := 0, q.PageBlocks*blockLines, time.Now()
	err = c.Index.Scan(ctx, s, func(e *index.Entry) bool {
		if looked++; looked > cmp.Or(q.Most, mostLooked) || q.Limit > 0 && a.Lines == q.Limit {
			a.Resume = resumeKey(e)
			return false
		}
		if looked%lookedCheck == 0 && (time.Since(began) > mostTime || ctx.Err() != nil) {
			a.Resume = resumeKey(e)
			return false
		}
		if page > 0 && (looked-1)/page != q.Page {
			return (looked-1)/page < q.Page
		}
		x := Found{Entry: e, f: fields{entry: e}}
		if !g.keeps(&x) {
			return true
		}
		a.Lines++
		return f(&x)
	})
	return a, err
}

// blocks is how many blocks of lines a query could find; the count stops at most
// lines.
func (c *Collection) blocks(ctx context.Context, q *Query) (int, error) {
	s, err := span(q.URL, q.Match)
	if err != nil {
		return 0, err
	}
	n := 0
	err = c.Index.Scan(ctx, s, func(*index.Entry) bool { n++; return n < mostLooked })
	return (n + blockLines - 1) / blockLines, err
}

// findSorted holds what is found, to give it in another order.
func (c *Collection) findSorted(ctx context.Context, q *Query, s index.Span, f func(*Found) bool) (a Answer, err error) {
	type kept struct {
		place, object []byte
		far           time.Duration
	}
	if q.Offset > mostSorted || q.Limit > mostSorted || q.Limit < -mostSorted {
		return a, salvor.Errorf(salvor.Invalid, "a query in this order takes a limit and an offset up to %d", mostSorted).WithHint("ask in the order of the index, and go on with its resumeKey")
	}
	all := *q
	all.Limit, all.Offset, all.Reverse = 0, 0, q.Limit < 0
	most := cmp.Or(q.Limit, mostSorted)
	if most < 0 {
		most = -most
	}
	near := !q.Closest.IsZero()
	farther := func(x, y kept) int { return cmp.Compare(x.far, y.far) }
	var list []kept
	s.Reverse = all.Reverse
	full := false
	inner, err := c.find(ctx, &all, s, func(x *Found) bool {
		k := kept{place: x.Entry.Place(), object: bytes.Clone(x.Entry.Object)}
		if near {
			at, err := ParseTime(string(x.Entry.Timestamp()))
			if err != nil {
				return true
			}
			k.far = at.Sub(q.Closest).Abs()
		}
		if list = append(list, k); near && len(list) >= 2*most+q.Offset {
			slices.SortStableFunc(list, farther)
			list = list[:most+q.Offset]
		}
		full = len(list) > mostSorted+q.Offset
		return !full && (near || len(list) < most+q.Offset)
	})
	if err != nil {
		return a, err
	}
	if inner.Resume != "" {
		return a, salvor.Errorf(salvor.Exhausted, "too many captures would have to be looked at to sort them").WithHint("give from and to, or ask for less")
	}
	if full {
		return a, salvor.Errorf(salvor.Invalid, "the query finds more than %d captures, too many to sort", mostSorted).WithHint("give a limit")
	}
	if near {
		slices.SortStableFunc(list, farther)
	} else if !q.Reverse {
		slices.Reverse(list)
	}
	list = list[min(q.Offset, len(list)):]
	for _, k := range list[:min(most, len(list))] {
		e := index.EntryAt(k.place, k.object)
		a.Lines++
		if !f(&Found{Entry: e, f: fields{entry: e}}) {
			break
		}
	}
	return a, nil
}

func resumeKey(e *index.Entry) string { return base64.RawURLEncoding.EncodeToString(e.Place()) }

// resumed is a span from where an earlier answer ended.
func (q *Query) resumed(s index.Span) (index.Span, error) {
	if q.Resume == "" {
		return s, nil
	}
	at, err := base64.RawURLEncoding.DecodeString(q.Resume)
	if err != nil || bytes.Compare(at, s.From) < 0 || len(s.To) > 0 && bytes.Compare(at, s.To) >= 0 {
		return s, salvor.Errorf(salvor.Invalid, "resumeKey is of another query").WithHint("give the key that the answer to the same query ended with")
	}
	if q.Reverse {
		s.To = append(at, 0)
	} else {
		s.From = at
	}
	return s, nil
}

// sieve says line by line what a query wants.
type sieve struct {
	q        *Query
	from, to []byte // timestamps
	skip     int
	last     []string          // of each collapse
	same     func(string) bool // nil: any URL
}

func newSieve(q *Query) *sieve {
	g := &sieve{q: q, skip: q.Offset, last: make([]string, len(q.Collapse))}
	if q.Same {
		g.same = sameURL(q.URL)
	}
	if !q.From.IsZero() {
		g.from = []byte(q.From.UTC().Format(stamp))
	}
	if !q.To.IsZero() {
		g.to = []byte(q.To.UTC().Format(stamp))
	}
	return g
}

func (g *sieve) keeps(x *Found) bool {
	at := x.Entry.Timestamp()
	if g.from != nil && bytes.Compare(at, g.from) < 0 || g.to != nil && bytes.Compare(at, g.to) > 0 {
		return false
	}
	if g.same != nil && !g.same(x.f.get("url")) {
		return false
	}
	for i := range g.q.Filters {
		if !g.q.Filters[i].keeps(&x.f) {
			return false
		}
	}
	if !g.collapses(x) {
		return false
	}
	if g.skip > 0 {
		g.skip--
		return false
	}
	return true
}

// collapses says whether a line differs from the one before in what is collapsed.
func (g *sieve) collapses(x *Found) bool {
	for i, c := range g.q.Collapse {
		v := x.f.get(c.Field)
		if c.Digits > 0 && len(v) > c.Digits {
			v = v[:c.Digits]
		}
		if v == g.last[i] && v != "" {
			return false
		}
		g.last[i] = v
	}
	return true
}

// Collapse leaves out all but the first of neighbours that have the same.
type Collapse struct {
	Field  string
	Digits int // only so many characters are compared; 0 all
}
