package drill

import (
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// arguments are what a setting is said to be. The first mistake is kept, and end
// returns it.
type arguments struct {
	key  string
	args []string
	err  error
}

// span is a range of numbers, or of times in nanoseconds; one number is a range
// too. Numbers are spread by factors, times by sums.
type span struct {
	from, to float64
	linear   bool
}

// part is the value at a part of a span, 0 to 1.
func (s span) part(p float64) float64 {
	switch {
	case s.from == s.to:
		return s.to
	case s.linear || s.from <= 0:
		return s.from + (s.to-s.from)*p
	}
	return s.from * math.Pow(s.to/s.from, p)
}

func (a *arguments) fail(hint, format string, args ...any) {
	if a.err == nil {
		a.err = salvor.Errorf(salvor.Invalid, "%s: %s", a.key, fmt.Sprintf(format, args...)).WithHint("%s", hint)
	}
}

// next is the next argument; what is what it should be.
func (a *arguments) next(what string) string {
	if len(a.args) == 0 {
		a.fail("docs/drill.md has all settings", "it lacks %s", what)
		return ""
	}
	s := a.args[0]
	a.args = a.args[1:]
	return s
}

// end is the first mistake, or that something was left over.
func (a *arguments) end() error {
	if a.err == nil && len(a.args) > 0 {
		a.fail("leave it out, or begin a new line", "%q is too much", strings.Join(a.args, " "))
	}
	return a.err
}

func (a *arguments) word(what string) string {
	s := a.next(what)
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			a.fail("write it with a to z, 0 to 9 and -", "%q is no name", s)
		}
	}
	if len(s) > 40 {
		a.fail("write it with 40 letters at most", "%q is too long", s)
	}
	return s
}

func (a *arguments) literal(word string) {
	if s := a.next(strconv.Quote(word)); s != word {
		a.fail("docs/drill.md has all settings", "%q stands where %q belongs", s, word)
	}
}

func (a *arguments) number(least, most float64) float64 {
	return a.parse(a.next("a number"), least, most)
}

func (a *arguments) parse(s string, least, most float64) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil || !(x >= least && x <= most) {
		a.fail(fmt.Sprintf("write a number from %g to %g", least, most), "%q is none", s)
		return 0
	}
	return x
}

func (a *arguments) whole(least, most int) int {
	s := a.next("a number")
	n, err := strconv.Atoi(s)
	if err != nil || n < least || n > most {
		a.fail(fmt.Sprintf("write a whole number from %d to %d", least, most), "%q is none", s)
		return 0
	}
	return n
}

// share is a part of the whole, as 10%.
func (a *arguments) share() float64 {
	s := a.next("a share")
	digits, ok := strings.CutSuffix(s, "%")
	if !ok {
		a.fail("write for example 10%", "%q is no share", s)
		return 0
	}
	return a.parse(digits, 0, 100) / 100
}

// longest is how long a scenario may be.
const longest = 10 * 365 * 24 * time.Hour

func (a *arguments) time() time.Duration { return a.duration(a.next("a time")) }

func (a *arguments) duration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > longest {
		a.fail("write for example 90s, 2m or 36h", "%q is no time", s)
		return 0
	}
	return d
}

// from and until are the times of "from 10s to 20s"; from may stand alone.
func (a *arguments) from() time.Duration  { a.literal("from"); return a.time() }
func (a *arguments) until() time.Duration { a.literal("to"); return a.time() }

// heard is "0s 60s", "0s dies" or "0s".
func (a *arguments) heard() (h heard) {
	h.at = a.time()
	switch {
	case len(a.args) == 0:
	case a.args[0] == "dies":
		h.dies = true
		a.next("")
	default:
		h.deadline = a.time()
	}
	return h
}

// span is a number, or two with to between.
func (a *arguments) span(least, most float64) (s span) {
	s.from = a.number(least, most)
	s.to = s.from
	if len(a.args) > 0 {
		a.literal("to")
		s.to = a.number(least, most)
	}
	return s
}

// moments is a time, two with to between, or never.
func (a *arguments) moments() (s span) {
	if len(a.args) > 0 && a.args[0] == "never" {
		a.next("")
		return s
	}
	s.linear = true
	s.from = float64(a.time())
	s.to = s.from
	if len(a.args) > 0 {
		s.to = float64(a.until())
	}
	return s
}

// numbered is a name with a number, with as many digits as the last has.
func numbered(name string, i, of int) string {
	return fmt.Sprintf("%s%0*d", name, max(len(strconv.Itoa(of)), 2), i)
}

func sum(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s)) // never fails
	return h.Sum64()
}
