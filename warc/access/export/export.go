// Package export writes what a query finds in the form that somebody works with: WARC
// files with the originals of every revisit, WACZ packages, tables, the link graph, the
// text of pages.
//
// It is for `salvor export`. It guarantees that an export is whole or an error, that it
// can be made again from the same archive with the same result, and that a report says
// what is in it and what could not be.
package export

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"math"
	"slices"
	"strconv"
	"time"

	"salvor"
	"salvor/warc/access"
)

// Format is what an export is written as.
type Format string

// The formats.
const (
	WARC    Format = "warc"
	WACZ    Format = "wacz"
	NDJSON  Format = "ndjson"
	CSV     Format = "csv"
	Parquet Format = "parquet"
	Links   Format = "links" // NDJSON: what links where
	Text    Format = "text"  // NDJSON: the text of pages
	Pages   Format = "pages" // NDJSON: pages and their titles
)

// Formats are all of them.
var Formats = []Format{WARC, WACZ, NDJSON, CSV, Parquet, Links, Text, Pages}

// Job is what is to be exported.
type Job struct {
	From     *access.Collection
	Query    access.Query
	Format   Format
	Name     string // of the WARC file in it, without its ending
	Title    string
	Software string
	Now      time.Time
	Sample   Sample
	// NoRequests leaves request records out: they have what was sent, cookies too.
	NoRequests bool
	Progress   func(Report) // hears of it now and then; may be nil
}

// Sample is a part of what is found. The same seed gives the same part.
type Sample struct {
	Share float64 // 0 to 1; 0 is all
	Count int     // so many at most, drawn from all; 0 is all
	Seed  string
}

// Report says what an export has.
type Report struct {
	Captures  int64            `json:"captures"`
	Originals int64            `json:"originals,omitempty"` // of revisits, beside those that were asked for
	Bytes     int64            `json:"bytes"`               // stored, of the captures
	First     time.Time        `json:"first,omitzero"`
	Last      time.Time        `json:"last,omitzero"`
	Hosts     map[string]int64 `json:"hosts"` // captures by facet; "(others)" beyond 1000
	Types     map[string]int64 `json:"types"`
	Statuses  map[string]int64 `json:"statuses"`
	Days      map[string]int64 `json:"days"`
	// Missing are revisits whose original is not in the archive, and captures whose
	// record is damaged: the export has not what is in them.
	Missing []string `json:"missing,omitempty"`
}

// writer takes captures in one format.
type writer interface {
	write(ctx context.Context, x access.Capture) error
	finish(ctx context.Context) error
}

// Run writes the export.
func (j *Job) Run(ctx context.Context, out io.Writer) (Report, error) {
	run := &run{Job: j, rep: newReport()}
	w, err := run.writer(out)
	if err != nil {
		return run.rep, err
	}
	err = run.each(ctx, func(x access.Capture) error {
		run.rep.count(x)
		if j.Progress != nil && run.rep.Captures%100 == 0 {
			j.Progress(run.rep)
		}
		return w.write(ctx, x)
	})
	if err != nil {
		return run.rep, err
	}
	return run.rep, w.finish(ctx)
}

// Estimate says what an export would have, from the index alone.
func (j *Job) Estimate(ctx context.Context) (Report, error) {
	run := &run{Job: j, rep: newReport()}
	err := run.each(ctx, func(x access.Capture) error { run.rep.count(x); return nil })
	return run.rep, err
}

type run struct {
	*Job
	rep Report
}

func (r *run) writer(out io.Writer) (writer, error) {
	switch r.Format {
	case WARC:
		return newWARCWriter(r, out)
	case WACZ:
		return newWACZWriter(r, out)
	case NDJSON:
		return newRows(out), nil
	case CSV:
		return newCSV(out), nil
	case Parquet:
		return newParquet(out, r.From.Name), nil
	case Links:
		return &linkWriter{r: r, enc: encoder(out)}, nil
	case Text:
		return &textWriter{r: r, enc: encoder(out)}, nil
	case Pages:
		return &pageWriter{r: r, enc: encoder(out)}, nil
	}
	return nil, salvor.Errorf(salvor.Invalid, "there is no format %.40q", r.Format)
}

// each gives the captures of the sample to f, in the order of the index.
func (r *run) each(ctx context.Context, f func(access.Capture) error) error {
	if r.Sample.Count > 0 {
		return r.drawn(ctx, f)
	}
	limit := r.Sample.Share
	return r.found(ctx, func(x access.Capture) error {
		if limit > 0 && limit < 1 && r.lot(x) >= uint64(limit*math.MaxUint64) {
			return nil
		}
		return f(x)
	})
}

// lot is the number that a capture draws: those with the least are the sample.
func (r *run) lot(x access.Capture) uint64 {
	h := fnv.New64a()
	io.WriteString(h, r.Sample.Seed+"\x00"+x.Filename+"\x00"+strconv.FormatInt(x.Offset, 10))
	n := h.Sum64() // FNV's high bits differ little between names that do
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// drawn is a sample of so many captures.
func (r *run) drawn(ctx context.Context, f func(access.Capture) error) error {
	type entry struct {
		lot uint64
		n   int
		x   access.Capture
	}
	byLot := func(a, b entry) int {
		if a.lot < b.lot {
			return -1
		}
		return 1
	}
	var list []entry
	n := 0
	if err := r.found(ctx, func(x access.Capture) error {
		list = append(list, entry{r.lot(x), n, x})
		if n++; len(list) >= 2*r.Sample.Count+1000 {
			slices.SortFunc(list, byLot)
			list = list[:r.Sample.Count]
		}
		return nil
	}); err != nil {
		return err
	}
	slices.SortFunc(list, byLot)
	list = list[:min(r.Sample.Count, len(list))]
	slices.SortFunc(list, func(a, b entry) int { return a.n - b.n })
	for _, e := range list {
		if err := f(e.x); err != nil {
			return err
		}
	}
	return nil
}

// found gives all captures of the query to f. It asks in pieces, since f may take long.
func (r *run) found(ctx context.Context, f func(access.Capture) error) error {
	q := r.Query
	for {
		var failed error
		a, err := r.From.Find(ctx, &q, func(x *access.Found) bool {
			c, ok := x.Capture()
			if !ok {
				r.rep.miss("a line of the index cannot be read: " + string(x.Entry.Prefix()))
				return true
			}
			failed = f(c)
			return failed == nil
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		if a.Resume == "" || q.Limit > 0 {
			return nil
		}
		q.Resume = a.Resume
	}
}

func newReport() Report {
	return Report{Hosts: map[string]int64{}, Types: map[string]int64{}, Statuses: map[string]int64{}, Days: map[string]int64{}}
}

const (
	mostFacets  = 1000
	mostMissing = 1000
)

func (r *Report) count(x access.Capture) {
	r.Captures++
	r.Bytes += x.Length
	facet(r.Hosts, hostOf(x.URL))
	facet(r.Types, x.Mime)
	facet(r.Statuses, x.Status)
	facet(r.Days, x.Time.UTC().Format(time.DateOnly))
	if r.First.IsZero() || x.Time.Before(r.First) {
		r.First = x.Time
	}
	if x.Time.After(r.Last) {
		r.Last = x.Time
	}
}

func facet(m map[string]int64, name string) {
	if _, ok := m[name]; !ok && len(m) >= mostFacets {
		name = "(others)"
	}
	m[name]++
}

func (r *Report) miss(what string) {
	if len(r.Missing) < mostMissing {
		r.Missing = append(r.Missing, what)
	}
}
