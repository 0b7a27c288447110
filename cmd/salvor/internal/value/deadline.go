package value

import (
	"cmp"
	"regexp"
	"strings"
	"time"

	"salvor"
)

// DeadlineHint shows every form.
const DeadlineHint = `write for example "2026-12-01 18:00 +01:00", 2026-12-01T17:00:00Z, or a duration such as 18h, 36h30m, 2d`

var (
	// stampForm is a date, perhaps a time of day, and whatever is the zone.
	stampForm = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[Tt ] *([0-9]{1,2}:[0-9]{2})(:[0-9]{2}(?:\.[0-9]+)?)?)? *(.*)$`)
	offset    = regexp.MustCompile(`^(?:UTC|GMT)?([+-])([0-9]{2}):?([0-9]{2})?$`)
	abbrev    = regexp.MustCompile(`^[A-Za-z]{1,5}$`)
)

// Deadline reads a moment, or a duration from now on. relative says which: a
// duration becomes absolute when a crawl starts for the first time and stays
// so. "none" is the zero time.
func Deadline(s string, now time.Time) (at time.Time, relative bool, err error) {
	text := strings.TrimSpace(s)
	if strings.EqualFold(text, "none") {
		return time.Time{}, false, nil
	}
	if d, ok := span(strings.TrimPrefix(text, "+")); ok {
		if d == 0 {
			return time.Time{}, false, invalid("the deadline %q leaves no time", s)
		}
		return now.Add(d).Truncate(time.Second), true, nil
	}
	m := stampForm.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, false, invalid("%q is no deadline", s)
	}
	date, clock, seconds, zone := m[1], m[2], m[3], m[4]
	if clock == "" {
		return time.Time{}, false, invalid("the deadline %q has no time of day", s)
	}
	if len(clock) == len("9:00") {
		clock = "0" + clock
	}
	loc, err := location(s, zone)
	if err != nil {
		return time.Time{}, false, err
	}
	if seconds == "" {
		seconds = ":00"
	}
	at, perr := time.ParseInLocation("2006-01-02 15:04:05", date+" "+clock+seconds, loc)
	if perr != nil {
		return time.Time{}, false, invalid("the deadline %q does not exist in the calendar", s)
	}
	// A clock that is put forward skips an hour: what was written would
	// silently become another time.
	if at.Format("2006-01-02 15:04") != date+" "+clock {
		return time.Time{}, false, invalid("the deadline %q does not exist: clocks are changed at that time there", s)
	}
	return at, false, nil
}

// location reads what follows the time: Z, +01:00, +0100, UTC, Europe/Berlin.
// Abbreviations such as CET or PST are refused: several zones share most of
// them, and a deadline that is an hour off is the worst of all answers.
func location(s, zone string) (*time.Location, error) {
	switch {
	case zone == "":
		return nil, salvor.Errorf(salvor.Invalid, "the deadline %q has no zone", s).
			WithHint(`add the offset, for example "%s +01:00", or Z for UTC`, strings.TrimSpace(s))
	case strings.EqualFold(zone, "z"), strings.EqualFold(zone, "utc"), strings.EqualFold(zone, "gmt"):
		return time.UTC, nil
	}
	if m := offset.FindStringSubmatch(zone); m != nil {
		t, err := time.Parse("-07:00", m[1]+m[2]+":"+cmp.Or(m[3], "00"))
		if err != nil || m[2] > "14" {
			return nil, invalid("the deadline %q has no such offset from UTC", s)
		}
		_, sec := t.Zone()
		return time.FixedZone("", sec), nil
	}
	if abbrev.MatchString(zone) {
		return nil, salvor.Errorf(salvor.Invalid, "the zone %s of the deadline %q means different things to different people", zone, s).
			WithHint("write its offset instead, for example +01:00, or a place such as Europe/Berlin")
	}
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "Local" || !strings.Contains(zone, "/") {
		return nil, invalid("the deadline %q has an unknown zone", s)
	}
	return loc, nil
}

func invalid(format string, args ...any) error {
	return salvor.Errorf(salvor.Invalid, format, args...).WithHint(DeadlineHint)
}
