package report

import (
	"time"

	"salvor"
)

// Bounds of what report.json and report.html list. The TSV files are complete.
const (
	maxHosts    = 1000
	maxExamples = 500
	maxSamples  = 600
	maxRobots   = 1000
	maxSeeds    = 10_000
)

// Report is report.json.
type Report struct {
	Format   string    `json:"format"` // "salvor-report"
	Version  int       `json:"version"`
	Software string    `json:"software,omitempty"`
	Created  time.Time `json:"created"`
	Headline string    `json:"headline"`
	Crawl    Crawl     `json:"crawl"`
	Totals   Totals    `json:"totals"`
	Outcomes []Outcome `json:"outcomes"` // only those that occur, in fixed order
	Reasons  []Reason  `json:"reasons"`  // of what was not saved, most first
	NotSaved NotSaved  `json:"not_saved"`
	CutShort []Reason  `json:"cut_short"` // of what was saved: answers that did not come to their end

	Excludes []Exclude   `json:"excludes"`
	Robots   Robots      `json:"robots"`
	Hosts    []Host      `json:"hosts"`
	MoreHost int         `json:"hosts_more"` // not listed here
	Types    []TypeCount `json:"types"`
	Codes    []CodeCount `json:"codes"`

	Throughput []Sample  `json:"throughput"`
	Seeds      []SeedRow `json:"seeds"`
	MoreSeeds  int       `json:"seeds_more"`
	Segments   []Segment `json:"segments"`
	Store      *Store    `json:"store,omitempty"`

	Certificates  []Certificate  `json:"certificates"`
	Interruptions []Interruption `json:"interruptions"`
	Mended        []Mended       `json:"mended"`
	Notes         []string       `json:"notes"`
	Settings      []Setting      `json:"settings"`

	allHosts []Host // for the TSV
	allSeeds []SeedRow
}

// Crawl says which crawl it was and when.
type Crawl struct {
	ID          salvor.CrawlID `json:"id"`
	Name        string         `json:"name"`
	Operator    string         `json:"operator,omitempty"`
	Description string         `json:"description,omitempty"`
	State       string         `json:"state"`
	End         string         `json:"end,omitempty"`
	EndDetail   string         `json:"end_detail,omitempty"`
	Started     time.Time      `json:"started,omitzero"`
	Finished    time.Time      `json:"finished,omitzero"`
	Deadline    time.Time      `json:"deadline,omitzero"`
	WorkedMS    int64          `json:"worked_ms,omitempty"`
}

// Totals are the crawl's counters. Known = Open + the sum of the outcomes.
type Totals struct {
	Known      int64   `json:"known"`
	Saved      int64   `json:"saved"`       // saved and revisit
	SavedShare float64 `json:"saved_share"` // of known, 0 to 1
	Answered   int64   `json:"answered"`    // the server's final answer is in the archive
	Excluded   int64   `json:"excluded"`
	Open       int64   `json:"open"` // no outcome yet, and time left
	Captures   int64   `json:"captures"`
	Bytes      int64   `json:"bytes"`
	Late       int64   `json:"late"`
	Duplicates int64   `json:"duplicates"`
}

// Outcome is how many URLs ended in one way.
type Outcome struct {
	Name    string  `json:"outcome"`
	URLs    int64   `json:"urls"`
	Share   float64 `json:"share"` // of known
	Meaning string  `json:"meaning"`
}

// Reason is why URLs were not saved.
type Reason struct {
	Outcome string `json:"outcome"`
	Text    string `json:"reason"`
	URLs    int64  `json:"urls"`
}

// NotSaved bounds the list of URLs that were not saved.
type NotSaved struct {
	URLs     int64    `json:"urls"`
	Examples []Missed `json:"examples"` // what went wrong first, exclusions last
	More     int64    `json:"more"`     // not listed here
	List     string   `json:"list"`     // the file with all of them
}

// Missed is a URL that was not saved.
type Missed struct {
	URL     string    `json:"url"`
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason,omitempty"`
	Status  int       `json:"status,omitempty"`
	Tries   int       `json:"tries,omitempty"`
	Via     string    `json:"via,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// Robots is what robots.txt kept out.
type Robots struct {
	Policy      string   `json:"policy,omitempty"`
	Excluded    int64    `json:"excluded"`
	Origins     []Origin `json:"origins"`
	Unreachable []string `json:"unreachable"`
}

// Origin is one robots.txt.
type Origin struct {
	Origin   string    `json:"origin"`
	Status   string    `json:"status"` // rules, none, unreachable
	Fetched  time.Time `json:"fetched,omitzero"`
	Excluded int64     `json:"excluded"` // URLs of its host that a robots.txt kept out
}

// Host is one host's share.
type Host struct {
	Name     string           `json:"host"`
	Known    int64            `json:"known"`
	Saved    int64            `json:"saved"`
	Open     int64            `json:"open"`
	Captures int64            `json:"captures"`
	Bytes    int64            `json:"bytes"`
	Robots   int64            `json:"robots"`
	Outcomes map[string]int64 `json:"outcomes"`
	Rate     float64          `json:"rate,omitempty"`    // requests a second at the end; 0 no limit
	Ceiling  float64          `json:"ceiling,omitempty"` // 0 no limit
	Blocked  time.Time        `json:"blocked_until,omitzero"`
	Note     string           `json:"note,omitempty"`
}

// TypeCount is captures of one media type.
type TypeCount struct {
	Type  string `json:"type"`
	URLs  int64  `json:"urls"`
	Bytes int64  `json:"bytes"`
}

// CodeCount is captures of one status: HTTP's, or Heritrix' negative codes.
type CodeCount struct {
	Code    int    `json:"code"`
	Meaning string `json:"meaning,omitempty"`
	URLs    int64  `json:"urls"`
	Bytes   int64  `json:"bytes"`
}

// SeedRow is what became of a seed.
type SeedRow struct {
	Seed
	Outcome string `json:"outcome"`
}

// Segment is one WARC file.
type Segment struct {
	ID     salvor.SegmentID `json:"id"`
	Name   string           `json:"name"`
	Path   string           `json:"path,omitempty"` // in the Store
	State  string           `json:"state"`          // open, sealed, stored
	Base   int64            `json:"base,omitempty"`
	Bytes  int64            `json:"bytes"`
	SHA256 string           `json:"sha256,omitempty"`

	Problem string `json:"problem,omitempty"` // it is not as it was stored
}
