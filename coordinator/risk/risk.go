// Package risk says how likely a site is to be lost, by when, and why.
//
// It is for the coordinator, whose planner needs the odds that a site is still
// there at a moment (Assessment.Survival), and for the archivist, who needs to
// know what the odds rest on, what was not counted and what would change them
// (Assessment.Explain). All of it is values and pure functions: what probes saw
// (Observation) is folded into a History; what people know is a Site's dated
// Deadlines and Overrides; Assess makes an Assessment of the two. The weights
// are data, in catalogue.txt, and every Assessment names their version.
//
// It guarantees that the probability of loss is in [0,1] and never falls with
// time, that one vantage alone does not declare a site dead, that a person's
// override wins over every signal, and that each number can be traced to a dated
// observation or record. It does not guarantee that the weights are right: they
// are guesses until enough sites have died (docs/risk.md).
package risk

import (
	"slices"
	"strings"

	_ "time/tzdata" // zones of deadlines are known on every node

	"golang.org/x/net/publicsuffix"

	"salvor"
)

// Clock is a way a site is lost. They run side by side.
type Clock uint8

const (
	Host    Clock = iota // nobody is served any more
	Access               // others are served, crawlers or strangers are not
	Content              // pages vanish from a site that stays
	Clocks
)

var clockNames = [...]string{"host", "access", "content"}

func (c Clock) String() string { return nameOf(clockNames[:], int(c)) }

// MarshalText is String, for JSON.
func (c Clock) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (c *Clock) UnmarshalText(b []byte) error { return readName(c, clockNames[:], b, "clock") }

// State is what is true of a site now, apart from what may come. Unknown means
// that nobody looked.
type State uint8

const (
	Unknown State = iota
	OK
	Degraded   // it fails at times or for some, or was down less than a day ago
	DownByName // its name leads nowhere, its servers may still answer
	Down
	Overdue // the date of its end has passed, and it is there
	Gone    // down for three days, seen from two networks
)

var stateNames = [...]string{"UNKNOWN", "OK", "DEGRADED", "DOWN_BY_NAME", "DOWN", "OVERDUE", "GONE"}

func (s State) String() string { return nameOf(stateNames[:], int(s)) }

// MarshalText is String, for JSON.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (s *State) UnmarshalText(b []byte) error { return readName(s, stateNames[:], b, "state") }

// SiteOf is the site a host belongs to when no group names it: its registered
// domain by the public suffix list, or the host itself.
func SiteOf(host string) string {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if d, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return d
	}
	return host
}

func nameOf(names []string, i int) string {
	if i >= len(names) {
		return "unknown"
	}
	return names[i]
}

func readName[T ~uint8](to *T, names []string, b []byte, what string) error {
	i := slices.Index(names, string(b))
	if i < 0 {
		return salvor.Errorf(salvor.Invalid, "%q is no %s", b, what).WithHint("Use one of %s.", strings.Join(names, ", "))
	}
	*to = T(i)
	return nil
}
