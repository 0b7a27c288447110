package risk_test

import (
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"salvor/coordinator/risk"
)

// timeline is a site's story as testdata/*.txt tells it: dated observations and
// records in, curves and explanations out. Commands:
//
//	site NAME class=C
//	see            lines "TIME SIGNAL [SUBJECT] @NODE/NETWORK,... [absent] [value=V] [raw=WHERE] [: DETAIL]";
//	               TIME is a moment, or FROM..TO/STEP
//	deadline       what= at= zone= conf= [law=] recorded= by= [source=] [replaces=] [review=] [withdrawn]
//	override       kind= [clock=] value= [until=] [signal=] recorded= by= [review=] [replaces=] [withdrawn]
//	curve          lines of moments: the probabilities as seen from each
//	explain at=T
//	truth          lost=T, or alive=T: until when that is known
//	               score=STEP: from the first date on, for TestScores
type timeline struct {
	site   risk.Site
	events []event
	lost   time.Time
	known  time.Time // until when the truth is known
	step   time.Duration
}

// event is a dated change of what is known.
type event struct {
	at    time.Time
	apply func(*known) error
}

// known is what is known at a moment.
type known struct {
	site    risk.Site
	history risk.History
	entries []risk.Entry
}

func TestTimelines(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d timelines, %v", len(files), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			var l timeline
			datadriven.RunTest(t, f, l.run)
		})
	}
}

func (l *timeline) run(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("at %s", d.Pos)
		}
	}()
	out := ""
	var err error
	switch d.Cmd {
	case "site":
		l.site = risk.Site{Name: d.CmdArgs[0].Key}
		l.site, _, err = l.site.Define(arg(d, "class"), nil, time.Time{}, "ada", time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
	case "see":
		err = l.see(d.Input)
	case "deadline":
		err = l.deadline(d)
	case "override":
		err = l.override(d)
	case "truth":
		err = l.truth(d)
	case "curve":
		out, err = l.curve(d.Input)
	case "explain":
		var at time.Time
		if at, err = moment(arg(d, "at")); err == nil {
			e := l.at(t, at)
			out = e.Explain().Text()
		}
	case "audit":
		for _, e := range l.when(t, time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)).entries {
			out += fmt.Sprintf("%s %s %s %s\n", e.At.Format(time.RFC3339), e.By, e.What, e.Note)
		}
	default:
		t.Fatalf("no command %q", d.Cmd)
	}
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	return out
}

// when replays what is known at a moment.
func (l *timeline) when(t testing.TB, at time.Time) known {
	k := known{site: l.site}
	slices.SortStableFunc(l.events, func(a, b event) int { return a.at.Compare(b.at) })
	for _, e := range l.events {
		if e.at.After(at) {
			break
		}
		if err := e.apply(&k); err != nil {
			t.Fatalf("at %s: %v", e.at, err)
		}
	}
	return k
}

func (l *timeline) at(t testing.TB, at time.Time) risk.Assessment {
	k := l.when(t, at)
	return risk.Assess(risk.Input{Site: k.site, History: k.history, Now: at})
}

func (l *timeline) curve(moments string) (string, error) {
	out := fmt.Sprintf("%-17s %-12s %21s %21s\n%-17s %-12s %21s %21s\n", "", "", "host", "access", "as seen", "state", "24 h     7 d    30 d", "24 h     7 d    30 d")
	for w := range strings.FieldsSeq(moments) {
		at, err := moment(w)
		if err != nil {
			return "", err
		}
		a := l.at(nil, at)
		e := a.Explain()
		out += fmt.Sprintf("%-17s %-12s", at.Format("2006-01-02 15:04Z"), a.State)
		for _, p := range []float64{e.Host.Day, e.Host.Week, e.Host.Month, e.Access.Day, e.Access.Week, e.Access.Month} {
			out += fmt.Sprintf("%7.1f", 100*p)
		}
		out += "\n"
	}
	return out, nil
}

func moment(s string) (time.Time, error) {
	for _, form := range []string{"2006-01-02T15:04Z07:00", "2006-01-02"} {
		if at, err := time.Parse(form, s); err == nil {
			return at, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no moment", s)
}

func (l *timeline) see(lines string) error {
	for line := range strings.Lines(lines) {
		line, detail, _ := strings.Cut(strings.TrimSpace(line), " : ")
		w := strings.Fields(line)
		if len(w) < 3 {
			return fmt.Errorf("%q is no observation", line)
		}
		o := risk.Observation{Site: l.site.Name, Signal: w[1], Detail: detail}
		var from []string
		for _, x := range w[2:] {
			switch k, v, _ := strings.Cut(x, "="); {
			case k == "value":
				o.Value, _ = strconv.ParseFloat(v, 64)
			case k == "raw":
				o.Raw = risk.Raw{SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(v))), Where: v}
			case x[0] == '@':
				from = strings.Split(x[1:], ",")
			case x == "absent":
				o.Absent = true
			default:
				o.Subject = strings.ReplaceAll(x, "_", " ")
			}
		}
		if err := l.looks(o, w[0], from); err != nil {
			return err
		}
	}
	return nil
}

// looks repeats an observation over time and vantages.
func (l *timeline) looks(o risk.Observation, when string, vantages []string) error {
	first, rest, repeated := strings.Cut(when, "..")
	at, err := moment(first)
	if err != nil {
		return err
	}
	last, step := at, time.Hour
	if repeated {
		to, every, _ := strings.Cut(rest, "/")
		if last, err = moment(to); err != nil {
			return err
		}
		if step, err = time.ParseDuration(every); err != nil {
			return err
		}
	}
	for ; !at.After(last); at = at.Add(step) {
		for _, v := range vantages {
			o := o
			o.At = at
			o.Vantage.Node, o.Vantage.Network, _ = strings.Cut(v, "/")
			l.events = append(l.events, event{at, func(k *known) error {
				_, err := k.history.Add(risk.Default(), o)
				return err
			}})
		}
	}
	return nil
}

func arg(d *datadriven.TestData, key string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) > 0 {
			return strings.Join(a.Vals, ",")
		}
	}
	return ""
}

func when(d *datadriven.TestData, key string) time.Time {
	at, _ := moment(arg(d, key))
	return at
}

func record(d *datadriven.TestData) risk.Record {
	n, _ := strconv.Atoi(arg(d, "replaces"))
	return risk.Record{By: arg(d, "by"), Recorded: when(d, "recorded"), Review: when(d, "review"), Note: d.Input, Replaces: uint32(n)}
}

func (l *timeline) deadline(d *datadriven.TestData) error {
	r := risk.Deadline{At: when(d, "at"), Zone: arg(d, "zone"), Law: arg(d, "law"), Source: arg(d, "source"), Record: record(d), Withdrawn: d.HasArg("withdrawn")}
	if !r.Withdrawn {
		if err := r.What.UnmarshalText([]byte(arg(d, "what"))); err != nil {
			return err
		}
		r.Confidence, _ = strconv.ParseFloat(arg(d, "conf"), 64)
	}
	if err := r.Check(); err != nil {
		return err
	}
	l.events = append(l.events, event{r.Recorded, func(k *known) (err error) {
		var e risk.Entry
		k.site, e, err = k.site.AddDeadline(r)
		k.entries = append(k.entries, e)
		return err
	}})
	return nil
}

func (l *timeline) override(d *datadriven.TestData) error {
	o := risk.Override{Until: when(d, "until"), Signal: arg(d, "signal"), Record: record(d), Withdrawn: d.HasArg("withdrawn")}
	if !o.Withdrawn {
		if err := o.Kind.UnmarshalText([]byte(arg(d, "kind"))); err != nil {
			return err
		}
		if c := arg(d, "clock"); c != "" {
			if err := o.Clock.UnmarshalText([]byte(c)); err != nil {
				return err
			}
		}
		o.Value, _ = strconv.ParseFloat(arg(d, "value"), 64)
	}
	if err := o.Check(); err != nil {
		return err
	}
	l.events = append(l.events, event{o.Recorded, func(k *known) (err error) {
		var e risk.Entry
		k.site, e, err = k.site.AddOverride(o)
		k.entries = append(k.entries, e)
		return err
	}})
	return nil
}

func (l *timeline) truth(d *datadriven.TestData) (err error) {
	l.lost, l.known = when(d, "lost"), when(d, "alive")
	if l.known.IsZero() {
		l.known = l.lost.Add(365 * 24 * time.Hour)
	}
	l.step, err = time.ParseDuration(arg(d, "score"))
	return err
}
