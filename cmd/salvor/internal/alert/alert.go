// Package alert tells somebody what needs a person: each thing once, and with what
// to do, by a command of theirs or a webhook.
//
// It is for the node that leads group 0. What it has told is in memory: a new
// leader tells again what still holds. A command or a webhook that hangs holds up
// nothing but the next alert.
package alert

import (
	"slices"
	"strings"
	"time"
)

// Code is what kind of thing it is. It is a contract: docs/operating.md.
type Code string

const (
	Forecast Code = "forecast"  // less will be saved than was forecast
	Blocked  Code = "blocked"   // a host asks for a long pause, or bans
	Silent   Code = "silent"    // a host that is asked does not answer
	Store    Code = "store"     // the Store is away, or slow
	Disk     Code = "disk"      // a worker has no room
	Node     Code = "node"      // a node is not heard of
	Moved    Code = "moved"     // the deadline of a site was moved
	Overdue  Code = "overdue"   // its date has passed, and it is there
	NoWorker Code = "no-worker" // a crawl runs, and nobody works
)

// Condition is something that is so now.
type Condition struct {
	Code    Code
	Subject string // a host, site, crawl or node
	Text    string
	Hint    string // what to do
	Once    bool   // it happened: it is over as soon as it was told
}

// Alert is what is told, as JSON.
type Alert struct {
	At      time.Time `json:"at"`
	Code    Code      `json:"code"`
	Subject string    `json:"subject"`
	Cleared bool      `json:"cleared"` // it is so no more
	Text    string    `json:"text"`
	Hint    string    `json:"hint,omitempty"`
}

type key struct {
	code    Code
	subject string
}

// Book knows what was told. It is a pure state machine: time is given.
type Book struct {
	open map[key]*standing
}

type standing struct {
	Condition
	since time.Time
	seen  time.Time
	told  bool
}

const (
	// holdsFor is how long something must be so before it is told, and clearFor
	// how long it must not be so before that is: what flickers is told once.
	holdsFor = 10 * time.Second
	clearFor = 2 * time.Minute
)

// Look takes all that is so now, and returns what is to be told.
func (b *Book) Look(now time.Time, all []Condition) (out []Alert) {
	if b.open == nil {
		b.open = map[key]*standing{}
	}
	for _, c := range all {
		k := key{c.Code, c.Subject}
		s := b.open[k]
		if s == nil {
			s = &standing{since: now}
			b.open[k] = s
		}
		if c.Once && s.told && s.Text != c.Text { // it happened again
			s.told = false
		}
		s.Condition, s.seen = c, now
		if !s.told && (c.Once || now.Sub(s.since) >= holdsFor) {
			s.told = true
			out = append(out, Alert{At: now.UTC(), Code: c.Code, Subject: c.Subject, Text: c.Text, Hint: c.Hint})
		}
	}
	for k, s := range b.open {
		switch gone := now.Sub(s.seen); {
		case gone == 0:
		case !s.told || s.Once && gone >= clearFor:
			delete(b.open, k)
		case gone >= clearFor:
			delete(b.open, k)
			out = append(out, Alert{At: now.UTC(), Code: s.Code, Subject: s.Subject, Cleared: true, Text: "over: " + s.Text})
		}
	}
	slices.SortStableFunc(out, func(a, b Alert) int {
		return strings.Compare(string(a.Code)+"\x00"+a.Subject, string(b.Code)+"\x00"+b.Subject)
	})
	return out
}

// Open counts what stands now, by code.
func (b *Book) Open() map[Code]int {
	n := map[Code]int{}
	for k, s := range b.open {
		if s.told {
			n[k.code]++
		}
	}
	return n
}
