// Package job is the seam between the command line and the engine: what
// `salvor save` asks for, and what came of it.
//
// The command parses, validates, locks the archive directory, prints and maps
// the result to an exit code. The engine crawls. Neither looks behind this
// package.
package job

import (
	"context"
	"log/slog"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/progress"
	"salvor/storage"
)

// Engine is what carries a job out.
type Engine interface {
	// Run crawls until it is done, or ordered to stop, or cannot go on, and
	// returns when everything is sealed and the report is written. Ends that
	// a Reason names are not errors; an error means that no report could be
	// made, and its class decides the exit code.
	//
	// When ctx ends, Run stops at once: nothing is sealed or reported, and
	// nothing that was acknowledged is lost. When j.Drain closes, it starts
	// no new request, finishes what is under way, seals and reports.
	Run(ctx context.Context, j Job) (Result, error)
	// Trace finds by which links an archive came to know a URL. The archive
	// may be in use by another process: then what its files tell must do.
	Trace(ctx context.Context, q Inquiry) (Trace, error)
	// Restore brings an archive from its Store into a directory that holds
	// none, as it was at a time; Run goes on from there. It is false when the
	// Store holds no archive.
	Restore(ctx context.Context, r Restoring) (found bool, at time.Time, err error)
	// Compact joins small segments of a Store elsewhere to objects of about
	// target bytes, and removes the originals of joins older than grace. Of
	// the Job it needs Dir, Settings, OpenStore, Progress, Logger and Version.
	Compact(ctx context.Context, j Job, target int64, grace time.Duration) (Compacted, error)
}

// Compacted is what joining did.
type Compacted struct {
	Joined  int      `json:"joined"`  // segments
	Into    int      `json:"objects"` // they were joined to
	Bytes   int64    `json:"bytes"`   // of these
	Removed int      `json:"removed"` // originals of earlier joins
	Waiting int      `json:"waiting"` // joins whose originals are kept for now
	Kept    []string `json:"kept,omitempty"`
}

// OpenStore opens a Store.
type OpenStore func(context.Context, StoreRequest) (storage.Store, error)

// StoreRequest says which Store, and how it is opened.
type StoreRequest struct {
	URL     string
	Notes   string      // directory for what is known of unfinished uploads; "" none
	Known   bool        // it was opened before: it need not answer now
	Trouble func(error) // hears of failures that are tried again; may be nil
}

// Restoring says what to bring where.
type Restoring struct {
	Store   storage.Store
	URL     string // of Store
	Dir     string
	Seeds   []Seed // of the command line, if any
	Force   bool   // also from a machine that seems to be at work
	Version string // of this program
}

// Job is one run of `salvor save`.
type Job struct {
	Dir      *archive.Dir // open and locked; the command closes it after Run
	Settings Settings
	Seeds    []Seed           // all of them: the archive's, and what this run added
	Resumed  bool             // the directory held a crawl before
	Round    int              // 1, and one more with every --again
	Again    bool             // start round Round now: crawl everything anew, with revisits
	Retry    []salvor.Outcome // queue these outcomes again
	Previous *Settings        // of the run before, when Resumed: what changed in scope

	Orders   control.State         // DIR/control as the run found it
	Control  <-chan control.Change // then what it asks for, where that says something, and each change; never closed before Run returns
	Drain    <-chan struct{}       // closed on the first signal, or on DIR/control/stop
	Progress progress.Sink         // takes snapshots and notices; never blocks
	Logger   *slog.Logger          // for people who debug; not nil
	Version  string                // of this program
	// OpenStore opens the Store that Settings.Store or Mirror names.
	OpenStore OpenStore
}

// Seed is a URL somebody named.
type Seed struct {
	URL    string    `json:"url"`              // canonical
	Given  string    `json:"given,omitempty"`  // as it was written, when that differs
	Source string    `json:"source,omitempty"` // "command line", "FILE:LINE"
	Added  time.Time `json:"added"`
	Value  float64   `json:"value,omitempty"` // of it and its directory; 0: nobody said
	New    bool      `json:"-"`               // not in the archive before this run
}

// Reason is why a run ended. Its text is part of the JSON contract.
type Reason string

const (
	Done        Reason = "done"        // every URL has a final answer or a recorded exclusion
	Failed      Reason = "failed"      // finished, some URLs failed
	Deadline    Reason = "deadline"    // the deadline passed first
	Limit       Reason = "limit"       // --limit-urls or --limit-bytes
	Interrupted Reason = "interrupted" // a signal, or DIR/control/stop
	NoSpace     Reason = "no_space"    // the disk filled up
)

// Final reports whether nothing is left to do: a resume would find no work.
func (r Reason) Final() bool { return r == Done || r == Failed }

// Result is how a run ended.
type Result struct {
	Reason   Reason
	Final    progress.Snapshot // the counters at the end
	Segments int               // sealed segments in the archive
	Bytes    int64             // of all segments
	Report   string            // path of report.html, when it was written
	Seeds    []SeedTrouble     // seeds that got no answer of any server
	Detail   string            // one line more about Reason; may be empty
}

// SeedTrouble is a seed that could not be fetched: what people get wrong most.
type SeedTrouble struct {
	URL     string
	Kind    TroubleKind
	Detail  string // the error's text
	Address string // of TroubleRefused: the address that was not dialled
}

// TroubleKind decides the remedy that is printed.
type TroubleKind string

const (
	TroubleNoHost  TroubleKind = "no_such_host"
	TroubleRefused TroubleKind = "refused_address"
	TroubleConnect TroubleKind = "unreachable" // no connection, no answer
	TroubleOther   TroubleKind = "other"
)

// Inquiry asks about one URL of an archive.
type Inquiry struct {
	Dir      *archive.Dir // opened for reading, not locked
	Settings Settings
	URL      string // canonical
}

// Trace is what an archive knows of a URL.
type Trace struct {
	Known   bool
	State   string         // queued, waiting, under_way, settled; tried: crawl.log knows it, and no answer came
	Outcome salvor.Outcome // when settled
	Reason  string
	Status  int
	At      time.Time
	Path    []Link // from the seed to the URL, the URL last; what is known of it
	Partial bool   // an earlier link could not be found
	Note    string // why not everything that the archive knows could be asked

	// What the engine put in force beside the settings, for judging the URL.
	Moved []string // targets of seeds' redirects: they are seeds too
	Live  []string // rules of DIR/control/exclude last in force
}

// Link is one step of a Trace.
type Link struct {
	URL string `json:"url"`
	Hop string `json:"hop,omitempty"` // Heritrix' letter; "" for the seed
}
