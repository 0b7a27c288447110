package risk_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/coordinator/risk"
)

// looks folds observations of one host, from n1 of AS1 and so on; signals are
// seen at moments after noon.
type look struct {
	after  time.Duration
	node   int
	signal string
	absent bool
}

func (l look) observation() risk.Observation {
	return risk.Observation{
		Site: "forum.example", Signal: l.signal, Subject: "forum.example", At: noon.Add(l.after), Absent: l.absent,
		Vantage: risk.Vantage{Node: fmt.Sprint("n", l.node), Network: fmt.Sprint("AS", l.node)},
	}
}

func assess(t *testing.T, at time.Duration, looks ...look) risk.Assessment {
	t.Helper()
	var h risk.History
	for _, l := range looks {
		if _, err := h.Add(risk.Default(), l.observation()); err != nil {
			t.Fatal(err)
		}
	}
	return risk.Assess(risk.Input{Site: site(t, "forum"), History: h, Now: noon.Add(at)})
}

// every repeats a look.
func every(step, until time.Duration, l look) (list []look) {
	for ; l.after <= until; l.after += step {
		list = append(list, l)
	}
	return list
}

// TestStates: trouble is believed quickly, but not of one vantage; death slowly,
// and health slowly after it.
func TestStates(t *testing.T) {
	const h, m = time.Hour, time.Minute
	join := func(lists ...[]look) (all []look) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	well := look{0, 1, risk.SigHealthy, false}
	down := func(after time.Duration, node int) look { return look{after, node, risk.SigDown, false} }
	for _, c := range []struct {
		name  string
		at    time.Duration
		looks []look
		want  risk.State
	}{
		{"nobody looked", 0, nil, risk.Unknown},
		{"one look", m, []look{well}, risk.OK},
		{"nobody looked since", 25 * h, []look{well}, risk.Unknown},
		{"one failure", m, []look{well, down(m, 1)}, risk.Degraded},
		{"two failures", 2 * m, []look{well, down(m, 1), down(2*m, 1)}, risk.Degraded},
		{"three failures", 3 * m, []look{well, down(m, 1), down(2*m, 1), down(3*m, 1)}, risk.Down},
		{"three failures, another sees it", 3 * m, []look{well, down(m, 1), down(2*m, 1), down(3*m, 1), {3 * m, 2, risk.SigHealthy, false}}, risk.Degraded},
		{"three failures, another looked before", 3 * m, []look{{0, 2, risk.SigHealthy, false}, down(m, 1), down(2*m, 1), down(3*m, 1)}, risk.Down},
		{"two vantages", m, []look{well, down(m, 1), down(m, 2)}, risk.Down},
		{"two of three", 2 * m, []look{down(m, 1), down(m, 2), {m, 3, risk.SigHealthy, false}}, risk.Down},
		{"two of four", 2 * m, []look{down(m, 1), down(m, 2), {m, 3, risk.SigHealthy, false}, {m, 4, risk.SigHealthy, false}}, risk.Degraded},
		{"a wall for all", m, []look{{0, 1, risk.SigBotWall, false}, {0, 2, risk.SigBotWall, false}}, risk.OK},
		{"a wall after failures", 3 * h, []look{down(m, 1), down(m, 2), {2 * h, 1, risk.SigBotWall, false}, {2 * h, 2, risk.SigBotWall, false}}, risk.Degraded},
		{"no name", m, []look{{0, 1, risk.SigNXDomain, false}, {0, 2, risk.SigNXDomain, false}}, risk.DownByName},
		{"no name for one", m, []look{{0, 1, risk.SigNXDomain, false}, {0, 2, risk.SigNXDomain, true}, {0, 2, risk.SigHealthy, false}}, risk.OK},
		{"a hold, and pages", m, []look{well, {0, 9, risk.SigClientHold, false}}, risk.DownByName},
		{"a hold that ended", 2 * m, []look{well, {0, 9, risk.SigClientHold, false}, {m, 9, risk.SigClientHold, true}}, risk.OK},
		{"back for an hour", 4 * h, []look{down(m, 1), down(m, 2), {3 * h, 1, risk.SigHealthy, false}, {3 * h, 2, risk.SigHealthy, false}}, risk.Degraded},
		{"back for a day", 28 * h, join([]look{down(m, 1), down(m, 2)}, every(h, 28*h, look{3 * h, 1, risk.SigHealthy, false}), every(h, 28*h, look{3 * h, 2, risk.SigHealthy, false})), risk.OK},
		{"down for 71 hours", 71 * h, join(every(h, 71*h, down(0, 1)), every(h, 71*h, down(0, 2))), risk.Down},
		{"down for 73 hours", 73 * h, join(every(h, 73*h, down(0, 1)), every(h, 73*h, down(0, 2))), risk.Gone},
		{"down for 73 hours, by one network", 73 * h, every(h, 73*h, down(0, 1)), risk.Down},
		{"gone, and looked at seldom", 200 * h, join(every(h, 73*h, down(0, 1)), every(h, 73*h, down(0, 2))), risk.Gone},
		{"a success between", 73 * h, join(every(h, 40*h, down(0, 1)), every(h, 73*h, down(0, 2)), []look{{41 * h, 1, risk.SigHealthy, false}}, every(h, 73*h, down(42*h, 1))), risk.Down},
		{"failures in the crawl", m, []look{well, {m, 1, risk.SigErrors, false}}, risk.Degraded},
	} {
		a := assess(t, c.at, c.looks...)
		if a.State != c.want {
			t.Errorf("%s: %s (%s), want %s", c.name, a.State, a.Why, c.want)
		}
		if e := a.Explain(); a.State == risk.Gone && (e.Host.Week < .97 || !strings.Contains(e.Text(), "networks")) {
			t.Errorf("%s:\n%s", c.name, e.Text())
		}
	}
}

// TestErrorsWide: failures that three vantages see for a day weigh double.
func TestErrorsWide(t *testing.T) {
	var looks []look
	for node := range 3 {
		looks = append(looks, every(time.Hour, 25*time.Hour, look{0, node, risk.SigErrors, false})...)
	}
	wide, some := assess(t, 25*time.Hour, looks...), assess(t, 25*time.Hour, looks[:len(looks)-26]...)
	if l := wide.Explain().Lines[0]; l.Signal != risk.SigErrorsWide || l.Weight != 3 || len(l.Vantages) != 3 {
		t.Errorf("%+v", l)
	}
	if l := some.Explain().Lines[0]; l.Signal != risk.SigErrors || l.Weight != 1.5 {
		t.Errorf("%+v", l)
	}
}

func TestHistory(t *testing.T) {
	var h risk.History
	add := func(l look, want bool) {
		t.Helper()
		if got, err := h.Add(risk.Default(), l.observation()); got != want || err != nil {
			t.Errorf("%+v: %v, %v", l, got, err)
		}
	}
	add(look{time.Hour, 1, risk.SigHealthy, false}, true)
	add(look{time.Hour, 1, risk.SigHealthy, false}, false) // twice
	add(look{0, 1, risk.SigHealthy, false}, false)         // late
	before := h.Tracks[0]
	add(look{2 * time.Hour, 1, risk.SigDown, false}, true)
	if h.Tracks[0].Signal != risk.SigDown || h.Tracks[1].Now.Present || h.Tracks[1].Seen != before.Now {
		t.Errorf("%+v", h.Tracks)
	}
	for i := range 3 * risk.MaxTracks {
		o := look{3 * time.Hour, 1, risk.SigNews, false}.observation()
		o.At, o.Subject, o.Detail = o.At.Add(time.Duration(i)*time.Second), strings.Repeat("s", 200)+fmt.Sprint(i), strings.Repeat("d", risk.MaxDetail)
		if _, err := h.Add(risk.Default(), o); err != nil {
			t.Fatal(err)
		}
	}
	if len(h.Tracks) != risk.MaxTracks {
		t.Errorf("%d tracks", len(h.Tracks))
	}
	b, err := h.Encode()
	if err != nil || len(b) > 64<<10 {
		t.Fatal(len(b), err)
	}
	back, err := risk.DecodeHistory(b)
	if err != nil || len(back.Tracks) < 50 || len(back.Tracks) > len(h.Tracks) {
		t.Errorf("%d tracks come back, %v", len(back.Tracks), err)
	}
	again, err := back.Encode()
	if third, err2 := risk.DecodeHistory(again); err != nil || err2 != nil || !cmp.Equal(back, third) {
		t.Error(cmp.Diff(back, third), err, err2)
	}
	if _, err := risk.DecodeHistory([]byte(`{"v":9}`)); salvor.ClassOf(err) != salvor.TooNew {
		t.Error(err)
	}
}

// TestAddLeavesCopiesAlone: who holds an older value still sees that.
func TestAddLeavesCopiesAlone(t *testing.T) {
	var h risk.History
	for _, s := range []string{risk.SigHealthy, risk.SigNews, risk.SigDown} {
		old := h
		want := fmt.Sprintf("%+v", old)
		if _, err := h.Add(risk.Default(), look{time.Duration(len(h.Tracks)) * time.Hour, 1, s, false}.observation()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%+v", old); got != want {
			t.Errorf("%s became %s", want, got)
		}
	}
}

func TestRefusedObservations(t *testing.T) {
	for name, change := range map[string]func(*risk.Observation){
		"no site":          func(o *risk.Observation) { o.Site = "" },
		"no time":          func(o *risk.Observation) { o.At = time.Time{} },
		"nobody":           func(o *risk.Observation) { o.Vantage.Node = "" },
		"an escape":        func(o *risk.Observation) { o.Detail = "\x1b[31mred" },
		"a long text":      func(o *risk.Observation) { o.Detail = strings.Repeat("x", risk.MaxDetail+1) },
		"no hash":          func(o *risk.Observation) { o.Raw.SHA256 = "abc" },
		"made, not seen":   func(o *risk.Observation) { o.Signal = risk.SigErrorsWide },
		"broken UTF-8":     func(o *risk.Observation) { o.Subject = "\xff" },
		"a second line":    func(o *risk.Observation) { o.Detail = "a\nb" },
		"a control of C1":  func(o *risk.Observation) { o.Detail = "\u009b2J" },
		"a time too late":  func(o *risk.Observation) { o.At = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"a nameless thing": func(o *risk.Observation) { o.Signal = "" },
	} {
		o := look{0, 1, risk.SigNews, false}.observation()
		change(&o)
		if ok, err := new(risk.History).Add(risk.Default(), o); ok || salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

// TestUnknownSignal: one of a newer catalogue is kept, shown, and not counted.
func TestUnknownSignal(t *testing.T) {
	a := assess(t, 0, look{0, 1, "quantum-doom", false})
	e := a.Explain()
	if len(e.NotCounted) != 1 || !strings.Contains(e.NotCounted[0].Why, "does not know it") || e.Host.Week > .002 {
		t.Errorf("%+v", e.NotCounted)
	}
}

func FuzzDecodeHistory(f *testing.F) {
	h := history(f, seen{risk.SigClientHold, "", 0}, seen{risk.SigDown, "x", time.Hour})
	b, err := h.Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := risk.DecodeHistory(b)
		if err != nil {
			return
		}
		a := risk.Assess(risk.Input{Site: site(t, "forum"), History: h, Now: noon})
		if p, q := a.Lost(day), a.Lost(9*day); !(p >= 0 && q >= p && q <= 1) {
			t.Fatalf("%g, %g", p, q)
		}
		checkText(t, a.Explain().Text())
	})
}
