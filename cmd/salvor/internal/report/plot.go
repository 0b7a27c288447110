package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// plot is a step curve over time. The drawing is 1000 by 100 units and is
// stretched to the page; labels are text beside it, so that they keep their
// size on a phone.
type plot struct {
	Title, Sub, Label string
	Curve, Area       string
	Y                 []yTick
	X                 []xTick
	Pauses            []pause
}

type yTick struct{ At, Bottom, Text string }
type xTick struct{ Left, Text string }
type pause struct{ X, W, Text string }

// step is the mean rate between two samples.
type step struct {
	from, to time.Time
	rate     float64
	idle     bool // nobody crawled
}

// maxSteps is how many a page's width can show.
const maxSteps = 240

// plots draws captures and bytes a second; none with fewer than two samples.
func plots(samples []Sample, breaks []Interruption) []plot {
	samples = thin(samples, maxSteps)
	urls := steps(samples, breaks, func(s Sample) int64 { return s.URLs })
	if len(urls) == 0 {
		return nil
	}
	bytes := steps(samples, breaks, func(s Sample) int64 { return s.Bytes })
	return []plot{
		draw("Captures a second", urls, breaks, rateText),
		draw("Bytes a second", bytes, breaks, func(f float64) string { return size(int64(f)) }),
	}
}

// steps turns cumulative counters into rates. A counter that falls, which a
// restart may cause, is no negative work.
func steps(samples []Sample, breaks []Interruption, value func(Sample) int64) []step {
	var out []step
	for i := 1; i < len(samples); i++ {
		a, b := samples[i-1], samples[i]
		if d := b.At.Sub(a.At).Seconds(); d > 0 {
			rate := max(float64(value(b)-value(a)), 0) / d
			out = append(out, step{a.At, b.At, rate, idle(a.At, b.At, breaks)})
		}
	}
	return out
}

// idle says whether more than half of a time lies in interruptions.
func idle(from, to time.Time, breaks []Interruption) bool {
	var sum time.Duration
	for _, b := range breaks {
		end := to
		if !b.To.IsZero() && b.To.Before(to) {
			end = b.To
		}
		begin := from
		if b.From.After(from) {
			begin = b.From
		}
		sum += max(end.Sub(begin), 0)
	}
	return sum > to.Sub(from)/2
}

func draw(title string, s []step, breaks []Interruption, text func(float64) string) plot {
	from, to := s[0].from, s[len(s)-1].to
	x := func(t time.Time) float64 { return 1000 * t.Sub(from).Seconds() / to.Sub(from).Seconds() }
	most, at, mean := summary(s)
	limit := niceCeil(most)
	y := func(rate float64) float64 { return 100 - 100*rate/limit }
	p := plot{Title: title, Sub: fmt.Sprintf("mean %s, highest %s", text(mean), text(most)), X: timeTicks(from, to, x)}
	p.Label = fmt.Sprintf("%s from %s to %s: mean %s, highest %s at %s.", title, stamp(from), stamp(to), text(mean), text(most), stamp(at))
	p.Curve, p.Area = paths(s, x, y)
	for _, f := range []float64{0, .5, 1} {
		p.Y = append(p.Y, yTick{decimal(100 - 100*f), decimal(100 * f), text(limit * f)})
	}
	for _, b := range breaks {
		left, right := min(max(x(b.From), 0), 1000), 1000.0
		if !b.To.IsZero() {
			right = min(max(x(b.To), 0), 1000)
		}
		if right > left {
			p.Pauses = append(p.Pauses, pause{decimal(left), decimal(right - left), strings.TrimSuffix("interrupted: "+b.Why, ": ")})
		}
	}
	return p
}

// summary finds the highest step and the mean of the time at work.
func summary(s []step) (most float64, at time.Time, mean float64) {
	var work, sum float64
	at = s[0].from
	for _, st := range s {
		if st.rate > most {
			most, at = st.rate, st.from
		}
		if d := st.to.Sub(st.from).Seconds(); !st.idle {
			work += d
			sum += d * st.rate
		}
	}
	if work > 0 {
		mean = sum / work
	}
	return most, at, mean
}

// paths draws the steps; the curve breaks where nobody crawled.
func paths(s []step, x func(time.Time) float64, y func(float64) float64) (curve, area string) {
	var c, a strings.Builder
	open := false
	for i, st := range s {
		if st.idle {
			open = false
			continue
		}
		left, right, at := decimal(x(st.from)), decimal(x(st.to)), decimal(y(st.rate))
		if open {
			fmt.Fprintf(&c, "V%sH%s", at, right)
			fmt.Fprintf(&a, "V%sH%s", at, right)
		} else {
			fmt.Fprintf(&c, "M%s %sH%s", left, at, right)
			fmt.Fprintf(&a, "M%s 100V%sH%s", left, at, right)
			open = true
		}
		if i == len(s)-1 || s[i+1].idle {
			a.WriteString("V100Z")
		}
	}
	return c.String(), a.String()
}

// niceCeil is the next of 1, 2, 5, 10 ... at or above f.
func niceCeil(f float64) float64 {
	if f <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(f)))
	for _, m := range []float64{1, 2, 5, 10} {
		if m*unit >= f*(1-1e-9) {
			return m * unit
		}
	}
	return 10 * unit
}

func rateText(f float64) string {
	switch {
	case f == 0:
		return "0"
	case f < 9.95:
		return strconv.FormatFloat(f, 'g', 2, 64)
	}
	return count(int64(math.Round(f)))
}

var tickSteps = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour,
	3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 30 * 24 * time.Hour, 365 * 24 * time.Hour,
}

// timeTicks are at most eight round times; between the margins, so that their
// labels stay on the page.
func timeTicks(from, to time.Time, x func(time.Time) float64) []xTick {
	every := tickSteps[len(tickSteps)-1]
	for _, d := range tickSteps {
		if to.Sub(from) <= 8*d {
			every = d
			break
		}
	}
	layout := "15:04"
	switch {
	case every < time.Minute:
		layout = "15:04:05"
	case every >= 24*time.Hour:
		layout = "2 Jan"
	case to.Sub(from) > 24*time.Hour:
		layout = "2 Jan 15:04"
	}
	var out []xTick
	for t := from.UTC().Truncate(every).Add(every); !t.After(to); t = t.Add(every) {
		if at := x(t); at >= 20 && at <= 980 {
			out = append(out, xTick{decimal(at / 10), t.Format(layout)})
		}
	}
	return out
}
