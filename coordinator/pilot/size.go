package pilot

import (
	"math"

	"salvor/coordinator/plan"
)

// size estimates how much of a host is not found yet, from how many URLs of it
// each page that was begun brought lately: a branching process. Where a page
// brings less than one, the rest is a sum; where it brings more, no end is in
// sight, and only the host's rate bounds what can be fetched.
type size struct {
	found, begun float64 // lately: older pages count less and less
	total        float64 // pages begun
	accepted     int64
	fetched      int64
	known        bool // the counters above are of an earlier look
	listed       bool // it has a sitemap, or an index of all there is
}

const (
	// sizeMemory is over how many pages the branching is averaged; of a site of
	// which less is known, over half of what is.
	sizeMemory = 500.0
	// sizeBurst is what pages bring at most, on average over a look. More comes from a
	// sitemap or an index of all there is: after it less is to be found, not more.
	sizeBurst = 50.0
	// sizeLeast is how many pages must have been begun for it to be said.
	sizeLeast = 8.0
	// sizeMost bounds an estimate, as a multiple of what waits: near one page a
	// page it is of no use. Of a site that listed what there is it says less still,
	// until many pages were begun.
	sizeMost = 20.0
)

// take counts what is known of a host, and what of that was begun.
func (s *size) take(accepted, fetched int64) {
	if s.known && fetched > s.fetched {
		pages := float64(fetched - s.fetched)
		s.total += pages
		keep := math.Exp(-pages / min(max(s.total/2, sizeLeast), sizeMemory))
		found := float64(max(accepted-s.accepted, 0))
		if found > sizeBurst*pages {
			found, s.listed = 0, true
		}
		s.found, s.begun = s.found*keep+found, s.begun*keep+pages
		s.accepted, s.fetched = accepted, fetched
	}
	if !s.known || fetched < s.fetched { // a new leader knows less of what was begun
		s.accepted, s.fetched, s.known = accepted, fetched, true
	}
}

// rest is how many URLs are not found yet, of a host where some wait; endless where
// no end is in sight.
func (s *size) rest(waiting float64) (n float64, endless bool) {
	if s.total < sizeLeast {
		return 0, false
	}
	m, most := s.found/s.begun, waiting*sizeMost
	if s.listed {
		most *= min(s.total/sizeMemory, 1)
	}
	if m >= 1 {
		return most, true
	}
	return min(waiting*m/(1-m), most), false
}

// grown adds what is not found yet to the tiers: it is taken to be like what waits.
// Were it worth less, a site whose best pages are not found yet would seem to have
// time until later.
func grown(tiers []plan.Tier, n float64) []plan.Tier {
	left := 0.0
	for _, t := range tiers {
		left += t.Left
	}
	if n < 1 || left <= 0 {
		return tiers
	}
	for i := range tiers {
		tiers[i].Left *= (left + n) / left
	}
	return tiers
}
