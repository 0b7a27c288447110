// Package scope decides which URLs belong to a crawl, and what they are worth, and
// says by which rule.
//
// It is for the worker, which judges every link before offering it and every
// item before fetching it, and for people who ask why a URL is in or out. Every
// decision names a rule that stays the same from run to run, so that what was
// left out can be counted by rule. A Scope never changes and is safe for
// concurrent use; other rules are another Scope.
package scope

import (
	"slices"
	"strings"

	"salvor"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
)

// Rules are the settings of a scope. They marshal as JSON.
type Rules struct {
	Kind        string   `json:"kind"` // page, prefix, host, domain, any; "" is host
	Seeds       []string `json:"seeds"`
	MaxHops     int      `json:"max_hops"`   // navigation hops from a seed; negative: no limit
	ExtraHops   int      `json:"extra_hops"` // pages linked outside the scope, that far
	Include     []string `json:"include,omitempty"`
	Exclude     []string `json:"exclude,omitempty"`
	ExcludeFrom []string `json:"exclude_from,omitempty"`
	Live        []string `json:"live,omitempty"` // excludes given while the crawl runs
	Sets        []string `json:"sets,omitempty"` // built-in sets in force
	Requisites  bool     `json:"requisites"`     // what pages need, wherever it lives
	// Value says what is worth more than the rest, and so is fetched first.
	Value ValueRules `json:"value,omitzero"`
}

// NoLimit as MaxHops is no limit.
const NoLimit = -1

const (
	// MaxEmbeds is how many requisite hops are followed from a page: frame,
	// style sheet, imported sheet, font, and one to spare.
	MaxEmbeds = 5
	// maxRedirects ends chains that make up a new URL at each step.
	maxRedirects = 20
	// maxSitemaps ends chains of sitemap indexes.
	maxSitemaps = 5
)

// Rule ids of decisions that are not an exclude.
const (
	RuleSeed         = "seed"
	RuleSeedRedirect = "seed-redirect"
	RuleRobots       = "robots.txt"
	RuleRequisite    = "requisite"
	RuleRedirect     = "redirect"
	RuleSitemap      = "sitemap"
	RuleExtra        = "extra-hops"
	RuleOutside      = "scope:outside"
	RuleMaxHops      = "max-hops"
	RuleMaxEmbeds    = "max-requisite-hops"
	RuleMaxRedirects = "max-redirects"
	RuleMaxSitemaps  = "max-sitemap-hops"
)

// Parent is the item whose page holds a link.
type Parent struct {
	URL   canon.URL
	Hop   salvor.Hop
	Class salvor.Class
}

// Decision is what the scope says of a URL.
type Decision struct {
	In     bool
	Record bool   // out, but it would belong: list it among what was not saved
	Rule   string // which rule says so
	Class  salvor.Class
	Band   salvor.Band
	Hop    salvor.Hop
}

// Scope is compiled Rules.
type Scope struct {
	rules    Rules
	area     area
	includes []pattern
	own      filter // excludes of the operator
	sets     filter // built-in excludes
	tiers    *Tiers
}

// Compile makes a scope. Its errors are of class Invalid and name the pattern.
func Compile(r Rules) (*Scope, error) {
	s := &Scope{rules: r}
	var err error
	if s.area, err = newArea(r.Kind, r.Seeds); err != nil {
		return nil, err
	}
	if s.includes, err = compileAll("include", "--include", r.Include); err != nil {
		return nil, err
	}
	var own []pattern
	for _, x := range []struct {
		prefix, source string
		texts          []string
	}{{"exclude:cli", "--exclude", r.Exclude}, {"exclude:file", "--exclude-from", r.ExcludeFrom}, {"exclude:live", "control", r.Live}} {
		ps, err := compileAll(x.prefix, x.source, x.texts)
		if err != nil {
			return nil, err
		}
		own = append(own, ps...)
	}
	s.own = newFilter(own)
	built, err := compileSets(r.Sets)
	if err != nil {
		return nil, err
	}
	s.sets = newFilter(built)
	s.tiers, err = CompileValues(r.Value)
	return s, err
}

// Tiers are the value rules.
func (s *Scope) Tiers() *Tiers { return s.tiers }

// Seed judges a URL a person named: only the operator's own excludes keep it out.
func (s *Scope) Seed(u canon.URL) Decision { return s.seed(u, RuleSeed) }

// SeedRedirect judges the target of a seed's redirect, which is a seed too.
func (s *Scope) SeedRedirect(u canon.URL) Decision { return s.seed(u, RuleSeedRedirect) }

func (s *Scope) seed(u canon.URL, rule string) Decision {
	d := Decision{In: true, Rule: rule, Class: salvor.ClassSeed, Band: salvor.BandSeed}
	s.rank(&d, u, canon.URL{})
	if id := s.own.match(u); id != "" {
		d.In, d.Record, d.Rule = false, true, id
	}
	return d
}

// Decide judges a link of a page.
func (s *Scope) Decide(p Parent, kind extract.Kind, u canon.URL) Decision {
	d := Decision{Hop: p.Hop}
	switch kind {
	case extract.Requisite:
		s.requisite(&d, p, u)
	case extract.Redirect:
		s.redirect(&d, p, u)
	case extract.Sitemap, extract.Feed:
		s.sitemap(&d, p, u)
	default:
		s.page(&d, p, u, kind)
	}
	if d.In {
		s.exclude(&d, u)
	}
	if d.In || d.Record {
		d.Hop.Path = p.Hop.Append(kind.Hop())
		s.rank(&d, u, p.URL)
	}
	return d
}

// rank puts a URL where its value belongs, if there are rules about that, and one
// that is good for some time only before all others.
func (s *Scope) rank(d *Decision, u, via canon.URL) {
	switch {
	case s.tiers.valued:
		d.Band = s.tiers.Of(u, via, d.Class, d.Hop).Band
	case perishes(u.Path):
		d.Band = salvor.BandPerishable
	}
}

// page judges a navigation link.
func (s *Scope) page(d *Decision, p Parent, u canon.URL, kind extract.Kind) {
	d.Hop.Embeds = 0
	if d.Hop.Links < 1<<16-1 {
		d.Hop.Links++
	}
	d.Class, d.Band = salvor.ClassPage, pageBand(d.Hop.Links)
	if kind == extract.Speculative {
		d.Class, d.Band = salvor.ClassSpeculative, salvor.BandSpeculative
	}
	if rule := s.inside(u); rule != "" {
		d.Hop.Extra = 0
		d.In, d.Rule = true, rule
	} else if kind != extract.Speculative && s.mayLeave(p) {
		d.Hop.Extra++
		d.In, d.Rule, d.Band = true, RuleExtra, salvor.BandExtra
	} else {
		d.Rule = RuleOutside
		return
	}
	if s.rules.MaxHops >= 0 && int(d.Hop.Links) > s.rules.MaxHops {
		d.In, d.Record, d.Rule = false, true, RuleMaxHops
	}
}

// mayLeave reports whether links of p may lead further outside. A frame that
// lies outside is no page of the crawl, so nothing leads on from it.
func (s *Scope) mayLeave(p Parent) bool {
	if int(p.Hop.Extra) >= s.rules.ExtraHops || p.Hop.Extra == 255 {
		return false
	}
	return p.Hop.Embeds == 0 || p.Hop.Extra > 0 || s.inside(p.URL) != ""
}

// pageBand fetches near pages first.
func pageBand(links uint16) salvor.Band {
	return salvor.BandPage + salvor.Band(min(max(links, 1)-1, uint16(salvor.BandExtra-salvor.BandPage)-1))
}

// requisite judges what a page needs to be shown.
func (s *Scope) requisite(d *Decision, p Parent, u canon.URL) {
	d.Class, d.Band = salvor.ClassRequisite, salvor.BandRequisite
	d.Hop.Embeds = p.Hop.Embeds + 1
	switch rule := s.inside(u); {
	case d.Hop.Embeds > MaxEmbeds:
		d.Hop.Embeds = MaxEmbeds
		d.Record, d.Rule = rule != "" || s.rules.Requisites, RuleMaxEmbeds
	case s.rules.Requisites:
		d.In, d.Rule = true, RuleRequisite
	case rule != "":
		d.In, d.Rule = true, rule
	default:
		d.Rule = RuleOutside
	}
}

// redirect judges where a server sends the client: always to be followed,
// because the page that was asked for is there. It lies as far from the seed
// as the page; outside the scope it counts as an extra hop, and so leads on
// no further than extra hops do.
func (s *Scope) redirect(d *Decision, p Parent, u canon.URL) {
	d.Class, d.Band = p.Class, bandOf(p.Class, p.Hop)
	if p.Class == salvor.ClassSeed || p.Class == salvor.ClassRobots {
		d.Class, d.Band = salvor.ClassPage, pageBand(p.Hop.Links)
	}
	if trailing(p.Hop.Path, 'R') >= maxRedirects {
		d.Record, d.Rule = true, RuleMaxRedirects
		return
	}
	d.In, d.Rule = true, RuleRedirect
	if d.Class == salvor.ClassRequisite {
		return
	}
	if rule := s.inside(u); rule != "" {
		d.Hop.Extra, d.Rule = 0, rule
	} else {
		d.Hop.Extra, d.Band = max(p.Hop.Extra, 1), salvor.BandExtra
	}
}

// sitemap judges lists of pages: those that a host of the scope names, on
// whatever host they lie.
func (s *Scope) sitemap(d *Decision, p Parent, u canon.URL) {
	d.Class, d.Band, d.Hop.Embeds = salvor.ClassSitemap, salvor.BandSitemap, 0
	switch {
	case !s.area.holds(p.URL) && s.inside(p.URL) == "":
		d.Rule = RuleOutside
	case s.area.kind == "page" && s.inside(u) == "", s.rules.MaxHops == 0:
		d.Rule = RuleOutside
	case trailing(p.Hop.Path, 'S')+trailing(p.Hop.Path, 'F') >= maxSitemaps:
		d.Record, d.Rule = true, RuleMaxSitemaps
	default:
		d.In, d.Rule = true, RuleSitemap
	}
}

// exclude lets the excludes speak: the operator's first, then, unless an
// include names the URL, the built-in sets.
func (s *Scope) exclude(d *Decision, u canon.URL) {
	id := s.own.match(u)
	if id == "" && s.included(u) == "" {
		id = s.sets.match(u)
	}
	if id != "" {
		d.In, d.Record, d.Rule = false, true, id
	}
}

// inside is the rule by which a page lies in the scope, or "".
func (s *Scope) inside(u canon.URL) string {
	if rule := s.area.match(u); rule != "" {
		return rule
	}
	return s.included(u)
}

func (s *Scope) included(u canon.URL) string {
	for i := range s.includes {
		if s.includes[i].re.MatchString(u.Href) {
			return s.includes[i].id
		}
	}
	return ""
}

func trailing(path string, letter byte) (n int) {
	for n < len(path) && path[len(path)-1-n] == letter {
		n++
	}
	return n
}

func bandOf(c salvor.Class, h salvor.Hop) salvor.Band {
	switch c {
	case salvor.ClassSeed:
		return salvor.BandSeed
	case salvor.ClassRobots:
		return salvor.BandRobots
	case salvor.ClassSitemap:
		return salvor.BandSitemap
	case salvor.ClassRequisite:
		return salvor.BandRequisite
	case salvor.ClassSpeculative:
		return salvor.BandSpeculative
	}
	if h.Extra > 0 {
		return salvor.BandExtra
	}
	return pageBand(h.Links)
}

// Exclude is one rule that keeps URLs out.
type Exclude struct {
	ID      string // what Decision.Rule says
	Pattern string
	Source  string // --exclude, --exclude-from, control, or the name of a set
}

// Excludes lists the exclude rules in the order they are asked.
func (s *Scope) Excludes() []Exclude {
	var out []Exclude
	for _, p := range slices.Concat(s.own.patterns, s.sets.patterns) {
		out = append(out, Exclude{p.id, strings.Clone(p.text), p.source})
	}
	return out
}
