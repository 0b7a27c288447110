package pilot

import (
	"cmp"
	"math"
	"slices"

	"salvor"
	"salvor/api"
	"salvor/coordinator/plan"
)

// Values are what the requests of a crawl are worth.
type Values struct {
	// Band is what a request of a band is worth: one a page next to a seed is 1.
	Band func(b salvor.Band) float64
	// Host is by how much more a host's requests are worth; nil: all the same.
	Host func(name string) float64
	// First are the pages of a host that are worth more than the rest, by rising
	// Pages and falling Times.
	First []First
	// Rules name what says so of a band, for people; nil: nobody does.
	Rules func(b salvor.Band) []string
}

// First are pages of a host, those before included, and by how much more they are
// worth than the rest: a landing page for every site comes before the long tail
// of one.
type First struct{ Pages, Times float64 }

// DefaultValues are those of a crawl of which nobody said more.
var DefaultValues = Values{Band: bandValue, First: []First{{1000, 10}, {100_000, 3}}}

// bandValue is worth less the further a page lies from the seeds. What others
// are found by is worth more than itself.
func bandValue(b salvor.Band) float64 {
	switch {
	case b <= salvor.BandRobots:
		return 10
	case b <= salvor.BandSeed:
		return 3
	case b < salvor.BandSitemap: // a page is shown by them
		return 1
	case b < salvor.BandPage:
		return 2
	case b < salvor.BandExtra:
		return math.Exp2(-float64(b-salvor.BandPage) / 8)
	case b < salvor.BandSpeculative:
		return 0.25
	}
	return 0.05
}

// tiers are what is left of a host by what it is worth.
func tiers(v Values, h *api.Host) []plan.Tier {
	weight := 1.0
	if v.Host != nil {
		weight = v.Host(h.Name)
	}
	var out []plan.Tier
	have := float64(saved(h.Totals))
	add := func(value float64, n int64) {
		for left := float64(n); left > 0; {
			times, room := v.bonus(have)
			take := min(left, room)
			out = append(out, plan.Tier{Value: value * times * weight, Left: take})
			have, left = have+take, left-take
		}
	}
	last := salvor.BandPage
	for _, b := range ahead(h) {
		add(v.Band(b.Band), b.Queued)
		last = b.Band
	}
	add(v.Band(last), h.Totals.Waiting) // for a time, and then queued again
	slices.SortStableFunc(out, func(a, b plan.Tier) int { return cmp.Compare(b.Value, a.Value) })
	return merge(out)
}

// ahead is what of a host is still to be begun, by band: what is queued, and what
// workers hold. They were granted the best there was: a host whose best pages all
// are out would else seem to be worth little, and they would stay where they are.
func ahead(h *api.Host) []api.BandCount {
	out := slices.Concat(h.Bands, h.Held)
	slices.SortStableFunc(out, func(a, b api.BandCount) int { return cmp.Compare(a.Band, b.Band) })
	return out
}

// merge puts tiers of one value together.
func merge(tiers []plan.Tier) []plan.Tier {
	out := tiers[:0]
	for _, t := range tiers {
		if n := len(out); n > 0 && out[n-1].Value == t.Value {
			out[n-1].Left += t.Left
			continue
		}
		out = append(out, t)
	}
	return out
}

// bonus is by how much more the next page of a host is worth of which some are
// saved, and for how many pages that holds.
func (v *Values) bonus(have float64) (times, room float64) {
	for _, f := range v.First {
		if have < f.Pages {
			return f.Times, f.Pages - have
		}
	}
	return 1, math.Inf(1)
}

// TierView is what is queued of a host in one band, and what it is worth.
type TierView struct {
	Band   salvor.Band `json:"band"`
	Queued int64       `json:"queued"`
	Value  float64     `json:"value"`           // of each, without what the first pages of a host are worth more
	Rules  []string    `json:"rules,omitempty"` // that say so; none: its place in the crawl does
}

// view tells of a host's bands.
func (v *Values) view(h *api.Host) (out []TierView) {
	for _, b := range h.Bands {
		t := TierView{Band: b.Band, Queued: b.Queued, Value: v.Band(b.Band)}
		if v.Rules != nil {
			t.Rules = v.Rules(b.Band)
		}
		out = append(out, t)
	}
	return out
}
