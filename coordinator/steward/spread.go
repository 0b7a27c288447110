package steward

import (
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/shares"
)

// spread is what is remembered of a budget group, by Raft group. All of it is
// soft.
type spread struct {
	parts   []part
	agreed  salvor.Pace // the rate that all have or were told; 0 not known yet
	owners  []int       // Raft groups among which the budget is divided
	weights []int       // of these
	divided time.Time   // since when by these; zero: they are a first guess
}

// part is a Raft group's part.
type part struct {
	met   bool
	share salvor.Pace // the highest it may have been given; Unlimited is all
	rate  salvor.Pace // as read or told last; 0 never
	past  []bygone
}

// bygone is a share that leases may still have.
type bygone struct {
	share salvor.Pace
	until time.Time
}

func newSpread(n int) *spread { return &spread{parts: make([]part, n)} }

// read notes the share that a part has now; 0 none, it is not merged there.
// Until late another steward's change may be under way.
func (p *part) read(now time.Time, share salvor.Pace, late time.Time) {
	p.past = slices.DeleteFunc(p.past, func(b bygone) bool { return !now.Before(b.until) })
	switch {
	case !p.met && share > 0:
		p.past = append(p.past, bygone{salvor.Unlimited, now.Add(shares.Settle)})
	case !p.met && now.Before(late):
		p.past = append(p.past, bygone{salvor.Unlimited, late})
	case p.met && share < p.share:
		p.past = append(p.past, bygone{p.share, now.Add(shares.Settle)})
	}
	p.met, p.share = true, share
}

// told notes a share that was set, or perhaps will be: where the call failed it
// may be carried out later.
func (p *part) told(now time.Time, share salvor.Pace, err error) {
	p.share = max(p.share, share)
	if err != nil {
		p.past = append(p.past, bygone{share, now.Add(2 * shares.Settle)})
	}
}

// most is the highest share that leases may have.
func (p *part) most() salvor.Pace {
	most := p.share
	for _, b := range p.past {
		most = max(most, b.share)
	}
	return most
}

// shareOf is a share as a limit.
func shareOf(x api.HostGroup) salvor.Pace {
	if x.Share == 0 {
		return salvor.Unlimited
	}
	return x.Share
}

// settle is the rate that all parts are to have: the lowest where one fell since
// they agreed, else the highest that one grew to. limit is the lowest ceiling
// anywhere.
func (s *spread) settle(rates map[int]salvor.Pace, limit salvor.Pace) salvor.Pace {
	if len(rates) == 0 {
		return 0
	}
	low, high := salvor.Unlimited, s.agreed
	for g, r := range rates {
		low = min(low, r)
		if known := s.parts[g].rate; known > 0 && r > known {
			high = max(high, r)
		}
	}
	if s.agreed == 0 || low < s.agreed {
		high = low
	}
	return min(high, limit)
}

// weigh divides by demand anew, where that differs much from what it was and the
// shares have come to rest. known says that all parts told of theirs.
func (s *spread) weigh(now time.Time, owners []int, open map[int]int64, known bool) []int {
	next := weightsOf(owners, open)
	switch {
	case !slices.Equal(s.owners, owners) || s.weights == nil:
		s.owners, s.divided = owners, time.Time{}
	case s.divided.IsZero() && known: // the guess is over
	case !known || now.Sub(s.divided) < shares.Settle || !differ(s.weights, next) || s.moving(owners):
		return s.weights
	}
	if s.weights = next; known {
		s.divided = now
	}
	return next
}

// moving says that some share was lowered lately.
func (s *spread) moving(owners []int) bool {
	return slices.ContainsFunc(owners, func(g int) bool { return len(s.parts[g].past) > 0 })
}

// weightsOf are percents of all that is open, rounded up.
func weightsOf(owners []int, open map[int]int64) []int {
	var sum int64
	for _, g := range owners {
		sum += open[g]
	}
	out := make([]int, len(owners))
	for i, g := range owners {
		if open[g] > 0 {
			out[i] = 1 + int(float64(open[g])/float64(sum)*99)
		}
	}
	return out
}

// much is a difference, in percent of the whole, that is worth moving shares for.
const much = 10

func differ(a, b []int) bool {
	for i := range a {
		if (a[i] == 0) != (b[i] == 0) || max(a[i]-b[i], b[i]-a[i]) >= much {
			return true
		}
	}
	return false
}
