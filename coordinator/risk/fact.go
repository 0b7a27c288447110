package risk

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// fact is a signal of one subject, as all vantages together see it.
type fact struct {
	Signal
	subject     string
	first, last time.Time // of its sights
	count       int
	saw         []Vantage // now, or before it ended
	dissent     int       // vantages that looked and did not see it
	ended       time.Time // when the last vantage saw it end; zero: it has not
	newest      Run
	why         string // it is not counted; "" it is
}

// factKey names a fact, to leave it out or to take it as confirmed.
type factKey struct{ signal, subject string }

func (f *fact) key() factKey { return factKey{f.ID, f.subject} }

const (
	// around is how far apart two looks may be that are compared.
	around = time.Hour
	// healthy is how long a site must be well before what was wrong is dropped.
	healthy = 24 * time.Hour
	// streak is how many looks in a row count like a second vantage. Probes take
	// them within 15 minutes once something is wrong.
	streak = 3
	// faded is the weight below which a signal is not counted.
	faded = .05
)

// factsOf folds tracks over vantages. They are in the order of signals and
// subjects; which of them count is told by fact.why.
func factsOf(c *Catalogue, tracks []Track, now time.Time) (list []fact) {
	tracks = slices.DeleteFunc(slices.Clone(tracks), func(t Track) bool { return t.Now.First.After(now) })
	for i := 0; i < len(tracks); {
		j := i
		for j < len(tracks) && tracks[j].Signal == tracks[i].Signal && tracks[j].Subject == tracks[i].Subject {
			j++
		}
		if f, ok := factOf(c, tracks, tracks[i:j], now); ok {
			list = append(list, f)
		}
		i = j
	}
	return widen(c, list, tracks, now)
}

// seen is the run that saw it, now or last.
func (t Track) seen() (Run, bool) {
	if t.Now.Present {
		return t.Now, true
	}
	return t.Seen, t.Seen.Present
}

// factOf makes one of its tracks; false when nobody ever saw it.
func factOf(c *Catalogue, all, own []Track, now time.Time) (f fact, ok bool) {
	s, known := c.Signal(own[0].Signal)
	s.ID = own[0].Signal
	f = fact{Signal: s, subject: own[0].Subject}
	for _, t := range own {
		if r, ok := t.seen(); ok && r.Last.After(f.last) {
			f.last, f.newest = r.Last, r
		}
		if !t.Now.Present && t.Now.First.After(f.ended) {
			f.ended = t.Now.First
		}
	}
	if f.last.IsZero() {
		return f, false
	}
	if stillSeen(own, s.Confirm) {
		f.ended = time.Time{}
	}
	f.witnesses(c, all, own)
	switch {
	case !known:
		f.why = fmt.Sprintf("catalogue %d does not know it", c.Version)
	case !f.ended.IsZero() && !f.lingers(now):
		return f, false
	case s.Confirm && !f.confirmed():
		f.why = f.unconfirmed()
	}
	return f, true
}

// stillSeen says whether it is there: by the newest look, or by any vantage's if
// they are to be compared.
func stillSeen(own []Track, compared bool) bool {
	newest := slices.MaxFunc(own, func(a, b Track) int { return a.Now.Last.Compare(b.Now.Last) })
	return newest.Now.Present || compared && slices.ContainsFunc(own, func(t Track) bool { return t.Now.Present })
}

// lingers says whether what has ended still counts: health is believed after a
// day of it. What a registry says is believed at once.
func (f *fact) lingers(now time.Time) bool {
	return f.Role != RoleUp && (f.Event || f.Confirm) && now.Sub(f.ended) < healthy
}

// witnesses finds who saw it when it was last seen, and who looked since it began
// and did not.
func (f *fact) witnesses(c *Catalogue, all, own []Track) {
	f.first = f.last
	for _, t := range own {
		r, ok := t.seen()
		if !ok || r.Last.Before(f.last.Add(-around)) {
			continue
		}
		f.saw = append(f.saw, t.Vantage)
		f.count = max(f.count, r.Count)
		if r.First.Before(f.first) {
			f.first = r.First
		}
	}
	others, since := map[Vantage]bool{}, later(f.first, f.last.Add(-around))
	for _, t := range all {
		if !slices.Contains(f.saw, t.Vantage) && f.sameLook(c, t) && (t.Now.within(since, f.last) || t.Seen.within(since, f.last)) {
			others[t.Vantage] = true
		}
	}
	f.dissent = len(others)
}

// sameLook says whether a track tells what its vantage saw where f was seen.
func (f *fact) sameLook(c *Catalogue, t Track) bool {
	if t.Subject != f.subject {
		return false
	}
	s, ok := c.Signal(t.Signal)
	return t.Signal == f.ID || ok && f.Role.look() && s.Role.look()
}

// within says whether looks of a run lie between two moments, or around them.
func (r Run) within(from, to time.Time) bool {
	return r.Count > 0 && !r.First.After(to) && !r.Last.Before(from)
}

// confirmed is 2 of 3 vantages, or several looks in a row that none contradicts.
func (f *fact) confirmed() bool {
	n := len(f.saw)
	return n >= 2 && 3*n >= 2*(n+f.dissent) || f.dissent == 0 && f.count >= streak
}

func (f *fact) unconfirmed() string {
	if f.dissent > 0 {
		return fmt.Sprintf("%d of %d vantages saw otherwise", f.dissent, f.dissent+len(f.saw))
	}
	return fmt.Sprintf("seen %s by one vantage; it takes two, or %d looks", times(f.count), streak)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// age is what its weight fades by.
func (f *fact) age(now time.Time) time.Duration {
	age := now.Sub(f.last)
	if !f.Event && f.ended.IsZero() {
		age -= f.Fresh
	}
	return max(age, 0)
}

// fade is what is left of its weight, 0 to 1.
func (f *fact) fade(now time.Time) float64 {
	return math.Exp2(-float64(f.age(now)) / float64(max(f.Half, 1)))
}

// widen puts errors-wide in the place of errors that three vantages have seen
// for a day.
func widen(c *Catalogue, list []fact, tracks []Track, now time.Time) []fact {
	wide, ok := c.Signal(SigErrorsWide)
	nodes := map[string]bool{}
	for _, t := range tracks {
		if t.Signal == SigErrors && t.Now.Present && t.Now.Last.Sub(t.Now.First) >= healthy && now.Sub(t.Now.Last) < 6*time.Hour {
			nodes[t.Vantage.Node] = true
		}
	}
	if !ok || len(nodes) < 3 {
		return list
	}
	i := slices.IndexFunc(list, func(f fact) bool { return f.ID == SigErrors })
	list[i].Signal = wide
	return slices.DeleteFunc(list, func(f fact) bool { return f.ID == SigErrors })
}

func vantages(list []Vantage) (names []string) {
	for _, v := range list {
		names = append(names, v.Node)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// label is what a person reads of a fact.
func (a *Assessment) label(f *fact) string {
	text := f.Text
	if text == "" {
		text = "signal " + f.ID
	}
	if f.newest.Detail != "" {
		text += ": " + f.newest.Detail
	}
	if f.subject != "" && f.subject != a.Site && !strings.Contains(text, f.subject) {
		text += " (" + f.subject + ")"
	}
	return text
}
