// Package stream makes of what a crawl's own requests met looks at the sites they
// went to: failures that rise, a site that answers no worker any more, and how much
// our own requests rose, which may be why.
//
// It is for the coordinators: each sees the reports of workers on the hosts whose
// groups it leads. It says nothing of hosts that are seldom asked, and never that a
// site is well: a page that says that an account was suspended is an answer too. It
// is memory only; a new leader learns it in minutes.
package stream

import (
	"fmt"
	"math"
	"net/netip"
	"sync"
	"time"

	"salvor/api"
	"salvor/coordinator/risk"
)

const (
	// memory is over how many of a worker's requests failures are averaged: a host
	// that fails is asked ever less.
	memory = 30.0
	// least is how many requests there must have been for a word on them.
	least = 20
	// window is the half-life of our rate, and long that of what it is compared with.
	window = 10 * time.Minute
	long   = time.Hour
	// bad and good are shares of requests that failed: above, failures rise; below,
	// they do not; between, nothing is said.
	bad, good = 0.25, 0.1
	// silent is the share above which a site answers this worker no more.
	silent = 0.95
	// every is how often the same is said again.
	every = 10 * time.Minute
	// kept is how long a host is remembered that nobody asks.
	kept = 3 * time.Hour
	// maxHosts bounds what is remembered.
	maxHosts = 10_000
)

// Stream remembers. The zero value is ready.
type Stream struct {
	mu    sync.Mutex
	hosts map[string]*host
}

// host is what all workers met at one host.
type host struct {
	workers     map[risk.Vantage]*tally
	short, long decaying // requests
	first, last time.Time
	load        said
}

type tally struct {
	requests     float64 // in all
	share        float64 // of the last ones that failed
	last         time.Time
	errors, down said
}

func (t *tally) add(now time.Time, n, failed float64) {
	keep := math.Exp(-n / memory)
	if t.requests == 0 {
		keep = 0
	}
	t.share = t.share*keep + min(failed/n, 1)*(1-keep)
	t.requests, t.last = t.requests+n, now
}

// said is what was told last, and when.
type said struct {
	at      time.Time
	present bool
}

// decaying is a sum that halves.
type decaying struct {
	sum float64
	at  time.Time
}

func (d *decaying) add(now time.Time, half time.Duration, n float64) {
	d.sum = d.now(now, half) + n
	d.at = now
}

func (d *decaying) now(now time.Time, half time.Duration) float64 {
	return d.sum * math.Exp2(-now.Sub(d.at).Seconds()/half.Seconds())
}

// Take notes what a worker reported.
func (s *Stream) Take(now time.Time, v risk.Vantage, reports []api.HostFeedback) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hosts == nil {
		s.hosts = map[string]*host{}
	}
	for _, r := range reports {
		if r.Requests <= 0 {
			continue
		}
		h := s.hosts[r.Host]
		if h == nil {
			if len(s.hosts) >= maxHosts {
				continue
			}
			h = &host{workers: map[risk.Vantage]*tally{}, first: now}
			s.hosts[r.Host] = h
		}
		t := h.workers[v]
		if t == nil {
			t = &tally{}
			h.workers[v] = t
		}
		n := float64(r.Requests)
		t.add(now, n, float64(r.Errors))
		h.short.add(now, window, n)
		h.long.add(now, long, n)
		h.last = now
	}
}

// Looks are the observations to keep now, of hosts whose site is known. What was
// said and still holds is said again after a while only.
func (s *Stream) Looks(now time.Time, site func(host string) (string, bool)) (out []risk.Observation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, h := range s.hosts {
		if now.Sub(h.last) > kept {
			delete(s.hosts, name)
			continue
		}
		of, ok := site(name)
		if !ok {
			continue
		}
		say := func(last *said, o risk.Observation) {
			if o.Absent && !last.present || now.Sub(last.at) < every && last.present != o.Absent {
				return // nobody asked, or it was just said
			}
			*last = said{now, !o.Absent}
			o.Site, o.Subject, o.At = of, name, now
			out = append(out, o)
		}
		for v, t := range h.workers {
			t.look(now, v, say)
		}
		h.look(now, say)
	}
	return out
}

// look tells of one worker.
func (t *tally) look(now time.Time, v risk.Vantage, say func(*said, risk.Observation)) {
	if t.requests < least || now.Sub(t.last) > every {
		return
	}
	share := t.share
	detail := fmt.Sprintf("%.0f %% of its last requests failed", 100*share)
	if share >= bad || share <= good {
		say(&t.errors, risk.Observation{Signal: risk.SigErrors, Vantage: v, Value: share, Detail: detail, Absent: share <= good})
	}
	if share >= silent || share < bad {
		say(&t.down, risk.Observation{Signal: risk.SigDown, Vantage: v, Value: share, Detail: detail, Absent: share < bad})
	}
}

// look tells by how much all our requests rose. The rate of a host that was begun
// lately is not compared with anything.
func (h *host) look(now time.Time, say func(*said, risk.Observation)) {
	if now.Sub(h.first) < long/2 {
		return
	}
	rate := h.short.now(now, window) / window.Seconds()
	usual := h.long.now(now, long) / long.Seconds() / (1 - math.Exp2(-now.Sub(h.first).Seconds()/long.Seconds()))
	if usual <= 0 {
		return
	}
	by := math.Round(10*rate/usual) / 10
	say(&h.load, risk.Observation{
		Signal: risk.SigOwnLoad, Vantage: risk.Vantage{Node: "cluster"}, Value: by, Absent: by < 1.5,
		Detail: fmt.Sprintf("%.1f requests a second lately, %.1f over the last hour", rate*math.Ln2, usual*math.Ln2),
	})
}

// Network is the network a worker is in, as far as its address tells: the /24 or
// /48. Private addresses tell nothing.
func Network(a netip.Addr) string {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return ""
	}
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}
