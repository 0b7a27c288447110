package risk_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/mattn/go-runewidth"

	"salvor"
	"salvor/coordinator/risk"
)

func checkText(t testing.TB, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); runewidth.StringWidth(line) > 80 || strings.TrimRight(line, " ") != line || strings.ContainsAny(line, "\t\x1b") {
			t.Fatalf("%d columns: %q", runewidth.StringWidth(line), line)
		}
	}
}

// TestRecordsAreNeverChanged: a new date replaces the old one, a withdrawal takes
// it back, and both stay to be read.
func TestRecordsAreNeverChanged(t *testing.T) {
	s := site(t, "ugc", inDays(noon, 300, .9, ""))
	first := s
	d := inDays(noon.Add(day), 100, .9, "")
	d.By, d.Replaces, d.Note = "bob", 1, "moved forward"
	s, e, err := s.AddDeadline(d)
	if err != nil || e.By != "bob" || e.What != "deadline.set" || e.Note != "moved forward" || !e.At.Equal(d.Recorded) || !strings.Contains(string(e.Change), `"replaces":1`) {
		t.Fatalf("%+v, %v", e, err)
	}
	if len(first.Deadlines) != 1 || len(s.Deadlines) != 2 || len(s.Standing()) != 1 || s.Standing()[0].ID != 2 {
		t.Fatalf("%+v", s)
	}
	if _, _, err := s.AddDeadline(d); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("replaced twice: %v", err)
	}
	s, e, err = s.AddDeadline(risk.Deadline{Withdrawn: true, Record: risk.Record{By: "eve", Recorded: noon.Add(2 * day), Replaces: 2}})
	if err != nil || e.What != "deadline.withdrawn" || len(s.Standing()) != 0 || len(s.Deadlines) != 3 {
		t.Errorf("%+v %+v %v", s, e, err)
	}
}

func TestFrozen(t *testing.T) {
	d := inDays(noon, 3, .9, "")
	d.What = risk.EndReadOnly
	s := site(t, "", d, inDays(noon, 1, .9, ""))
	if at, ok := s.Frozen(noon.Add(2 * day)); ok {
		t.Errorf("frozen since %s", at)
	}
	if at, ok := s.Frozen(noon.Add(4 * day)); !ok || !at.Equal(d.At) {
		t.Errorf("frozen %v, since %s", ok, at)
	}
}

// TestOldRecordsMakeRoom: a row stays bounded, and what stands is never dropped.
func TestOldRecordsMakeRoom(t *testing.T) {
	s := site(t, "", inDays(noon, 3, .5, ""))
	for i := range 3 * risk.MaxRecords {
		o := risk.Override{Kind: risk.Floor, Value: .5, Record: risk.Record{By: "ada", Recorded: noon, Note: strings.Repeat("n", 500)}}
		if i > 0 {
			o.Replaces = s.NextID - 1
		}
		var err error
		if s, _, err = s.AddOverride(o); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.Overrides) != risk.MaxRecords || len(s.InForce(noon)) != 1 || len(s.Standing()) != 1 {
		t.Errorf("%d overrides, %d in force", len(s.Overrides), len(s.InForce(noon)))
	}
	if _, err := s.Encode(); err != nil {
		t.Error(err)
	}
	for err := error(nil); err == nil; {
		before := s
		if s, _, err = s.AddOverride(risk.Override{Kind: risk.Floor, Value: .5, Record: risk.Record{By: "ada", Recorded: noon}}); err != nil {
			if salvor.ClassOf(err) != salvor.Exhausted || len(before.InForce(noon)) != risk.MaxRecords {
				t.Errorf("%v with %d in force", err, len(before.InForce(noon)))
			}
		}
	}
}

func TestRows(t *testing.T) {
	s := site(t, "ugc", inDays(noon, 300, .9, "provider"))
	s, _, err := s.Define("forum", []string{"b.example", "a.example", "b.example"}, noon, "ada", noon)
	if err != nil || s.Has("forum.example") || !s.Has("b.example") {
		t.Fatal(s, err)
	}
	s, _, err = s.AddOverride(risk.Override{Kind: risk.Pin, Clock: risk.Access, Value: .25, Until: noon.Add(day), Record: risk.Record{By: "ada", Recorded: noon}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Encode()
	if err != nil {
		t.Fatal(err)
	}
	back, err := risk.DecodeSite(b)
	if diff := cmp.Diff(s, back); diff != "" || err != nil {
		t.Errorf("%v\n%s", err, diff)
	}
	for in, class := range map[string]salvor.ErrorClass{
		`{"v":2,"name":"x"}`:       salvor.TooNew,
		`{"name":"x"}`:             salvor.Invalid,
		`{"v":1,"name":""}`:        salvor.Invalid,
		`{"v":1,"name":"a/b"}`:     salvor.Invalid,
		`[]`:                       salvor.Invalid,
		strings.Repeat(" ", 70000): salvor.Invalid,
		`{"v":1,"name":"x","next":9,"deadlines":[{"id":9,"what":"hosting","at":"2026-01-01T00:00:00Z","confidence":1,"by":"a","recorded":"2026-01-01T00:00:00Z"}]}`: salvor.Invalid,
	} {
		if _, err := risk.DecodeSite([]byte(in)); err == nil || salvor.ClassOf(err) != class {
			t.Errorf("%.40s: %v, want %s", in, err, class)
		}
	}
}

func TestRefusedRecords(t *testing.T) {
	ok := inDays(noon, 3, .9, "")
	ok.By = "ada"
	for name, change := range map[string]func(*risk.Deadline){
		"nobody":        func(d *risk.Deadline) { d.By = "" },
		"no date":       func(d *risk.Deadline) { d.At = time.Time{} },
		"no confidence": func(d *risk.Deadline) { d.Confidence = 0 },
		"sure of more":  func(d *risk.Deadline) { d.Confidence = 1.1 },
		"no zone":       func(d *risk.Deadline) { d.Zone = "Mars/Olympus" },
		"no hash":       func(d *risk.Deadline) { d.Snapshot = "abc" },
		"no end":        func(d *risk.Deadline) { d.What = 99 },
		"an escape":     func(d *risk.Deadline) { d.Note = "\x1b[2J" },
		"of nothing":    func(d *risk.Deadline) { d.Withdrawn = true },
		"not there":     func(d *risk.Deadline) { d.Replaces = 7 },
	} {
		d := ok
		change(&d)
		if _, _, err := (risk.Site{Name: "x"}).AddDeadline(d); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
	for name, o := range map[string]risk.Override{
		"a probability of 2": {Kind: risk.Floor, Value: 2},
		"a small threat":     {Kind: risk.Threat, Value: .5},
		"a silent mute":      {Kind: risk.Mute},
	} {
		o.Record = ok.Record
		if _, _, err := (risk.Site{Name: "x"}).AddOverride(o); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}

// TestOverridesWin over whatever was observed.
func TestOverridesWin(t *testing.T) {
	held := history(t, seen{risk.SigClientHold, "", 0})
	with := func(h risk.History, list ...risk.Override) risk.Assessment {
		s := site(t, "forum")
		for _, o := range list {
			o.By, o.Recorded = "ada", noon.Add(-day)
			var err error
			if s, _, err = s.AddOverride(o); err != nil {
				t.Fatal(err)
			}
		}
		return risk.Assess(risk.Input{Site: s, History: h, Now: noon})
	}
	friday := noon.Add(36 * time.Hour)
	for _, c := range []struct {
		name string
		a    risk.Assessment
		in   time.Duration
		want float64
	}{
		{"floor", with(risk.History{}, risk.Override{Kind: risk.Floor, Value: .5, Until: friday}), 36 * time.Hour, .5},
		{"floor below the evidence", with(held, risk.Override{Kind: risk.Floor, Value: .1}), 7 * day, .4862},
		{"ceiling", with(held, risk.Override{Kind: risk.Ceiling, Value: .02}), 7 * day, .02},
		{"floor and ceiling", with(held, risk.Override{Kind: risk.Floor, Value: .3}, risk.Override{Kind: risk.Ceiling, Value: .02}), 7 * day, .3},
		{"pin", with(held, risk.Override{Kind: risk.Pin, Value: 0}), 7 * day, 0},
		{"pin before floor", with(held, risk.Override{Kind: risk.Pin, Value: .2}, risk.Override{Kind: risk.Floor, Value: .3}), 7 * day, .2},
		{"mute", with(held, risk.Override{Kind: risk.Mute, Signal: risk.SigClientHold}), 7 * day, .0015},
		{"threat", with(risk.History{}, risk.Override{Kind: risk.Threat, Value: 30}), 7 * day, .0450},
		{"a ceiling that lapsed", with(held, risk.Override{Kind: risk.Ceiling, Value: .02, Until: noon}), 7 * day, .4862},
		{"a floor that is over", with(risk.History{}, risk.Override{Kind: risk.Floor, Value: .5, Until: noon}), day, .5},
	} {
		if got := c.a.P(risk.Host, c.in); got < c.want-.0001 || got > c.want+.0001 {
			t.Errorf("%s: %.4f, want %.4f", c.name, got, c.want)
		}
		if e := c.a.Explain(); strings.HasPrefix(c.name, "a ") && len(e.Ask) == 0 {
			t.Errorf("%s: nobody is asked", c.name)
		}
	}
	threat := with(risk.History{}, risk.Override{Kind: risk.Threat, Value: 30})
	if e := threat.Explain(); !strings.Contains(e.Text(), "threat 1: 30 times the base rate") {
		t.Error(e.Text())
	}
	muted := with(held, risk.Override{Kind: risk.Mute, Signal: risk.SigClientHold})
	if e := muted.Explain(); muted.State == risk.DownByName || len(e.NotCounted) != 1 || e.NotCounted[0].Why != "muted by ada" {
		t.Errorf("%s: %+v", muted.State, e.NotCounted)
	}
}

func TestSiteOf(t *testing.T) {
	for host, want := range map[string]string{"www.Forum.example.": "forum.example", "a.b.co.uk": "b.co.uk", "127.0.0.1": "127.0.0.1", "localhost": "localhost"} {
		if got := risk.SiteOf(host); got != want {
			t.Errorf("%s is of %s, want %s", host, got, want)
		}
	}
}

// TestExplanationJSON: what a person reads a program can read too.
func TestExplanationJSON(t *testing.T) {
	a := risk.Assess(risk.Input{Site: site(t, "forum", inDays(noon, 300, .9, "")), History: history(t, seen{risk.SigClientHold, "", 0}), Now: noon})
	e := a.Explain()
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back risk.Explanation
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if back.Text() != e.Text() || back.State != risk.DownByName || back.Model != risk.Default().Version {
		t.Errorf("%s\n%s", e.Text(), back.Text())
	}
	var any struct {
		Lost map[string]float64 `json:"lost"`
	}
	if err := json.Unmarshal(b, &any); err != nil || any.Lost["7d"] < .4 {
		t.Error(fmt.Sprint(any), err)
	}
}

func FuzzDecodeSite(f *testing.F) {
	b, err := site(f, "ugc", inDays(noon, 3, .9, "")).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"v":1,"name":"x","overrides":[{"id":1,"kind":"floor","clock":"host","value":1,"by":"a","recorded":"2026-01-01T00:00:00Z"}],"next":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := risk.DecodeSite(b)
		if err != nil {
			return
		}
		a := risk.Assess(risk.Input{Site: s, Now: noon})
		for _, c := range []risk.Clock{risk.Host, risk.Access, risk.Content} {
			if p, q := a.P(c, day), a.P(c, 2*day); !(p >= 0 && q >= p && q <= 1) {
				t.Fatalf("%s: %g, %g", c, p, q)
			}
		}
		checkText(t, a.Explain().Text())
		again, err := s.Encode()
		if err != nil {
			return // larger when it is written in full
		}
		if back, err := risk.DecodeSite(again); err != nil || !cmp.Equal(s, back, cmpopts.EquateEmpty()) {
			t.Fatalf("%v\n%s", err, cmp.Diff(s, back))
		}
	})
}
