// Package control reads orders from DIR/control while a crawl runs.
//
// It is for operators, who write small files there (docs/control.md), and for
// the engine, which gets each change as a whole state: an order that was
// missed is in the next one.
package control

import (
	"regexp"

	"salvor"
)

// State is all that the files ask for.
type State struct {
	Exclude []Rule // in the order of the file
	// ExcludeUnread says that the exclude file could never be read so far, or has
	// a bad line: the rules of an earlier run stay in force.
	ExcludeUnread bool

	Rates     map[string]salvor.Pace // ceiling by host; "" is everybody's. Absent: the flag's holds
	PerOrigin int                    // connections an origin; 0: the flag's holds
	Paused    bool
	Stop      bool
}

// Rule is one line of the exclude file.
type Rule struct {
	Text   string // as written
	Line   int
	Regexp *regexp.Regexp
}

// Change is a new State and what is new about it, in words for a log.
type Change struct {
	State State
	What  []string
}
