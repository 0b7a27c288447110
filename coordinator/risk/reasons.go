package risk

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// notCounted is what was seen and does not count, or not in full.
func (a *Assessment) notCounted() (list []Ignored) {
	for i := range a.facts {
		f := &a.facts[i]
		if why := a.whyNot(f); why != "" {
			list = append(list, Ignored{a.label(f), why})
		}
	}
	for _, m := range a.forces {
		if m.sum > m.used && !(m.Name == announced && a.believed(Host)) {
			list = append(list, Ignored{fmt.Sprintf("%s: evidence of %.2g", m.Name, m.sum),
				fmt.Sprintf("capped at %.2g: it may have one cause", m.used)})
		}
	}
	for _, d := range a.deadlines {
		if _, moves := d.What.Clock(); !moves {
			list = append(list, Ignored{d.label(), "a date to know; no page is lost by it"})
		}
	}
	return append(list, a.takenBack()...)
}

// whyNot says why a fact does not count; "" when it does.
func (a *Assessment) whyNot(f *fact) string {
	weighs := slices.ContainsFunc(a.evidence, func(e evidence) bool { return e.fact == f })
	switch {
	case f.why != "":
		if f.Role == RoleUp {
			return "" // half a good sign
		}
		return f.why
	case f.Role == RoleWall && f.ID == SigBotWall:
		return "for the host: a wall is no death, it counts to access only"
	case f.ID == SigOwnLoad && a.ownLoad() > 0:
		return fmt.Sprintf("its failures count a quarter: our requests rose to %.1f times", a.ownLoad())
	case a.explained(f):
		return "the recorded date says what it points to"
	case len(f.Weights) == 0 || f.Role == RoleUp:
		return ""
	case !weighs && f.fade(a.At) < .5:
		return "too long ago"
	case !weighs:
		return "others of its kind count already"
	}
	return ""
}

// explained says whether all that a fact points to is a date that is recorded.
func (a *Assessment) explained(f *fact) bool {
	return a.believed(Host) && len(f.Weights) > 0 &&
		!slices.ContainsFunc(f.Weights, func(w Weight) bool { return w.Mechanism != announced })
}

// takenBack are the records that were replaced or withdrawn, the newest first.
func (a *Assessment) takenBack() (list []Ignored) {
	by := map[uint32]Deadline{}
	for _, d := range a.in.Site.Deadlines {
		by[d.Replaces] = d
	}
	for _, d := range slices.Backward(a.in.Site.Deadlines) {
		then, ok := by[d.ID]
		if !ok || d.Withdrawn {
			continue
		}
		how := "replaced"
		if then.Withdrawn {
			how = "withdrawn"
		}
		list = append(list, Ignored{d.label(),
			fmt.Sprintf("%s by %s on %s", how, then.By, then.Recorded.UTC().Format("2006-01-02"))})
	}
	return list
}

// changes recomputes the risk without each piece of evidence, and with each that
// waits for a second witness.
func (a *Assessment) changes() (list []Change) {
	now := a.Lost(week)
	try := func(what string, change func(*Input)) {
		in := a.in
		in.without, in.trusted = skipped{}, factKey{}
		change(&in)
		then := Assess(in)
		if p := then.Lost(week); math.Abs(p-now) >= max(.001, .05*now) {
			list = append(list, Change{what, p})
		}
	}
	for i := range a.facts {
		f := &a.facts[i]
		switch {
		case f.why == "" && f.Role == RoleUp:
			try("it were not well", func(in *Input) { in.without.fact = f.key() })
		case f.why == "":
			try("without: "+a.label(f), func(in *Input) { in.without.fact = f.key() })
		case f.Confirm && f.Role != RoleUp:
			try("confirmed: "+a.label(f), func(in *Input) { in.trusted = f.key() })
		}
	}
	for _, d := range a.deadlines {
		try("withdrawn: "+d.label(), func(in *Input) { in.without.deadline = d.ID })
	}
	for _, o := range a.overrides {
		try("withdrawn: "+o.label(), func(in *Input) { in.without.override = o.ID })
	}
	slices.SortStableFunc(list, func(a, b Change) int {
		return cmp.Compare(math.Abs(b.Week-now), math.Abs(a.Week-now))
	})
	return list[:min(len(list), mostLines)]
}

// ask is what a person should look at.
func (a *Assessment) ask() (list []string) {
	if d, passed := a.overdue(); passed && (a.State == Overdue || a.State == Unknown) {
		list = append(list, fmt.Sprintf("Its end of %s has passed (deadline %d): is there a new date?", date(d.In()), d.ID))
	}
	for _, d := range a.deadlines {
		if !d.Review.IsZero() && !d.Review.After(a.At) {
			list = append(list, fmt.Sprintf("Deadline %d is due for review since %s.", d.ID, date(d.Review)))
		}
	}
	for _, o := range a.in.Site.standing() {
		switch {
		case !o.Review.IsZero() && !o.Review.After(a.At):
			list = append(list, fmt.Sprintf("Override %d is due for review since %s.", o.ID, date(o.Review)))
		case !o.Until.IsZero() && !o.Until.After(a.At) && o.Kind == Floor:
			list = append(list, fmt.Sprintf("Override %d was until %s; it holds as %s a day until it is withdrawn.", o.ID, date(o.Until), percent(o.Value)))
		case o.lapsed(a.At):
			list = append(list, fmt.Sprintf("Override %d has lapsed on %s.", o.ID, date(o.Until)))
		}
	}
	if f := a.fact(func(f *fact) bool { return f.ID == SigBanner && f.why == "" }); f != nil && len(a.deadlines) == 0 {
		list = append(list, "A notice of closing was seen: read it, and record its date.")
	}
	if a.State == DownByName {
		list = append(list, "Its servers may still answer at their last address; that needs a person's consent.")
	}
	return list
}
