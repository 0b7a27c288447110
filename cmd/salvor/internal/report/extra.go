// Package report tells what a crawl saved, what it did not, and why: for the
// archivist who must answer for it, for the researcher who asks years later,
// and for scripts.
//
// Build reads everything from the coordinator's View and from Extra. Write
// puts the files into an archive directory; each is replaced atomically, so
// that a crash leaves the report of before or the new one. What report.json
// means is a contract, in docs/report.md.
package report

import (
	"time"

	"salvor"
)

// Names of the files that Write makes.
const (
	JSONFile      = "report.json"
	HTMLFile      = "report.html"
	SeedsFile     = "seeds-report.tsv"
	HostsFile     = "hosts-report.tsv"
	TypesFile     = "types-report.tsv"
	NotSavedFile  = "not-saved.tsv"
	ManifestFile  = "manifest-sha256.txt"
	ReportVersion = 1
)

// Extra is what the frontier does not know. Every field may be empty.
type Extra struct {
	Software    string // "salvor 0.1 (linux/amd64)"
	Name        string // of the crawl, as the operator calls it
	Operator    string
	Description string
	Settings    []Setting // as given on the command line, without secrets
	Started     time.Time // the first start
	Finished    time.Time // when the last request ended; zero while it runs
	Worked      time.Duration
	End         string // why it ended: done, failed, deadline, limit, interrupted, no_space; "" while it runs
	EndDetail   string
	Created     time.Time // of this report

	Samples       []Sample // cumulative, oldest first
	Seeds         []Seed
	Excludes      []Exclude // the rules in force, those without hits too
	Unreachable   []string  // origins whose robots.txt could not be fetched
	Certificates  []Certificate
	Interruptions []Interruption
	Mended        []Mended
	Missing       map[string]string // stored segments that are not as they were stored: what is wrong, by their key
	Store         *Store            // elsewhere; nil: the directory
	Notes         []string          // anything else a reader must know: scope changes ...
}

// Store says where the archive lies, if not in its directory.
type Store struct {
	URL      string  `json:"url"`
	Segments int64   `json:"segments"` // stored there
	Bytes    int64   `json:"bytes"`    // of these
	Copies   int     `json:"copies"`   // that a URL must have to count as saved
	Mirror   *Mirror `json:"mirror,omitempty"`
}

// Mirror is the second copy.
type Mirror struct {
	URL     string `json:"url"`
	Objects int64  `json:"objects"` // of all kinds that it holds
	Bytes   int64  `json:"bytes"`
	Missing int64  `json:"missing"` // objects that could not be copied at the last pass
}

// Setting is one setting in its spelling on the command line.
type Setting struct {
	Name  string `json:"name"` // with the dashes
	Value string `json:"value"`
}

// Sample is the crawl's counters at one moment.
type Sample struct {
	At    time.Time `json:"at"`
	URLs  int64     `json:"urls"`  // captures so far
	Bytes int64     `json:"bytes"` // captured so far
}

// Seed is a URL somebody named. Where Outcome is open and Key is set, Build
// looks it up.
type Seed struct {
	URL     string         `json:"url"`
	Source  string         `json:"source,omitempty"` // "command line", "FILE:LINE"
	Target  string         `json:"target,omitempty"` // where it redirected to, a seed from then on
	Host    string         `json:"-"`
	Key     salvor.Key     `json:"-"`
	Outcome salvor.Outcome `json:"-"`
	Status  int            `json:"status,omitempty"`
	Reason  string         `json:"reason,omitempty"`
}

// Exclude is a rule that keeps URLs out. The reason recorded with a URL is ID.
type Exclude struct {
	ID      string `json:"rule"`
	Pattern string `json:"pattern,omitempty"`
	Source  string `json:"source,omitempty"` // "command line", "built-in set global", "DIR/control"
	Hits    int64  `json:"hits"`             // filled in by Build
}

// Certificate is one that no browser would have accepted; it never prevents a
// capture.
type Certificate struct {
	Host     string `json:"host"`
	Problem  string `json:"problem"`
	Captures int64  `json:"captures"`
}

// Interruption is a time in which nobody crawled.
type Interruption struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to,omitzero"` // zero: not resumed
	Why  string    `json:"why,omitempty"`
}

// Mended is a segment that a crash left open.
type Mended struct {
	Segment string `json:"segment"`
	Cut     int64  `json:"cut_bytes"` // of its last, incomplete record
	Records int64  `json:"records,omitempty"`
}
