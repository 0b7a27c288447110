package pilot

import (
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// A host that does much less than its budget allows is planned for with what it
// does.
func TestSlowHostsAreFoundOut(t *testing.T) {
	w := newWorld()
	w.load = []api.Load{{Rate: 30, CPU: 0.5}}
	p := w.pilot()
	h := &w.hosts[1][0]
	var v View
	for range 20 {
		v = w.look(t, p)
		w.now = w.now.Add(2 * time.Second)
		h.Totals.Queued -= 4 // 2 a second
		h.Totals.Outcomes[salvor.Saved] += 4
		h.Bands[0].Queued = h.Totals.Queued
		w.hosts[2][0].Totals.Queued -= 30
		w.hosts[2][0].Totals.Outcomes[salvor.Saved] += 30
		w.hosts[2][0].Bands[0].Queued = w.hosts[2][0].Totals.Queued
	}
	for i, x := range v.Hosts {
		if r := v.Input.Hosts[i].Rate; x.Host == "calm.example" && r > 4 {
			t.Errorf("a host that does 2 a second is planned for with %v", r)
		}
	}
}

// Workers need a while to follow a plan, and while they do all they can others may
// have had a host's part: neither makes it slow.
func TestHostsAreNotJudgedTooSoon(t *testing.T) {
	for _, c := range []struct {
		name  string
		load  api.Load
		looks int
	}{
		{"young", api.Load{Rate: 30, CPU: 0.5}, 10},
		{"starved", api.Load{Rate: 30, CPU: 0.99}, 100},
		{"not known", api.Load{Rate: 1, CPU: 0.01}, 100},
	} {
		w := newWorld()
		w.load = []api.Load{c.load}
		p := w.pilot()
		var v View
		for range c.looks {
			v = w.look(t, p)
			w.now = w.now.Add(2 * time.Second)
		}
		for i, x := range v.Hosts {
			if r := v.Input.Hosts[i].Rate; r < 30 {
				t.Errorf("%s: %s is planned for with %v", c.name, x.Host, r)
			}
		}
	}
}

// A new host gets a part of the workers, though the plan has others to serve.
func TestNewHostsAreLookedAt(t *testing.T) {
	w := newWorld()
	w.crawls[1].Deadline = w.now.Add(10 * time.Minute).UnixMilli()
	w.hosts[1][0].Totals.Accepted -= freshFor
	w.look(t, w.pilot())
	if got := w.pace("calm.example"); got < explore*20 || got > explore*20.1*slack+0.1 {
		t.Errorf("a new host gets %v of 20.1", got)
	}
}

// A host of which only the front page is known gets what it can take: it finds the
// rest.
func TestNewHostsMayGrow(t *testing.T) {
	w := newWorld()
	w.crawls[0].Deadline, w.crawls[1].Deadline = w.now.Add(time.Hour).UnixMilli(), w.now.Add(10*time.Minute).UnixMilli()
	fresh := host("new.example", 1, 25)
	fresh.Bands[0].Band = salvor.BandSeed
	w.hosts[2] = append(w.hosts[2], fresh)
	w.look(t, w.pilot())
	if a, b := w.pace("new.example"), w.pace("calm.example"); a < 25 || b > 1 {
		t.Errorf("a new host gets %v, one that can wait %v", a, b)
	}
}

func TestMergedHostsShareAPool(t *testing.T) {
	w := newWorld()
	w.hosts[1][0].Group, w.hosts[2][0].Group = "cdn", "cdn"
	w.groups = []api.HostGroup{{Name: "cdn", Rate: salvor.PerSecond(3), Ceiling: salvor.PerSecond(50)}}
	v := w.look(t, w.pilot())
	sum := 0.0
	for _, s := range v.Plan.Hosts {
		sum += s.Rate
	}
	if sum > 3.01 || sum < 2.9 {
		t.Errorf("%v a second of hosts that share 3", sum)
	}
}
