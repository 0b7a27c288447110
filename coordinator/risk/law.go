package risk

import (
	"math"
	"time"
)

// lost is the probability that a site whose date was announced for span after
// the record is lost within u of the record: some go before, most at the date,
// some later.
func (l Law) lost(u, span time.Duration) float64 {
	switch {
	case u < span:
		return l.Early * float64(max(u, 0)) / float64(span)
	case l.Late == 0:
		return 1
	}
	return 1 - l.Late*math.Exp(-float64(u-span)/float64(l.Tail))
}

// by is the probability that a deadline has taken the site by now plus t, given
// that the site was there at alive. So a date that passes with the site alive is
// believed less with every day.
func (d Deadline) by(l Law, now, alive time.Time, t time.Duration) float64 {
	span := d.At.Sub(d.Recorded)
	before := d.Confidence * l.lost(max(alive.Sub(d.Recorded), 0), span)
	if before >= 1 {
		return 1
	}
	until := d.Confidence * l.lost(now.Sub(d.Recorded)+t, span)
	return max(until-before, 0) / (1 - before)
}

// soon is the probability that what takes mean on average happens within t.
func soon(t, mean time.Duration) float64 { return -math.Expm1(-float64(t) / float64(mean)) }

func logit(p float64) float64 { return math.Log(p / (1 - p)) }

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// yearly turns a rate a year into a cumulated hazard.
func yearly(rate float64, t time.Duration) float64 { return rate * t.Hours() / (24 * 365) }

// hazard is the cumulated hazard that stands for a probability.
func hazard(p float64) float64 { return -math.Log1p(-min(p, 1)) }

// chance is the probability that stands for a cumulated hazard.
func chance(h float64) float64 { return -math.Expm1(-h) }

// sure is the largest probability an override's curve is made of.
const sure = .9999

// override's curve: a constant hazard that reaches its value in time.
func (o Override) by(now time.Time, t time.Duration) float64 {
	return chance(hazard(min(o.Value, sure)) * float64(t) / float64(o.within(now)))
}
