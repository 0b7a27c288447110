// Package value reads what people write on a command line: sizes, rates,
// spans of time, deadlines.
//
// Each parser either returns what was meant or an error of class Invalid that
// says in one line what is wrong, with a hint that shows a right one.
package value

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"salvor"
)

var number = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)$`)

// units of Size. The bare letters are powers of 1024, as in wget and curl.
var units = map[string]float64{
	"": 1, "b": 1,
	"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40,
	"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	"kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
}

// maxSize leaves room for sums.
const maxSize = 1 << 60

// Size reads a number of bytes: 500MB, 1.5GiB, 64k, 4096. 0 and "none" mean
// no limit.
func Size(s string) (int64, error) {
	text := strings.TrimSpace(s)
	if strings.EqualFold(text, "none") {
		return 0, nil
	}
	m := number.FindStringSubmatch(text)
	if m == nil {
		return 0, sizeError(s)
	}
	unit, ok := units[strings.ToLower(m[2])]
	if !ok {
		return 0, sizeError(s)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil || n*unit > maxSize {
		return 0, salvor.Errorf(salvor.Invalid, "%q is too large a size", s).WithHint("write for example 500MB, 1.5GiB or 4096")
	}
	return int64(n * unit), nil
}

func sizeError(s string) error {
	return salvor.Errorf(salvor.Invalid, "%q is no size", s).
		WithHint("write for example 500MB, 1.5GiB or 4096 (k, M, G alone are powers of 1024)")
}

// ByteRate reads bytes a second: a size, perhaps with "/s".
func ByteRate(s string) (int64, error) {
	n, err := Size(strings.TrimSuffix(strings.TrimSpace(s), "/s"))
	if err != nil {
		return 0, salvor.Errorf(salvor.Invalid, "%q is no rate in bytes per second", s).
			WithHint("write for example 500KB, 2MiB/s, or 0 for no limit")
	}
	return n, nil
}

var rate = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(?: *(?:/|per ) *(s|sec|second|m|min|minute|h|hour))?$`)

var perUnit = map[byte]float64{'s': 1, 'm': 60, 'h': 3600}

// MaxRate is the highest request rate that means anything.
const MaxRate = 1e6

// Rate reads requests a second: 5, 0.5, 30/min, 100/h. 0 lifts the ceiling.
func Rate(s string) (float64, error) {
	m := rate.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, rateError(s)
	}
	r, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, rateError(s)
	}
	if m[2] != "" {
		r /= perUnit[m[2][0]]
	}
	if r > MaxRate {
		return 0, salvor.Errorf(salvor.Invalid, "%q is too high a rate", s).WithHint("write 0 to lift the ceiling")
	}
	if r > 0 && r < 0.001 {
		return 0, salvor.Errorf(salvor.Invalid, "%q is less than one request in 1000 s", s).WithHint("write for example 0.5 or 4/h")
	}
	return r, nil
}

func rateError(s string) error {
	return salvor.Errorf(salvor.Invalid, "%q is no request rate", s).
		WithHint("write requests per second, for example 5, 0.5 or 30/min; 0 lifts the ceiling")
}

var (
	spanPart = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)(w|d|h|m|s)`)
	spanUnit = map[string]time.Duration{"w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}
)

// maxSpan keeps sums of spans and times in the range of both.
const maxSpan = 100 * 365 * 24 * time.Hour

// span reads a duration with days and weeks: 18h, 36h30m, 2d, 1w2d. ok is
// Duration reads a time as 18h, 36h30m or 2d.
func Duration(s string) (time.Duration, error) {
	d, ok := span(s)
	if !ok || d < 0 {
		return 0, salvor.Errorf(salvor.Invalid, "%q is no duration", s).WithHint("write for example 18h, 36h30m or 2d")
	}
	return d, nil
}

// false when s is none.
func span(s string) (d time.Duration, ok bool) {
	if s == "" {
		return 0, false
	}
	var sum float64
	for s != "" {
		m := spanPart.FindStringSubmatch(s)
		if m == nil {
			return 0, false
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, false
		}
		sum += n * float64(spanUnit[m[2]])
		s = s[len(m[0]):]
	}
	if sum > float64(maxSpan) || math.IsNaN(sum) {
		return 0, false
	}
	return time.Duration(sum), true
}
