package server

import (
	"math"
	"runtime"
	"testing"
	"time"

	"salvor/cmd/salvor/internal/fleet"
)

// TestGaugeOfTheFirstSeconds: what a young worker does is told as it is, not as the
// mean with a time when it did nothing.
func TestGaugeOfTheFirstSeconds(t *testing.T) {
	var g gauge
	at := time.Unix(1_000_000, 0)
	u := fleet.Use{Busy: 64, Connections: 64}
	for range 3 {
		g.sample(at, 0, u)
		at, u.Requests = at.Add(time.Second), u.Requests+40
	}
	if l := g.read(); math.Abs(l.Rate-40) > .1 || math.Abs(l.Connections-1) > .01 {
		t.Errorf("after two seconds at 40 a second: %+v", l)
	}
}

func TestGauge(t *testing.T) {
	var g gauge
	at := time.Unix(1_000_000, 0)
	if l := g.read(); l.Use() != 0 {
		t.Errorf("before the first sample: %+v", l)
	}
	u := fleet.Use{Busy: 16, Connections: 64, MaxRate: 80, MaxEgress: 1000, Spooled: 1 << 20, SpoolMax: 4 << 20}
	cpu := time.Duration(0)
	for range 120 { // two minutes at 20 requests a second on half a processor
		g.sample(at, cpu, u)
		at, cpu, u.Requests = at.Add(time.Second), cpu+time.Second/2, u.Requests+20
		u.Received += 400
	}
	l := g.read()
	for what, x := range map[string][2]float64{
		"rate": {l.Rate, 20}, "connections": {l.Connections, 0.25}, "requests": {l.Requests, 0.25}, "egress": {l.Egress, 0.4},
		"cpu": {l.CPU, 0.5 / float64(runtime.GOMAXPROCS(0))}, "spool": {l.Spool, 0.25},
	} {
		if math.Abs(x[0]-x[1]) > 0.01*x[1] {
			t.Errorf("%s %.3f, want %.3f", what, x[0], x[1])
		}
	}
	u.Busy = 64
	for range 30 {
		at = at.Add(time.Second)
		g.sample(at, cpu, u)
	}
	if l := g.read(); l.Connections < 0.9 || l.Rate > 2 {
		t.Errorf("30 s later: %+v", l)
	}
	g.sample(at, cpu, u) // a clock that stands still
	if l := g.read(); math.IsNaN(l.Rate) || math.IsInf(l.Rate, 0) {
		t.Errorf("%+v", l)
	}
}
