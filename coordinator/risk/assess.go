package risk

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Input is all that an assessment rests on. The same Input gives the same
// Assessment.
type Input struct {
	Site      Site
	History   History
	Now       time.Time
	Catalogue *Catalogue        // nil: Default
	Learnt    map[string]Learnt // by class: what became of sites; may be nil

	without skipped // what to do as if it were not known: for explanations
	trusted factKey // what to take as confirmed
}

// Learnt is what became of the sites of a class.
type Learnt struct {
	Deaths [Clocks]float64
	Years  float64 // site-years looked at
}

// skipped names evidence to leave out; the zero value names none.
type skipped struct {
	fact     factKey
	deadline uint32
	override uint32
}

// Assessment is what may become of a site, seen from At. It is a value; its
// probabilities are of times from At on.
type Assessment struct {
	Site  string
	At    time.Time
	Model int // the catalogue's version
	Class string
	State State
	Why   string // of the state, for people

	in        Input
	cat       *Catalogue
	facts     []fact
	evidence  []evidence
	forces    []force
	deadlines []Deadline
	overrides []Override
	base      [Clocks]float64 // losses a year
	alive     time.Time       // it was there; At unless it is down
}

// evidence is what one fact says of one mechanism.
type evidence struct {
	mechanism string
	fact      *fact
	w         float64 // as it counts now
}

// force is a mechanism with evidence.
type force struct {
	Mechanism
	sum, used float64 // log-odds: of all evidence, after the cap
	q         float64 // belief that it is at work
}

// Assess says what may become of a site.
func Assess(in Input) Assessment {
	c := in.Catalogue
	if c == nil {
		c = Default()
	}
	k := c.class(in.Site.Class)
	a := Assessment{Site: in.Site.Name, At: in.Now.UTC(), Model: c.Version, Class: k.Name, in: in, cat: c}
	a.overrides = slices.DeleteFunc(in.Site.InForce(in.Now), func(o Override) bool { return o.ID == in.without.override })
	a.deadlines = slices.DeleteFunc(in.Site.Standing(), func(d Deadline) bool {
		return d.ID == in.without.deadline || d.Recorded.After(in.Now)
	})
	a.rates(k)
	a.facts = factsOf(c, in.History.Tracks, in.Now)
	a.judgeFacts()
	a.weigh()
	a.judgeState()
	return a
}

// rates are the base rates: learnt, and threatened.
func (a *Assessment) rates(k Class) {
	l := a.in.Learnt[k.Name]
	for c := range Clocks {
		a.base[c] = k.Posterior(c, l.Deaths[c], l.Years)
		for _, o := range a.overrides {
			if o.Kind == Threat {
				a.base[c] *= o.Value
			}
		}
	}
}

// judgeFacts leaves out what is muted, faded or not asked for.
func (a *Assessment) judgeFacts() {
	a.facts = slices.DeleteFunc(a.facts, func(f fact) bool { return f.key() == a.in.without.fact && f.ID != "" })
	for i := range a.facts {
		f := &a.facts[i]
		if f.key() == a.in.trusted && f.Confirm {
			f.why = ""
		}
		for _, o := range a.overrides {
			if o.Kind == Mute && o.Signal == f.ID && (o.Subject == "" || o.Subject == f.subject) {
				f.why = "muted by " + o.By
			}
		}
	}
}

// lighter is what is left of a weight that our own load may explain.
const lighter = .25

// ownLoad is by how much our own requests rose in the last hour; 0 not by much.
func (a *Assessment) ownLoad() float64 {
	for _, f := range a.facts {
		if f.ID == SigOwnLoad && f.why == "" && f.ended.IsZero() && a.At.Sub(f.last) <= time.Hour && f.newest.Value >= 1.5 {
			return f.newest.Value
		}
	}
	return 0
}

// weigh adds the facts up, mechanism by mechanism.
func (a *Assessment) weigh() {
	load := a.ownLoad() > 0
	for i := range a.facts {
		f := &a.facts[i]
		if f.why != "" {
			continue
		}
		nth := a.nth(f)
		for _, w := range f.Weights {
			if nth >= len(w.W) {
				continue
			}
			now := w.W[nth] * f.fade(a.At)
			if load && f.Load {
				now *= lighter
			}
			if math.Abs(now) >= faded {
				a.evidence = append(a.evidence, evidence{w.Mechanism, f, now})
			}
		}
	}
	for _, m := range a.cat.Mechanisms {
		if f, ok := a.force(m); ok {
			a.forces = append(a.forces, f)
		}
	}
}

// nth is the place of a fact among those of its signal, the least faded 0. So a
// further fact never makes the sum of their weights smaller.
func (a *Assessment) nth(f *fact) (n int) {
	for i := range a.facts {
		o := &a.facts[i]
		if o.ID == f.ID && o.why == "" && cmp.Or(cmp.Compare(f.fade(a.At), o.fade(a.At)), cmp.Compare(o.subject, f.subject)) < 0 {
			n++
		}
	}
	return n
}

// force sums a mechanism's evidence; false when none speaks for it. The cap is
// for facts that may have one cause: a single fact above it counts in full.
func (a *Assessment) force(m Mechanism) (f force, ok bool) {
	f = force{Mechanism: m}
	largest := 0.
	for _, e := range a.evidence {
		if e.mechanism == m.Name {
			f.sum += e.w
			largest = max(largest, e.w)
		}
	}
	f.used = min(f.sum, max(m.Cap, largest))
	f.q = sigmoid(logit(m.Prior) + f.used)
	return f, largest > 0
}
