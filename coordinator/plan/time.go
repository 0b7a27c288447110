package plan

import (
	"math"
	"slices"
)

// cut divides time into intervals: at the moments when a host is lost or the
// capacity changes, and between them finely near now and coarsely far away.
// What lies close together is cut once, after which the planner looks again
// anyway.
func cut(in *Input) []float64 {
	var moments []float64
	end := 0.0
	for i := range in.Hosts {
		s := in.Hosts[i].Survival
		if len(s) == 0 || s[len(s)-1].P > 0 {
			end = max(end, horizon) // it stays: what others leave it later counts
		}
		for j := range s {
			end = max(end, s[j].At)
			if j > 0 && s[j].At == s[j-1].At && s[j].P != s[j-1].P {
				moments = append(moments, s[j].At)
			}
		}
	}
	for _, s := range in.Capacity {
		if s.From > 0 {
			moments = append(moments, s.From)
		}
	}
	slices.Sort(moments)
	moments = slices.Compact(moments)
	end = max(end, in.every())
	if len(moments) > 0 {
		end = max(end, moments[len(moments)-1])
	}
	return merge(moments, firstLength(moments, in.every()), end, in.intervals())
}

// intervals is into how many time is cut at most: two for each host's date, while
// that is neither coarse nor slow.
func (in *Input) intervals() int {
	n := min(len(in.Hosts), MaxHosts)
	return max(min(2*n, cells/n, mostIntervals), leastIntervals)
}

// firstLength is that of the first interval: no moment lies within it, unless
// within a second.
func firstLength(moments []float64, every float64) float64 {
	for _, m := range moments {
		if m >= 1 {
			return min(every, m)
		}
	}
	return every
}

// merge adds steps of a growing length to the moments, and keeps those moments
// that lie furthest from their neighbours, in proportion to how far away they
// are.
func merge(moments []float64, first, end float64, most int) []float64 {
	bounds := []float64{0, first}
	for _, m := range moments {
		if m > first && m <= end {
			bounds = append(bounds, m)
		}
	}
	for len(bounds) > most*3/4 {
		bounds = closest(bounds)
	}
	spare := most - len(bounds)
	if end > first {
		growth := math.Pow(end/first, 1/float64(spare))
		for i, t := 1, first*growth; i <= spare; i, t = i+1, t*growth {
			bounds = append(bounds, min(t, end))
		}
		bounds = append(bounds, end)
	}
	slices.Sort(bounds)
	return apart(bounds, moments)
}

// closest leaves out the moment that is closest to the one before it.
func closest(bounds []float64) []float64 {
	at, least := 2, math.Inf(1)
	for i := 2; i < len(bounds)-1; i++ {
		if gap := (bounds[i+1] - bounds[i]) / bounds[i+1]; gap < least {
			at, least = i, gap
		}
	}
	return slices.Delete(bounds, at, at+1)
}

// apart leaves out steps that lie within a tenth of another bound; moments stay.
func apart(bounds, moments []float64) []float64 {
	out := bounds[:1]
	for i, b := range bounds[1:] {
		last := out[len(out)-1]
		_, exact := slices.BinarySearch(moments, b)
		near := b-last < last/10 || b == last
		switch {
		case !near, len(out) == 1:
			out = append(out, b)
		case b == last:
		case exact && i > 0:
			if _, was := slices.BinarySearch(moments, last); was || len(out) == 2 {
				out = append(out, b)
			} else {
				out[len(out)-1] = b
			}
		}
	}
	return out
}
