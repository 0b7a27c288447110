package drill

import (
	"math"
	"slices"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/drill/platform"
)

// Scenario is what a drill plays. Times count from its beginning.
type Scenario struct {
	Name     string
	About    string // in a line
	Seed     uint64
	Length   time.Duration
	Capacity float64         // requests a second that all workers together can make
	Lost     []time.Duration // when a worker is lost, each time another one
	Sites    []Site
}

// Site is a platform and what people learn of its end, and when.
type Site struct {
	platform.Spec
	Notices []Notice // by time; the first is when the site is seeded
	// Risk is how probable people think it is that it dies before its deadline.
	Risk float64
	// Guess is what they take its size for, in parts of what it is; 0 is 1. Only a
	// simulation is told: a cluster finds out by itself.
	Guess float64
}

// Notice is the news of a deadline; Deadline 0 names none.
type Notice struct {
	At, Deadline time.Duration
}

// Check refuses what cannot be played.
func (s *Scenario) Check() error {
	if s.Length <= 0 || s.Capacity <= 0 || len(s.Sites) == 0 {
		return salvor.Errorf(salvor.Invalid, "scenario %s has %d sites, %g requests a second, and lasts %s", s.Name, len(s.Sites), s.Capacity, s.Length).
			WithHint("it needs a length, a capacity, and sites")
	}
	if !slices.IsSorted(s.Lost) {
		return salvor.Errorf(salvor.Invalid, "the workers of scenario %s are not lost in the order of time", s.Name).WithHint("let the first come first")
	}
	for i := range s.Sites {
		x := &s.Sites[i]
		if err := x.Spec.Check(); err != nil {
			return err
		}
		if len(x.Notices) == 0 {
			return salvor.Errorf(salvor.Invalid, "nobody ever hears of site %s", x.Name)
		}
		for k, n := range x.Notices[1:] {
			if n.At < x.Notices[k].At {
				return salvor.Errorf(salvor.Invalid, "the notices of site %s are not in the order of time", x.Name).WithHint("let the first come first")
			}
		}
	}
	return nil
}

// heard is the deadline of a site as people know it at a moment; ok is false
// before anybody knows the site.
func (x *Site) heard(at time.Duration) (deadline time.Duration, ok bool) {
	for _, n := range x.Notices {
		if n.At > at {
			break
		}
		deadline, ok = n.Deadline, true
	}
	return deadline, ok
}

// specs are the platforms.
func (s *Scenario) specs() (out []platform.Spec) {
	for i := range s.Sites {
		out = append(out, s.Sites[i].Spec)
	}
	return out
}

// Scaled is the same scenario in another time and with other workers: all that
// happens, happens after the same part of it, and each platform is the same part
// of the work. What a crawler waits for by the clock, such as a slow answer,
// stays as long as it is.
func (s Scenario) Scaled(length time.Duration, capacity float64) Scenario {
	by := length.Seconds() / s.Length.Seconds()
	speed := capacity / s.Capacity
	stretch := func(d *time.Duration) { *d = time.Duration(float64(*d) * by) }
	sites := slices.Clone(s.Sites)
	s.Lost = slices.Clone(s.Lost)
	for i := range s.Lost {
		stretch(&s.Lost[i])
	}
	for i := range sites {
		x := &sites[i]
		x.Pages = max(1, int(math.Round(float64(x.Pages)*by*speed)))
		m := &x.Manner
		m.Rate *= speed
		m.Changes, m.Storms, x.Notices = slices.Clone(m.Changes), slices.Clone(m.Storms), slices.Clone(x.Notices)
		for _, d := range []*time.Duration{&m.Death, &m.ReadOnly, &m.Ban.For, &m.Ban.Within} {
			stretch(d)
		}
		for k := range m.Changes {
			m.Changes[k].Rate *= speed
			stretch(&m.Changes[k].At)
		}
		for k := range m.Storms {
			stretch(&m.Storms[k].From)
			stretch(&m.Storms[k].To)
		}
		for k := range x.Notices {
			stretch(&x.Notices[k].At)
			stretch(&x.Notices[k].Deadline)
		}
	}
	s.Sites, s.Length, s.Capacity = sites, length, capacity
	return s
}
