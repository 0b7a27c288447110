package sites

import (
	"context"
	"time"

	"salvor/coordinator/risk"
)

// Outlook is what is known of the end of a host.
type Outlook struct {
	Site   string       // it belongs to; "" nothing is known of it
	Points []risk.Point // that its pages can be fetched; none: nothing is known
	Ends   time.Time    // the next deadline that ends it; zero: none
	SafeBy time.Time    // when to be done; zero: nothing presses
	Frozen time.Time    // since when nothing new is posted; zero: it is, as far as is known
}

// moments is how finely a planner is told, beside the dates.
const moments = 12

// Outlooks reads what is known now, as far ahead as the planner looks. The function
// it returns tells of hosts, for a moment; it is not safe for concurrent use.
func (s *Sites) Outlooks(ctx context.Context, ahead time.Duration) (func(host string) Outlook, error) {
	if err := s.refresh(ctx, readEvery); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	of := map[string]string{} // by host: the site that names it
	for name, x := range s.rows {
		for _, h := range x.site.Hosts {
			of[h] = name
		}
	}
	told := make(map[string]Outlook, len(s.rows))
	now := s.now()
	for name, x := range s.rows {
		a := s.assess(name)
		o := outlook(name, &a, now, ahead)
		o.Frozen, _ = x.site.Frozen(now)
		told[name] = o
	}
	return func(host string) Outlook {
		name, ok := of[host]
		if !ok {
			name = risk.SiteOf(host)
		}
		return told[name]
	}, nil
}

// Frozen reports whether any site is read-only: few are, and hosts are many.
func (s *Sites) Frozen(ctx context.Context) (bool, error) {
	if err := s.refresh(ctx, readEvery); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.rows {
		if _, is := x.site.Frozen(s.now()); is {
			return true, nil
		}
	}
	return false, nil
}

func outlook(name string, a *risk.Assessment, now time.Time, ahead time.Duration) Outlook {
	old := now.Sub(a.At)
	o := Outlook{Site: name, Points: since(a.Points(ahead+old, moments), old.Seconds())}
	x := a.Explain()
	o.SafeBy = x.SafeBy
	for _, d := range x.Deadlines {
		if _, ends := d.What.Clock(); ends && !d.Passed && (o.Ends.IsZero() || d.At.Before(o.Ends)) {
			o.Ends = d.At
		}
	}
	return o
}

// since is a curve some seconds later, given that the site is still there.
func since(list []risk.Point, by float64) []risk.Point {
	i := 0
	for i+1 < len(list) && list[i+1].At <= by {
		i++
	}
	if by <= 0 || i+1 >= len(list) {
		return list
	}
	a, b := list[i], list[i+1]
	now := a.P + (b.P-a.P)*(by-a.At)/(b.At-a.At)
	if now <= 0 {
		return []risk.Point{{}}
	}
	out := []risk.Point{{At: 0, P: 1}}
	for _, p := range list[i+1:] {
		out = append(out, risk.Point{At: p.At - by, P: min(p.P/now, 1)})
	}
	return out
}
