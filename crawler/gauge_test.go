package crawler

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

// TestGauge asks ten times a second for a while, and counts incidents.
func TestGauge(t *testing.T) {
	const ms = time.Millisecond
	rng := rand.New(rand.NewPCG(1, 2))
	upTo := func(d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }
	steady := func(d time.Duration) func(time.Duration) time.Duration {
		return func(time.Duration) time.Duration { return d }
	}
	for _, c := range []struct {
		name        string
		took        func(at time.Duration) time.Duration
		least, most int // incidents in ten minutes
	}{
		{"steady", steady(200 * ms), 0, 0},
		{"noise of a near server", func(time.Duration) time.Duration { return upTo(90 * ms) }, 0, 0},
		{"some pages take long", func(time.Duration) time.Duration {
			if rng.IntN(5) == 0 {
				return 3 * time.Second
			}
			return 100*ms + upTo(100*ms)
		}, 0, 0},
		{"as wide as a site can be", func(time.Duration) time.Duration { return 50 * ms << rng.IntN(6) }, 0, 5},
		{"slow for a moment", func(at time.Duration) time.Duration {
			if at > time.Minute && at < time.Minute+900*ms {
				return 5 * time.Second
			}
			return 200 * ms
		}, 0, 0},
		{"slow for a few seconds", func(at time.Duration) time.Duration {
			if at > time.Minute && at < time.Minute+5*time.Second {
				return time.Second
			}
			return 200 * ms
		}, 1, 1},
		{"three times as slow from now on", func(at time.Duration) time.Duration {
			if at > time.Minute {
				return 600 * ms
			}
			return 200 * ms
		}, 1, 2},
		{"fifty times as slow from now on", func(at time.Duration) time.Duration {
			if at > time.Minute {
				return 10 * time.Second
			}
			return 200 * ms
		}, 2, 4},
		{"slow now and then", func(at time.Duration) time.Duration {
			if at%(2*time.Minute) > 90*time.Second {
				return 900 * ms
			}
			return 200 * ms
		}, 5, 15},
		{"slower and slower", func(at time.Duration) time.Duration { return 200*ms + at/600 }, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var g gauge
			epoch := time.Unix(0, 0)
			var n int
			var last time.Time
			type answer struct{ at, took time.Duration }
			var answers []answer
			for at := time.Duration(0); at < 10*time.Minute; at += 100 * ms {
				answers = append(answers, answer{at, c.took(at)})
			}
			slices.SortFunc(answers, func(a, b answer) int { return cmp.Compare(a.at+a.took, b.at+b.took) })
			for _, a := range answers {
				now := epoch.Add(a.at + a.took)
				if !g.add(now, epoch.Add(a.at), a.took) {
					continue
				}
				if n++; now.Sub(last) < incident {
					t.Errorf("two incidents within %v", now.Sub(last))
				}
				last = now
			}
			if n < c.least || n > c.most {
				t.Errorf("%d incidents, want %d to %d", n, c.least, c.most)
			}
			t.Logf("%d incidents", n)
		})
	}
}

// answer starts a.test's items for d and has each answer after took.
func answer(s *schedule, d, took time.Duration) (starts int) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		x, ok, wait := s.pick()
		if !ok {
			time.Sleep(min(wait, time.Until(end)))
			continue
		}
		starts++
		go func() {
			time.Sleep(took)
			s.observe(x, verdict{status: 200}, took)
			s.landed(x)
			s.settled([]task{x})
		}()
	}
	return starts
}

// TestSlowAnswersCutThePace: by a fifth and at once, once an incident, until the
// coordinator knew of it and gave its answer.
func TestSlowAnswersCutThePace(t *testing.T) {
	for _, c := range []struct {
		name string
		pace float64
		late bool // this machine is
		want int  // starts in 4 s after some slow answers
	}{
		{"paced", 10, false, 32},
		{"unlimited", 0, false, -1},
		{"this machine is late", 10, true, 40},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSchedule(100, nil)
				s.setConnections(100)
				s.add([]api.Lease{testLease(1, "a.test", c.pace, 100_000)}, now())
				s.leases[1].TTL = time.Hour
				answer(s, 20*time.Second, 100*time.Millisecond)
				s.reports(1)
				slow := func(d time.Duration) int {
					if !c.late {
						return answer(s, d, 350*time.Millisecond)
					}
					n := 0
					for range d / time.Second {
						s.delayed(30 * time.Millisecond)
						n += answer(s, time.Second, 350*time.Millisecond)
					}
					return n
				}
				defer time.Sleep(time.Second) // what is under way ends
				slow(7 * time.Second)
				if c.want < 0 {
					if p := s.hosts["a.test"].purse; p.pace != salvor.Unlimited {
						t.Errorf("the pace is %v", p.pace)
					}
					return
				}
				if n := slow(4 * time.Second); n < c.want-1 || n > c.want+1 {
					t.Errorf("%d starts in 4 s, want %d", n, c.want)
				}
				taken := time.Now()
				if fs := s.reports(1); len(fs) != 1 || fs[0].Slowed != (c.want < 40) {
					t.Errorf("reported %+v", fs)
				}
				s.told(taken)
				s.renewed(api.Renewal{Granted: []api.Extension{{Lease: 1, Pace: salvor.PerSecond(10)}}}, now())
				if n := answer(s, 4*time.Second, 100*time.Millisecond); n < 39 || n > 41 {
					t.Errorf("%d starts in 4 s, 10/s are granted", n)
				}
			})
		})
	}
}

// TestRefusalAfterSlowness halves what was cut, whatever was under way.
func TestRefusalAfterSlowness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSchedule(6, nil)
		s.add([]api.Lease{testLease(1, "a.test", 10, 1000)}, now())
		x, _, _ := s.pick()
		p := x.host.purse
		p.brake.cut(forSlowness, time.Now())
		s.observe(x, verdict{throttled: true, status: 429}, 0)
		if p.pace != 4000 {
			t.Errorf("the pace is %v", p.pace)
		}
	})
}
