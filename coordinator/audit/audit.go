// Package audit keeps who changed what in a cluster, when and why, for good.
//
// It is for everything that changes something for a person, and for who wants to
// know later. Lines are only ever added. They lie in pages in the registry, so that
// every coordinator has them; the oldest pages move to the Store when there are
// many. A line is written after its change: a crash in between loses the line,
// never the change.
package audit

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"salvor"
	"salvor/api"
)

// Entry is a line: one change.
type Entry struct {
	At      time.Time       `json:"at"`
	By      string          `json:"by"`      // as trust.Caller names itself
	What    string          `json:"what"`    // such as deadline.set, crawl.paused
	Subject string          `json:"subject"` // the site, crawl, node or key that changed
	Note    string          `json:"note,omitempty"`
	Change  json.RawMessage `json:"change,omitempty"` // what it is now
}

// Registry is where pages lie: group 0's.
type Registry interface {
	Records(ctx context.Context, table string) ([]api.Record, error)
	SetRecord(ctx context.Context, r api.Record) (version uint64, err error)
}

// Log is the audit log of a cluster. It is safe for concurrent use, also by
// several nodes.
type Log struct {
	reg Registry
	// shelve keeps a page that leaves the registry; nil: it stays there.
	shelve func(ctx context.Context, name string, lines []byte) error
	mu     sync.Mutex
}

const (
	// pageFull is when a page is begun anew: a record has 64 KB.
	pageFull = 48 << 10
	// maxPages stay in the registry, some ten thousand lines.
	maxPages = 32
	// maxChange is how long what an Entry holds of the change may be.
	maxChange = 8 << 10
	// tries bounds how often a line is added again that somebody else was faster with.
	tries = 8
)

// New opens the log. shelve, if not nil, keeps pages in the Store; it may be called
// again with the same page.
func New(reg Registry, shelve func(ctx context.Context, name string, lines []byte) error) *Log {
	return &Log{reg: reg, shelve: shelve}
}

// Append adds a line.
func (l *Log) Append(ctx context.Context, e Entry) error {
	if len(e.Change) > maxChange {
		e.Change, _ = json.Marshal(fmt.Sprintf("%d bytes, too long for this log", len(e.Change)))
	}
	line, err := json.Marshal(e)
	if err != nil {
		return salvor.Errorf(salvor.Internal, "audit: %w", err)
	}
	line = append(line, '\n')
	l.mu.Lock()
	defer l.mu.Unlock()
	for range tries {
		if err = l.add(ctx, line); salvor.ClassOf(err) != salvor.Conflict {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("the change was made, but is not in the audit log: %w", err)
	}
	return nil
}

func (l *Log) add(ctx context.Context, line []byte) error {
	pages, err := l.pages(ctx)
	if err != nil {
		return err
	}
	next := api.Record{Table: api.TableAudit, Key: pageName(0)}
	if n := len(pages); n > 0 {
		next = pages[n-1]
		if len(next.Value)+len(line) > pageFull {
			var last int
			if _, err := fmt.Sscanf(next.Key, "%d", &last); err != nil {
				return salvor.Errorf(salvor.Internal, "audit: there is a page named %q", next.Key)
			}
			next = api.Record{Table: api.TableAudit, Key: pageName(last + 1)}
		}
	}
	next.Value = slices.Concat(next.Value, line)
	if _, err := l.reg.SetRecord(ctx, next); err != nil {
		return err
	}
	l.thin(ctx, pages)
	return nil
}

func pageName(i int) string { return fmt.Sprintf("%08d", i) }

func (l *Log) pages(ctx context.Context) ([]api.Record, error) {
	pages, err := l.reg.Records(ctx, api.TableAudit)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(pages, func(a, b api.Record) int { return cmp.Compare(a.Key, b.Key) })
	return pages, nil
}

// thin moves the oldest pages to the Store. What fails is tried again at the next
// line.
func (l *Log) thin(ctx context.Context, pages []api.Record) {
	if l.shelve == nil {
		return
	}
	for len(pages) > maxPages {
		p := pages[0]
		if l.shelve(ctx, p.Key, p.Value) != nil {
			return
		}
		p.Value = nil
		if _, err := l.reg.SetRecord(ctx, p); err != nil && salvor.ClassOf(err) != salvor.Conflict {
			return
		}
		pages = pages[1:]
	}
}

// Read lists the newest lines that are in the registry, the oldest of them first:
// those of a subject, "" all, and at most limit of them.
func (l *Log) Read(ctx context.Context, subject string, limit int) ([]Entry, error) {
	pages, err := l.pages(ctx)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for i := len(pages) - 1; i >= 0 && len(out) < limit; i-- {
		lines, err := parse(pages[i].Value)
		if err != nil {
			return nil, fmt.Errorf("audit page %s: %w", pages[i].Key, err)
		}
		for j := len(lines) - 1; j >= 0 && len(out) < limit; j-- {
			if subject == "" || lines[j].Subject == subject {
				out = append(out, lines[j])
			}
		}
	}
	slices.Reverse(out)
	return out, nil
}

func parse(page []byte) (out []Entry, err error) {
	for line := range bytes.Lines(page) {
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return out, salvor.Errorf(salvor.Internal, "a line cannot be read: %w", err)
		}
		out = append(out, e)
	}
	return out, nil
}
