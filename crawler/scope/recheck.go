package scope

import (
	"salvor"
	"salvor/crawler/canon"
)

// Recheck judges a known item by its own class and hop, as before a fetch and
// after the rules changed. Links of pages that fell out of the scope are not
// traced back: an item stands for itself.
func (s *Scope) Recheck(it salvor.Item) Decision {
	d := Decision{Class: it.Class, Band: it.Band, Hop: it.Hop}
	u := canon.Parts(it.URL)
	if u.IsZero() {
		d.Rule = RuleOutside
		return d
	}
	switch it.Class {
	case salvor.ClassRobots:
		d.In, d.Rule = true, RuleRobots
		return d
	case salvor.ClassSeed:
		if x := s.Seed(u); !x.In {
			d.Record, d.Rule = true, x.Rule
			return d
		}
		d.In, d.Rule = true, RuleSeed
		return d
	case salvor.ClassRequisite:
		s.recheckRequisite(&d, u)
	case salvor.ClassSitemap:
		s.recheckSitemap(&d, it, u)
	default:
		s.recheckPage(&d, u)
	}
	if d.In {
		s.exclude(&d, u)
	}
	return d
}

// Rank is what a known item is worth by the rules of now, and the band that it
// belongs in.
func (s *Scope) Rank(it salvor.Item) Worth {
	return s.tiers.Of(canon.Parts(it.URL), canon.Parts(it.Via), it.Class, it.Hop)
}

func (s *Scope) recheckRequisite(d *Decision, u canon.URL) {
	switch rule := s.inside(u); {
	case s.rules.Requisites:
		d.In, d.Rule = true, RuleRequisite
	case rule != "":
		d.In, d.Rule = true, rule
	case trailing(d.Hop.Path, 'R') > 0:
		d.In, d.Rule = true, RuleRedirect
	default:
		d.Rule = RuleOutside
	}
}

func (s *Scope) recheckSitemap(d *Decision, it salvor.Item, u canon.URL) {
	d.Rule = RuleOutside
	via := canon.Parts(it.Via)
	if s.area.holds(u) || s.inside(u) != "" || !via.IsZero() && (s.area.holds(via) || s.inside(via) != "") {
		d.In, d.Rule = true, RuleSitemap
	} else if trailing(d.Hop.Path, 'R') > 0 {
		d.In, d.Rule = true, RuleRedirect
	}
}

func (s *Scope) recheckPage(d *Decision, u canon.URL) {
	extra, h := s.rules.ExtraHops, d.Hop
	switch rule := s.inside(u); {
	case rule != "":
		d.In, d.Rule = true, rule
	case d.Class == salvor.ClassSpeculative:
		d.Rule = RuleOutside
	case h.Extra > 0 && int(h.Extra) <= extra:
		d.In, d.Rule = true, RuleExtra
	case h.Extra > 0 && int(h.Extra) <= max(extra, 1) && trailing(h.Path, 'R') > 0:
		d.In, d.Rule = true, RuleRedirect
	default:
		d.Rule = RuleOutside
	}
	if d.In && s.rules.MaxHops >= 0 && int(h.Links) > s.rules.MaxHops {
		d.In, d.Record, d.Rule = false, true, RuleMaxHops
	}
}
