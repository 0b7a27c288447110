package scope

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"salvor"
	"salvor/crawler/canon"
)

// ValueRules say what the URLs of a crawl are worth, relative to a page next to a
// seed, which is 1. They marshal as JSON. What no rule matches is worth less the
// further it lies from its seed; where there are no rules at all, nearness is the
// only order.
type ValueRules struct {
	Rules []ValueRule `json:"rules,omitempty"` // the first that matches counts
	Seeds []SeedValue `json:"seeds,omitempty"` // asked after them
}

// ValueRule is one rule as a person wrote it; see ParseValue.
type ValueRule struct {
	Text string `json:"rule"`
	From string `json:"from,omitempty"` // FILE:LINE, or a recipe; "" the command line
}

// SeedValue is what seeds of one value, and all in their directories, are worth.
type SeedValue struct {
	Value float64  `json:"value"`
	Seeds []string `json:"seeds"`
}

// None reports whether there are no rules.
func (r *ValueRules) None() bool { return len(r.Rules) == 0 && len(r.Seeds) == 0 }

// Worth is what a URL is worth, and why.
type Worth struct {
	Value  float64     // with Factor
	Factor float64     // what its class makes of it: what others are found by counts more
	Rule   string      // the rule that says so, as it is listed; "" none does
	Number int         // of the rule, from 1; 0 none or a seed's
	Page   bool        // it is the rule of the page that needs it
	Band   salvor.Band // where it is queued
}

// Tiers are compiled ValueRules: they put URLs into bands by what these are worth.
type Tiers struct {
	rules  []valueRule
	first  []FirstPages
	seeds  seedValues
	valued bool // there are rules that a URL could match
	exact  map[salvor.Band]tier
}

// tier is what is known of a band.
type tier struct {
	value float64
	rules []string
}

// CompileValues checks rules and makes them ready to be asked. Its errors are of
// class Invalid and name the rule and the place it comes from.
func CompileValues(r ValueRules) (*Tiers, error) {
	t := &Tiers{exact: map[salvor.Band]tier{}}
	for i, x := range r.Rules {
		rule, err := ParseValue(x)
		if err != nil {
			return nil, err
		}
		if rule.first.Pages > 0 {
			if t.first, err = appendFirst(t.first, rule.first, x); err != nil {
				return nil, err
			}
			continue
		}
		rule.number = i + 1
		t.rules = append(t.rules, rule)
		t.claim(bandWorth(rule.value), rule.value, x.Text)
	}
	var err error
	if t.seeds, err = newSeedValues(r.Seeds); err != nil {
		return nil, err
	}
	for _, s := range r.Seeds {
		t.claim(bandWorth(s.Value), s.Value, seedRule(s.Value))
	}
	t.requisites()
	t.valued = len(t.rules) > 0 || len(r.Seeds) > 0
	return t, nil
}

// claim notes that a rule fills a band. Of two values in one the first stands for
// both.
func (t *Tiers) claim(b salvor.Band, value float64, rule string) {
	x, ok := t.exact[b]
	if !ok {
		x.value = value
	}
	x.rules = append(x.rules, rule)
	t.exact[b] = x
}

// requisites gives the band before that of some pages their value, unless it is
// other pages': there is what they need.
func (t *Tiers) requisites() {
	ordinary := bandWorth(1)
	if _, ok := t.exact[ordinary]; !ok {
		t.exact[ordinary] = tier{value: 1}
	}
	for b, x := range maps.Clone(t.exact) {
		if _, ok := t.exact[b-1]; !ok {
			t.exact[b-1] = x
		}
	}
}

// First are the pages of a host that are worth more than the rest, as far as the
// rules say so; nil: they do not.
func (t *Tiers) First() []FirstPages { return t.first }

// Valued reports whether bands are by value here; else they are by nearness.
func (t *Tiers) Valued() bool { return t.valued }

const (
	// steps is how many bands there are from one value to its double: two values
	// that differ by a fifth are apart.
	steps = 4
	// The bands of values lie between what gates a host and the end.
	firstTier, lastTier = salvor.BandRobots + 2, salvor.Band(0xfe)
)

// bandWorth is the band of a value: a page next to a seed keeps the band it has
// without rules.
func bandWorth(value float64) salvor.Band {
	b := float64(salvor.BandPage) - math.Round(steps*math.Log2(value))
	return salvor.Band(min(max(b, float64(firstTier)), float64(lastTier)))
}

// BandValue is what the items of a band are worth, each.
func (t *Tiers) BandValue(b salvor.Band) float64 {
	if x, ok := t.exact[b]; ok {
		return x.value
	}
	if b == salvor.BandPerishable { // it comes first since it cannot wait, not for its worth
		return seedFactor
	}
	return math.Exp2((float64(salvor.BandPage) - float64(b)) / steps)
}

// maxNamed is how many rules of a band are named: a plan tells them for each host.
const maxNamed = 3

// BandRules are the rules whose pages, or what these need, lie in a band; of many
// the first, and how many more there are.
func (t *Tiers) BandRules(b salvor.Band) []string {
	rules := t.exact[b].rules
	if n := len(rules) - maxNamed; n > 1 {
		return append(slices.Clone(rules[:maxNamed]), fmt.Sprintf("%d more rules", n))
	}
	return rules
}

// What its class makes of a URL's value: a seed and a sitemap lead to others, a
// guess is none most of the time.
const (
	seedFactor    = 3
	sitemapFactor = 2
	extraFactor   = 0.25
	guessFactor   = 0.05
	// halving is how many links further a page is worth half, if no rule says more.
	halving = 8
)

// Of is what a URL is worth. via is the page that names it: what a page needs is
// worth as much as the page, if no rule says otherwise, and comes before it.
func (t *Tiers) Of(u, via canon.URL, c salvor.Class, h salvor.Hop) Worth {
	w := Worth{Value: 1, Factor: factorOf(c, h)}
	switch rule, ok := t.match(u, c); {
	case ok:
		w.take(rule)
	case c == salvor.ClassRequisite && !via.IsZero():
		if rule, ok := t.match(via, salvor.ClassPage); ok {
			w.take(rule)
			w.Page = true
		}
	case c == salvor.ClassPage && h.Extra == 0:
		w.Value = math.Exp2(-float64(max(h.Links, 1)-1) / halving)
	}
	w.Value *= w.Factor
	switch {
	case c == salvor.ClassRobots:
		w.Band = salvor.BandRobots
	case perishes(u.Path):
		w.Band = salvor.BandPerishable
	case !t.valued:
		w.Band = bandOf(c, h)
	case c == salvor.ClassRequisite:
		w.Band = bandWorth(w.Value) - 1
	default:
		w.Band = bandWorth(w.Value)
	}
	return w
}

func (w *Worth) take(r matched) { w.Value, w.Rule, w.Number = r.value, r.text, r.number }

func factorOf(c salvor.Class, h salvor.Hop) float64 {
	switch {
	case c == salvor.ClassSeed:
		return seedFactor
	case c == salvor.ClassSitemap:
		return sitemapFactor
	case c == salvor.ClassSpeculative:
		return guessFactor
	case c == salvor.ClassPage && h.Extra > 0:
		return extraFactor
	}
	return 1
}

// matched is the rule that decides.
type matched struct {
	value  float64
	text   string
	number int
}

// match is the first rule that matches, or what the seeds say.
func (t *Tiers) match(u canon.URL, c salvor.Class) (matched, bool) {
	var have pairs
	have.add(u.Href)
	for i := range t.rules {
		if r := &t.rules[i]; r.matches(u, c, &have) {
			return matched{r.value, r.text, r.number}, true
		}
	}
	if v, ok := t.seeds.match(u); ok {
		return matched{value: v, text: seedRule(v)}, true
	}
	return matched{}, false
}
