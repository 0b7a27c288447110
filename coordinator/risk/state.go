package risk

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

const (
	goneLooks    = 3
	goneSpan     = 72 * time.Hour
	goneNetworks = 2
	// stale is how old the last look may be to say how a site is.
	stale = 24 * time.Hour
)

// page is what was seen of the pages of one host.
type page struct {
	looked time.Time // last
	alive  time.Time // when it was last there
	failed []Run     // runs that found it not there
	from   []Vantage // of failed
	down   bool      // confirmed
	name   bool      // as its name leads nowhere
}

// pages sorts looks by host.
func (a *Assessment) pages() map[string]*page {
	all := map[string]*page{}
	for _, t := range a.in.History.Tracks {
		s, _ := a.cat.Signal(t.Signal)
		r, ok := t.seen()
		if !ok || r.First.After(a.At) || !s.Role.look() && !(s.Role == RoleName && s.Confirm) {
			continue
		}
		p := all[t.Subject]
		if p == nil {
			p = &page{}
			all[t.Subject] = p
		}
		p.looked = later(p.looked, r.Last)
		if s.Role == RoleDown || s.Role == RoleName {
			p.failed, p.from = append(p.failed, r), append(p.from, t.Vantage)
		} else {
			p.alive = later(p.alive, r.Last)
		}
	}
	for i := range a.facts {
		f := &a.facts[i]
		if p := all[f.subject]; p != nil && f.why == "" && f.ended.IsZero() && (f.Role == RoleDown || f.Role == RoleName) {
			p.down, p.name = true, p.name || f.Role == RoleName
		}
	}
	return all
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// gone is whether failures since it was last there are enough to give it up.
func (p *page) gone() bool {
	looks, first, last, networks := 0, time.Time{}, time.Time{}, map[string]bool{}
	for i, r := range p.failed {
		if !r.Last.After(p.alive) {
			continue
		}
		for _, at := range r.Recent {
			if at.After(p.alive) {
				looks++
			}
		}
		from := later(r.First, p.alive)
		if first.IsZero() || from.Before(first) {
			first = from
		}
		last = later(last, r.Last)
		networks[network(p.from[i])] = true
	}
	return looks >= goneLooks && last.Sub(first) >= goneSpan && len(networks) >= goneNetworks
}

// network names a vantage's; nodes that do not say count as one.
func network(v Vantage) string {
	if v.Network == "" {
		return "?"
	}
	return v.Network
}

// judgeState says what is true now, and since when the site is not there.
func (a *Assessment) judgeState() {
	pages := a.pages()
	a.State, a.Why = a.stateOf(pages)
	a.alive = a.At
	switch a.State {
	case Gone, Down, DownByName:
		a.alive = time.Time{}
		for _, p := range pages {
			a.alive = later(a.alive, p.alive)
		}
	case OK, Degraded:
		if d, passed := a.overdue(); passed {
			a.State, a.Why = Overdue, fmt.Sprintf("it was to end %s, and is there", date(d.In()))
		}
	}
}

// overdue finds a date of its end that has passed.
func (a *Assessment) overdue() (Deadline, bool) {
	return find(a.deadlines, func(d Deadline) bool { return d.What == EndHosting && d.Confidence >= .5 && !d.At.After(a.At) })
}

func (a *Assessment) stateOf(pages map[string]*page) (State, string) {
	list := slices.Collect(maps.Values(pages))
	every := func(is func(*page) bool) bool {
		return len(list) > 0 && !slices.ContainsFunc(list, func(p *page) bool { return !is(p) })
	}
	if every((*page).gone) {
		return Gone, "no page was served for 3 days, seen from 2 networks"
	}
	if f := a.fact(func(f *fact) bool { return f.Role == RoleName && !f.Confirm && f.counts(a.At) }); f != nil {
		return DownByName, a.label(f)
	}
	if newest := a.looked(list); newest.IsZero() {
		return Unknown, "nobody looked"
	} else if a.At.Sub(newest) > stale {
		return Unknown, "nobody looked since " + stamp(newest)
	}
	down := every(func(p *page) bool { return p.down })
	switch {
	case down && a.ownLoad() > 0:
		return Degraded, fmt.Sprintf("no page is served, but our own requests rose to %.1f times", a.ownLoad())
	case down && slices.ContainsFunc(list, func(p *page) bool { return p.name }):
		return DownByName, "its name does not exist"
	case down:
		return Down, "no page is served"
	}
	return a.degraded(list)
}

// degraded tells what is fine from what only works at times.
func (a *Assessment) degraded(list []*page) (State, string) {
	if slices.ContainsFunc(list, func(p *page) bool { return p.down }) {
		return Degraded, "some of its hosts serve no page"
	}
	if f := a.fact(func(f *fact) bool {
		return (f.Role == RoleDown || f.Role == RoleName) && f.why == "" && !f.ended.IsZero()
	}); f != nil {
		return Degraded, "it was down until " + stamp(f.ended)
	}
	if f := a.fact(func(f *fact) bool { return f.trouble() && a.At.Sub(f.last) < stale }); f != nil {
		return Degraded, a.label(f)
	}
	return OK, ""
}

// counts is whether a state holds now: it has not ended, and was seen lately.
func (f *fact) counts(now time.Time) bool {
	return f.why == "" && f.ended.IsZero() && now.Sub(f.last) <= f.Fresh+stale
}

// trouble is what makes a site less than fine: also what is not confirmed.
func (f *fact) trouble() bool {
	return f.ended.IsZero() && (f.Role == RoleDown || f.Role == RoleSick ||
		f.why == "" && (f.ID == SigErrors || f.ID == SigErrorsWide || f.ID == SigDNSFailure))
}

func (a *Assessment) fact(is func(*fact) bool) *fact {
	for i := range a.facts {
		if is(&a.facts[i]) {
			return &a.facts[i]
		}
	}
	return nil
}

func (a *Assessment) looked(list []*page) (newest time.Time) {
	for _, p := range list {
		newest = later(newest, p.looked)
	}
	return newest
}
