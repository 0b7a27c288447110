package risk

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Explanation is an Assessment for people and machines: the command line, JSON
// and the web show the same.
type Explanation struct {
	Site  string    `json:"site"`
	At    time.Time `json:"at"`
	Model int       `json:"model"` // the catalogue's version
	Class string    `json:"class"`
	State State     `json:"state"`
	Why   string    `json:"why,omitempty"` // of the state

	Lost    Odds `json:"lost"` // host or access: what the planner uses
	Host    Odds `json:"host"`
	Access  Odds `json:"access"`
	Content Odds `json:"content"`

	SafeNow   bool      `json:"safe_now,omitempty"` // as soon as can be
	SafeBy    time.Time `json:"safe_by,omitzero"`   // when to be done; zero: no date can be told
	Deadlines []Date    `json:"deadlines,omitempty"`

	Lines      []Line    `json:"lines"`          // at most 5, the largest share first
	More       int       `json:"more,omitempty"` // lines left out
	NotCounted []Ignored `json:"not_counted,omitempty"`
	Changes    []Change  `json:"changes,omitempty"` // at most 5, what changes most first
	Ask        []string  `json:"ask,omitempty"`     // what a person should look at
}

// Odds are probabilities of loss by then, 0 to 1.
type Odds struct {
	Day   float64 `json:"24h"`
	Week  float64 `json:"7d"`
	Month float64 `json:"30d"`
}

// Date is a deadline that stands.
type Date struct {
	ID         uint32    `json:"id"`
	What       End       `json:"what"`
	At         time.Time `json:"at"` // in the announcement's zone
	SafeBy     time.Time `json:"safe_by"`
	Confidence float64   `json:"confidence"`
	Passed     bool      `json:"passed,omitempty"`
	Source     string    `json:"source,omitempty"`
	Snapshot   string    `json:"snapshot,omitempty"`
	By         string    `json:"by"`
	Recorded   time.Time `json:"recorded"`
	Note       string    `json:"note,omitempty"`
}

// Label is what ends, and when, for people.
func (d Date) Label() string { return d.What.label(d.At) }

// Line is a part of the risk of loss within 7 days, and what it rests on.
type Line struct {
	Share     float64   `json:"share"` // 0 to 1
	Clock     Clock     `json:"clock"`
	Mechanism string    `json:"mechanism"` // of the catalogue; or baseline, override
	Evidence  string    `json:"evidence"`
	Signal    string    `json:"signal,omitempty"`
	Subject   string    `json:"subject,omitempty"`
	Weight    float64   `json:"weight,omitempty"` // log-odds, as they count now
	First     time.Time `json:"first,omitzero"`   // sight
	Last      time.Time `json:"last,omitzero"`
	Age       float64   `json:"age,omitempty"` // of the last sight, seconds
	Vantages  []string  `json:"vantages,omitempty"`
	Raw       Raw       `json:"raw,omitzero"`
}

// Ignored is what was seen and does not count.
type Ignored struct {
	What string `json:"what"`
	Why  string `json:"why"`
}

// Change is what Lost.Week would be if.
type Change struct {
	If   string  `json:"if"`
	Week float64 `json:"7d"`
}

const (
	week      = 7 * day
	month     = 30 * day
	mostLines = 5
)

// Explain says what an assessment rests on.
func (a *Assessment) Explain() Explanation {
	e := Explanation{
		Site: a.Site, At: a.At, Model: a.Model, Class: a.Class, State: a.State, Why: a.Why,
		Lost: odds(a.Lost), Host: a.odds(Host), Access: a.odds(Access), Content: a.odds(Content),
		NotCounted: a.notCounted(), Changes: a.changes(), Ask: a.ask(),
	}
	e.SafeBy, e.SafeNow = a.SafeBy()
	for _, d := range a.deadlines {
		e.Deadlines = append(e.Deadlines, Date{
			ID: d.ID, What: d.What, At: d.In(), SafeBy: d.SafeBy(), Confidence: d.Confidence, Passed: !d.At.After(a.At),
			Source: d.Source, Snapshot: d.Snapshot, By: d.By, Recorded: d.Recorded, Note: d.Note,
		})
	}
	e.Lines = a.lines()
	if n := len(e.Lines) - mostLines; n > 0 {
		e.Lines, e.More = e.Lines[:mostLines], n
	}
	return e
}

func odds(p func(time.Duration) float64) Odds { return Odds{p(day), p(week), p(month)} }

func (a *Assessment) odds(c Clock) Odds {
	return odds(func(t time.Duration) float64 { return a.P(c, t) })
}

const (
	// safeRisk is the probability of loss one does not want to wait for.
	safeRisk = .1
	// farAhead is how far that is looked for.
	farAhead = 365 * day
)

// SafeBy is when to be done: at SafeShare of the time that a deadline leaves, or
// when loss becomes likelier than one in ten, whichever comes first. Now is true
// when that is within a day. The zero time says that nothing presses.
func (a *Assessment) SafeBy() (by time.Time, now bool) {
	if a.Lost(farAhead) >= safeRisk {
		by = a.At.Add(a.reaches(safeRisk))
	}
	for _, d := range a.deadlines {
		if clock, ok := d.What.Clock(); ok && clock != Content && (by.IsZero() || d.SafeBy().Before(by)) {
			by = d.SafeBy()
		}
	}
	by = by.Truncate(time.Minute)
	return by, !by.IsZero() && by.Sub(a.At) < day
}

// reaches finds by when Lost is p, to a minute.
func (a *Assessment) reaches(p float64) time.Duration {
	low, high := time.Duration(0), time.Duration(farAhead)
	for high-low > time.Minute {
		if mid := low + (high-low)/2; a.Lost(mid) >= p {
			high = mid
		} else {
			low = mid
		}
	}
	return high
}

// lines divide the hazard of the next 7 days among what is behind it.
func (a *Assessment) lines() []Line {
	var list []Line
	total := 0.
	for _, c := range []Clock{Host, Access} {
		for _, l := range append(a.clockLines(c), a.forced(c)...) {
			list = append(list, l)
			total += l.Share
		}
	}
	list = append(list, a.baseLine())
	total += list[len(list)-1].Share
	for i := range list {
		if total > 0 {
			list[i].Share /= total
		}
	}
	slices.SortStableFunc(list, func(a, b Line) int { return cmp.Compare(b.Share, a.Share) })
	return slices.DeleteFunc(list, func(l Line) bool { return l.Share < .005 && l.Mechanism != "override" })
}

// clockLines are those of the evidence. Share is a hazard yet.
func (a *Assessment) clockLines(c Clock) (list []Line) {
	if c == Host && a.State == Gone {
		return []Line{{Share: hazard(goneSure), Clock: c, Mechanism: "gone", Evidence: a.Why, Last: a.alive, Age: a.At.Sub(a.alive).Seconds()}}
	}
	for _, p := range a.parts(c, week) {
		switch {
		case p.mechanism == baseline:
		case p.deadline != nil:
			list = append(list, a.dateLine(p))
		default:
			list = append(list, a.evidenceLines(p)...)
		}
	}
	return list
}

// baseLine is what is lost without any sign.
func (a *Assessment) baseLine() Line {
	text := fmt.Sprintf("class %s: %.3g %% a year lose the host, %.3g %% the access", a.Class, 100*a.base[Host], 100*a.base[Access])
	for _, o := range a.overrides {
		if o.Kind == Threat {
			text += "; " + o.label()
		}
	}
	return Line{Share: yearly(a.base[Host]+a.base[Access], week), Mechanism: baseline, Evidence: text}
}

func (a *Assessment) dateLine(p part) Line {
	d := p.deadline
	return Line{
		Share: p.h, Clock: p.clock, Mechanism: announced, First: d.Recorded, Last: d.Recorded, Age: a.At.Sub(d.Recorded).Seconds(),
		Evidence: fmt.Sprintf("%s (confidence %.2g)", d.label(), d.Confidence),
		Vantages: []string{d.By}, Raw: Raw{SHA256: d.Snapshot, Where: d.Source},
	}
}

// evidenceLines divide a mechanism's hazard by what speaks for it.
func (a *Assessment) evidenceLines(p part) (list []Line) {
	sum := 0.
	for _, e := range a.evidence {
		if e.mechanism == p.mechanism && e.w > 0 {
			sum += e.w
		}
	}
	for _, e := range a.evidence {
		if e.mechanism != p.mechanism || e.w <= 0 {
			continue
		}
		f := e.fact
		list = append(list, Line{
			Share: p.h * e.w / sum, Clock: p.clock, Mechanism: p.mechanism, Evidence: a.label(f), Signal: f.ID, Subject: f.subject, Weight: e.w,
			First: f.first, Last: f.last, Age: a.At.Sub(f.last).Seconds(), Vantages: vantages(f.saw), Raw: f.newest.Raw,
		})
	}
	return list
}

// forced is what people added to the hazard, or that they took some away.
func (a *Assessment) forced(c Clock) []Line {
	p := a.evident(c, week)
	more := hazard(min(a.P(c, week), sure)) - hazard(min(p, sure))
	i := slices.IndexFunc(a.overrides, func(o Override) bool { return o.Kind <= Pin && o.Clock == c })
	if i < 0 || math.Abs(more) < 1e-9 {
		return nil
	}
	o := a.overrides[i]
	return []Line{{
		Share: max(more, 0), Clock: c, Mechanism: "override", First: o.Recorded, Last: o.Recorded, Age: a.At.Sub(o.Recorded).Seconds(),
		Evidence: fmt.Sprintf("%s; the evidence alone says %s in 7 d", o.label(), percent(p)),
		Vantages: []string{o.By}, Raw: Raw{Where: o.Source},
	}}
}

// label is what a person reads of it.
func (o Override) label() string {
	text := fmt.Sprintf("%s %d", o.Kind, o.ID)
	switch {
	case o.Kind == Mute:
		text += " " + o.Signal
	case o.Kind == Threat:
		text += fmt.Sprintf(": %g times the base rate", o.Value)
	case o.Until.IsZero():
		text += fmt.Sprintf(": %s in 7 d", percent(o.Value))
	default:
		text += fmt.Sprintf(": %s by %s", percent(o.Value), date(o.Until))
	}
	if o.Note != "" {
		text += " (" + o.Note + ")"
	}
	return text
}
