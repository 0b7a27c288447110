package risk

import (
	"time"

	"salvor"
)

// Kind is what an override does.
type Kind uint8

const (
	Floor   Kind = iota // the probability of loss is at least Value: the safe one to use
	Ceiling             // at most
	Pin                 // exactly
	Mute                // Signal is not counted
	Threat              // the base rate is Value times higher: war, a court, insolvency
)

var kindNames = [...]string{"floor", "ceiling", "pin", "mute", "threat"}

func (k Kind) String() string { return nameOf(kindNames[:], int(k)) }

// MarshalText is String, for JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (k *Kind) UnmarshalText(b []byte) error { return readName(k, kindNames[:], b, "kind of override") }

// Override is a dated record of what a person knows better than the signals. It
// is never changed: a later record replaces or withdraws it.
//
// Floor, Ceiling and Pin say: lost by Until with probability Value; without
// Until, within 7 days from whenever it is asked. When Until has passed, a floor
// stays until it is withdrawn, as Value within a day; the others lapse. Both ask
// for a review.
type Override struct {
	ID      uint32    `json:"id"` // of the site's records, from 1, given when it is added
	Kind    Kind      `json:"kind"`
	Clock   Clock     `json:"clock"`             // Floor, Ceiling, Pin
	Value   float64   `json:"value,omitempty"`   // a probability, or Threat's factor of 1 to 30
	Until   time.Time `json:"until,omitzero"`    // for Mute and Threat: when it lapses
	Signal  string    `json:"signal,omitempty"`  // Mute
	Subject string    `json:"subject,omitempty"` // Mute: only of this; "" all
	Source  string    `json:"source,omitempty"`  // URL
	Record
	Withdrawn bool `json:"withdrawn,omitempty"` // it only takes back what Replaces names
}

// Check refuses what cannot be meant.
func (o Override) Check() error {
	if err := o.Record.check("override"); err != nil {
		return err
	}
	probable := o.Value >= 0 && o.Value <= 1
	switch {
	case o.Withdrawn && o.Replaces == 0:
		return salvor.Errorf(salvor.Invalid, "override: a withdrawal names no record")
	case o.Withdrawn:
		return nil
	case int(o.Kind) >= len(kindNames) || o.Clock >= Clocks:
		return salvor.Errorf(salvor.Invalid, "override: no kind or clock that is known")
	case o.Kind <= Pin && !probable:
		return salvor.Errorf(salvor.Invalid, "override: %s of %g is no probability", o.Kind, o.Value)
	case o.Kind == Mute && !tidy(o.Signal, 1, 40):
		return salvor.Errorf(salvor.Invalid, "override: no signal is named to mute")
	case o.Kind == Threat && !(o.Value >= 1 && o.Value <= 30):
		return salvor.Errorf(salvor.Invalid, "override: a threat of %g times the base rate, not 1 to 30", o.Value)
	case !o.Until.IsZero() && !dated(o.Until):
		return salvor.Errorf(salvor.Invalid, "override: no date until which it holds")
	case !tidy(o.Subject, 0, 255), !tidy(o.Source, 0, 2000):
		return salvor.Errorf(salvor.Invalid, "override: a text is too long or holds signs that cannot be shown")
	}
	return nil
}

// lapsed says whether it no longer counts.
func (o Override) lapsed(now time.Time) bool {
	return o.Kind != Floor && !o.Until.IsZero() && !now.Before(o.Until)
}

// within is by when, from now on, its value is reached.
func (o Override) within(now time.Time) time.Duration {
	if o.Until.IsZero() {
		return 7 * day
	}
	return max(o.Until.Sub(now), day)
}

// InForce are the overrides that hold: neither replaced, withdrawn nor lapsed,
// in the order of their records.
func (s Site) InForce(now time.Time) (list []Override) {
	for _, o := range s.standing() {
		if !o.lapsed(now) {
			list = append(list, o)
		}
	}
	return list
}

// standing are those neither replaced nor withdrawn.
func (s Site) standing() (list []Override) {
	replaced := map[uint32]bool{}
	for _, o := range s.Overrides {
		replaced[o.Replaces] = true
	}
	for _, o := range s.Overrides {
		if !o.Withdrawn && !replaced[o.ID] {
			list = append(list, o)
		}
	}
	return list
}

const day = 24 * time.Hour
