package risk

import (
	"cmp"
	"slices"
	"time"

	"salvor"
)

// End is what a deadline ends.
type End uint8

const (
	EndHosting  End = iota // the site is not served any more
	EndAccess              // strangers are not let in any more
	EndAPI                 // pages outlive it: a date to know, which moves no clock
	EndReadOnly            // nothing new from then on: what was fetched before is fetched again
	EndContent             // parts are deleted
)

var endNames = [...]string{"hosting", "access", "api", "readonly", "content"}

func (e End) String() string { return nameOf(endNames[:], int(e)) }

// MarshalText is String, for JSON.
func (e End) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (e *End) UnmarshalText(b []byte) error { return readName(e, endNames[:], b, "end") }

// Clock is the clock that this end moves, if it moves one.
func (e End) Clock() (Clock, bool) {
	switch e {
	case EndHosting:
		return Host, true
	case EndAccess:
		return Access, true
	case EndContent:
		return Content, true
	}
	return 0, false
}

// Deadline is a dated record of a date. It is never changed: a later record
// replaces or withdraws it.
type Deadline struct {
	ID         uint32    `json:"id"` // of the site's records, from 1, given when it is added
	What       End       `json:"what"`
	At         time.Time `json:"at"`
	Zone       string    `json:"zone,omitempty"` // the announcement's, as IANA has it; "" UTC. At is shown in it
	Confidence float64   `json:"confidence"`     // that it is meant, 0 to 1; .9 to .98 for what an operator announced
	Law        string    `json:"law,omitempty"`  // of the catalogue: who ends it; "" company
	Source     string    `json:"source,omitempty"`
	Snapshot   string    `json:"snapshot,omitempty"` // SHA-256 of the announcement as captured, hex
	Record
	Withdrawn bool `json:"withdrawn,omitempty"` // it only takes back what Replaces names
}

// Record is what every dated record of a person has.
type Record struct {
	By       string    `json:"by"`                // who, as the audit log knows them
	Recorded time.Time `json:"recorded"`          // when
	Review   time.Time `json:"review,omitzero"`   // look at it again after
	Note     string    `json:"note,omitempty"`    // why, at most 500 bytes
	Replaces uint32    `json:"replaces,omitzero"` // an earlier record, by ID
}

// Check refuses what cannot be meant.
func (d Deadline) Check() error {
	if err := d.Record.check("deadline"); err != nil {
		return err
	}
	switch {
	case d.Withdrawn && d.Replaces == 0:
		return salvor.Errorf(salvor.Invalid, "deadline: a withdrawal names no record")
	case d.Withdrawn:
		return nil
	case int(d.What) >= len(endNames):
		return salvor.Errorf(salvor.Invalid, "deadline: nothing known ends")
	case !dated(d.At):
		return salvor.Errorf(salvor.Invalid, "deadline: no date")
	case !(d.Confidence > 0 && d.Confidence <= 1):
		return salvor.Errorf(salvor.Invalid, "deadline: a confidence of %g, not above 0 and at most 1", d.Confidence)
	case !tidy(d.Law, 0, 40), !tidy(d.Zone, 0, 64), !tidy(d.Source, 0, 2000):
		return salvor.Errorf(salvor.Invalid, "deadline: a text is too long or holds signs that cannot be shown")
	case d.Snapshot != "" && !isSHA256(d.Snapshot):
		return salvor.Errorf(salvor.Invalid, "deadline: the snapshot's hash is no SHA-256")
	}
	if _, err := time.LoadLocation(d.Zone); err != nil {
		return salvor.Errorf(salvor.Invalid, "deadline: there is no zone %q", d.Zone).
			WithHint("Use a name such as America/Los_Angeles or UTC.")
	}
	return nil
}

func (r Record) check(what string) error {
	switch {
	case !tidy(r.By, 1, 255):
		return salvor.Errorf(salvor.Invalid, "%s: nobody is named who says so", what)
	case !dated(r.Recorded), !r.Review.IsZero() && !dated(r.Review):
		return salvor.Errorf(salvor.Invalid, "%s: no date of the record", what)
	case !tidy(r.Note, 0, 500):
		return salvor.Errorf(salvor.Invalid, "%s: the note is too long, or no plain line", what)
	}
	return nil
}

// dated says whether t is a date that JSON can hold and arithmetic can use.
func dated(t time.Time) bool { return t.Year() >= 1990 && t.Year() <= 2200 }

// In is At in the announcement's zone.
func (d Deadline) In() time.Time {
	if at, err := time.LoadLocation(d.Zone); err == nil {
		return d.At.In(at)
	}
	return d.At.UTC()
}

// label is what a person reads of it.
func (d Deadline) label() string { return d.What.label(d.In()) }

func (e End) label(at time.Time) string {
	switch e {
	case EndAPI:
		return "the API ends " + date(at)
	case EndReadOnly:
		return "read-only from " + date(at)
	case EndContent:
		return "content is removed " + date(at)
	}
	return e.String() + " ends " + date(at)
}

// SafeShare is the part of the time left at the announcement after which all
// should be done: dates move forward, and access is closed before them.
const SafeShare = .65

// SafeBy is when to be done, planned from when the date was recorded.
func (d Deadline) SafeBy() time.Time {
	left := d.At.Sub(d.Recorded)
	return d.Recorded.Add(time.Duration(SafeShare * float64(max(left, 0)))).Truncate(time.Minute)
}

// Standing are the deadlines that hold: neither replaced nor withdrawn, the
// earliest first.
func (s Site) Standing() []Deadline {
	replaced := map[uint32]bool{}
	for _, d := range s.Deadlines {
		replaced[d.Replaces] = true
	}
	return slices.SortedFunc(func(yield func(Deadline) bool) {
		for _, d := range s.Deadlines {
			if !d.Withdrawn && !replaced[d.ID] && !yield(d) {
				return
			}
		}
	}, func(a, b Deadline) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
}

// Frozen is since when nothing new is posted, if it is: the last read-only date
// that has passed. What was captured before it is worth another look.
func (s Site) Frozen(now time.Time) (since time.Time, ok bool) {
	for _, d := range s.Standing() {
		if d.What == EndReadOnly && !d.At.After(now) {
			since, ok = d.At, true
		}
	}
	return since, ok
}
