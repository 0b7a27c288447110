package drill

import (
	"fmt"
	"math"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/drill/platform"
)

// Entry is a scenario that ships with the program.
type Entry struct {
	Name  string
	About string // in a line
	make  func() Scenario
}

// Scenario is the entry's, ready to be played.
func (e Entry) Scenario() Scenario {
	s := e.make()
	s.Name = e.Name
	return s
}

// Catalogue is all scenarios that ship.
var Catalogue = []Entry{
	{"twelve", "12 platforms of all kinds die within two minutes, three of them without a word", twelve},
	{"brief", "4 platforms die within 12 seconds: does a drill work here?", brief},
}

// Find finds one by its name.
func Find(name string) (Entry, error) {
	for _, e := range Catalogue {
		if e.Name == name {
			return e, nil
		}
	}
	return Entry{}, salvor.Errorf(salvor.NotFound, "there is no scenario %q", name).WithHint("see: salvor drill list")
}

// tiers are those of most platforms: few pages that everybody wants, and many.
func tiers(value float64) []platform.Tier {
	return []platform.Tier{{Share: .1, Value: 10 * value}, {Share: .3, Value: 3 * value}, {Share: .6, Value: value}}
}

// twelve is twice as much work as the workers can do. Sizes, limits and values
// are spread as those of real platforms are: by factors, not by sums.
func twelve() Scenario {
	s := Scenario{Seed: 12, Length: 2 * time.Minute, Capacity: 60}
	for i := range 12 {
		spread := func(k int) float64 { return math.Exp(1.2 * math.Sin(float64(7*i+k))) }
		rate := min(3+8*spread(1), 40)
		end := time.Duration(20+(i*53)%100) * time.Second
		x := Site{Spec: platform.Spec{
			Name: fmt.Sprintf("site%02d", i+1), Pages: int(900*spread(2)) + 100, Tiers: tiers(spread(3)),
			Media: .1 * float64(i%5), API: .1 * float64(i%2), Listed: i%3 == 0,
			Manner: platform.Conduct{Rate: math.Round(rate), Death: end, End: platform.End(i % 2)},
		}, Notices: []Notice{{0, end}}}
		s.Sites = append(s.Sites, x)
	}
	troubles(&s)
	return s
}

// troubles make some platforms of twelve worse than they were announced.
func troubles(s *Scenario) {
	at := func(i int) *Site { return &s.Sites[i] }
	at(1).Manner.Storms = []platform.Storm{{From: 15 * time.Second, To: 18 * time.Second, Share: .5}}
	at(2).Manner.Tail = platform.Tail{Share: .03, Latency: 3 * time.Second}
	at(3).Manner.Ban = platform.Ban{After: 30, For: 20 * time.Second}
	at(4).Notices = []Notice{{0, 115 * time.Second}, {20 * time.Second, at(4).Manner.Death}} // moved forward
	at(5).Notices = []Notice{{0, at(5).Manner.Death / 2}, {at(5).Manner.Death / 4, at(5).Manner.Death}}
	at(6).Notices = []Notice{{25 * time.Second, at(6).Manner.Death}} // a flash announcement
	at(7).Notices = []Notice{{35 * time.Second, at(7).Manner.Death}}
	for _, i := range []int{8, 9, 10} { // it was to live longer
		at(i).Notices = []Notice{{0, 2 * time.Minute}}
	}
	at(11).Notices = []Notice{{0, 0}} // nobody knows when
}

// brief is a drill for tests.
func brief() Scenario {
	s := Scenario{Seed: 4, Length: 12 * time.Second, Capacity: 40}
	for i := range 4 {
		end := time.Duration(6+2*i) * time.Second
		s.Sites = append(s.Sites, Site{Spec: platform.Spec{
			Name: fmt.Sprintf("site%02d", i+1), Pages: 80 * (4 - i), Tiers: tiers(float64(1 + 3*(i%2))), Media: .2 * float64(i%2), Listed: i > 1,
			Manner: platform.Conduct{Rate: 25, Death: end, End: platform.End(i % 2)},
		}, Notices: []Notice{{0, end}}})
	}
	return s
}
