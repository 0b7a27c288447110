package rescue

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"salvor/cmd/salvor/internal/archive"
	"salvor/storage/durable"
)

// memory is what a resume must know beside the frontier: small, and replaced
// as a whole before anything depends on it.
type memory struct {
	Scope    string   `json:"scope"`              // fingerprint of the scope in force
	Moved    []move   `json:"moved,omitempty"`    // of older archives: the file of moves has them
	Excludes []string `json:"excludes,omitempty"` // live rules of DIR/control last in force
	Narrowed bool     `json:"narrowed,omitempty"` // what is queued may not belong any more
	Loosened bool     `json:"loosened,omitempty"` // what was excluded may belong again
	Widened  bool     `json:"widened,omitempty"`  // links that were left outside may belong now
	Values   string   `json:"values,omitempty"`   // fingerprint of the value rules in force
	Unranked bool     `json:"unranked,omitempty"` // what is queued may not be in the place of its value
	Judged   int      `json:"judged,omitempty"`   // moves of seeds that the last rescan knew
	Rated    []string `json:"rated,omitempty"`    // hosts that DIR/control/rate gave a ceiling of their own
	Runs     []span   `json:"runs"`               // of the archive, this one last
	Samples  []sample `json:"samples,omitempty"`  // of throughput, all runs
	Mended   []mended `json:"mended,omitempty"`   // segments that a crash left open

	Certificates []certificate `json:"certificates,omitempty"` // invalid ones met

	LogOffset   int64 `json:"log_offset"`   // of crawl.log: lines before it were reported
	LogArchived int64 `json:"log_archived"` // of crawl.log: what is in a segment
}

// span is one run.
type span struct {
	Begin time.Time `json:"begin"`
	End   time.Time `json:"end,omitzero"` // zero: the process was killed
	Seen  time.Time `json:"seen"`         // alive
	Why   string    `json:"why,omitempty"`
}

type mended struct {
	Segment string `json:"segment"`
	Cut     int64  `json:"cut"`
	Records int64  `json:"records"`
}

type certificate struct {
	Host     string `json:"host"`
	Problem  string `json:"problem"`
	Captures int64  `json:"captures"`
}

// sample is the crawl's counters at one moment.
type sample struct {
	At    time.Time `json:"at"`
	URLs  int64     `json:"urls"`
	Bytes int64     `json:"bytes"`
}

const memoryFile = "rescue.json"

func (m *memory) load(d *archive.Dir) error {
	b, err := os.ReadFile(d.State(memoryFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return durable.Error(err, "read", d.State(memoryFile))
	}
	return json.Unmarshal(b, m)
}

func (m *memory) save(d *archive.Dir) error {
	return durable.WriteFile(d.State(memoryFile), func(w io.Writer) error { return json.NewEncoder(w).Encode(m) })
}
