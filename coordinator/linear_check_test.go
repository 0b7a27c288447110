package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"salvor"
	"salvor/api"
)

// ends adds the ends of leases, which nobody calls for.
func (h *leaseHistory) ends() {
	for id, c := range h.claims {
		for _, it := range c.Items {
			h.note(90, int64(c.end), neverBack, itemOp{key: it.Key, verb: opEnd, lease: id})
		}
		over := time.Duration(0) // at its end, or when its last item was reported
		for _, it := range c.Items {
			over = max(over, h.until(c, it.Key))
		}
		h.note(91, int64(over), neverBack, itemOp{verb: opEnd, lease: id})
	}
}

// until is the earliest moment at which a lease may have lost an item.
func (h *leaseHistory) until(c *claim, k salvor.Key) time.Duration {
	at := c.end
	if t, ok := c.back[k]; ok {
		at = min(at, t)
	}
	if t, ok := h.saves[k]; ok {
		at = min(at, t)
	}
	return at
}

func first(m map[salvor.Key]time.Duration, k salvor.Key, at time.Duration) {
	if _, ok := m[k]; !ok {
		m[k] = at
	}
}

// overlaps is the first sentence once more, told from outside: for all that its
// holders know, no two leases have an item at one time.
func (h *leaseHistory) overlaps() {
	by := map[salvor.Key][]*claim{}
	for _, c := range h.claims {
		for _, it := range c.Items {
			by[it.Key] = append(by[it.Key], c)
		}
	}
	for k, list := range by {
		for i, a := range list {
			for _, b := range list[:i] {
				if max(a.begun, b.begun) < min(h.until(a, k), h.until(b, k)) {
					h.t.Errorf("an item was leased twice at a time: %x from %s to %s, %x from %s to %s", a.ID, a.begun, h.until(a, k), b.ID, b.begun, h.until(b, k))
				}
			}
		}
	}
}

// TestLeaseLinearizable lets workers lease, extend, settle and vanish over three
// nodes whose leader is cut off, deposed or killed all the time.
func TestLeaseLinearizable(t *testing.T) {
	spans := map[string]time.Duration{"cut": 100 * time.Second, "hand over": 40 * time.Second, "kill": 60 * time.Second}
	for verb, span := range spans {
		t.Run(verb, func(t *testing.T) {
			if os.Getenv(measureEnv) != "" {
				span *= 10
			}
			span /= underRace
			h := &leaseHistory{t: t, claims: map[salvor.LeaseID]*claim{}, saves: map[salvor.Key]time.Duration{}, items: map[salvor.Key]string{}, counts: map[string]int{}}
			virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
				f.three()
				h.run(f, m, verb, span)
			})
			h.ends()
			h.overlaps()
			t.Logf("%d leases, operations %v", len(h.claims), h.counts)
			for verb, least := range map[string]int{opGrant: 200, opSave: 60, opBack: 5, opGoes: 50, opLost: 5, opSaved: 40, opOpen: 100} {
				if h.counts[verb] < least/underRace {
					t.Errorf("only %d times %s", h.counts[verb], verb)
				}
			}
			if r := porcupine.CheckOperationsTimeout(leasing, h.ops, time.Minute); r != porcupine.Ok {
				t.Errorf("not linearizable: %s", r)
			}
		})
	}
}

func (h *leaseHistory) run(f *fleet, m *memnet, verb string, span time.Duration) {
	r := &rescue{t: f.t, open: map[string]bool{}}
	f.eventually("a crawl to work on", 20*time.Second, func() bool {
		if at := f.leader(0); at >= 0 {
			r.Group = f.nodes[at].Group(0)
			c, err := r.CreateCrawl(f.t.Context(), api.Crawl{Name: "rescue", State: salvor.CrawlRunning, Scope: 1, Ceiling: salvor.Unlimited})
			r.crawl = c
			return err == nil
		}
		return false
	})
	s, err := r.Register(f.t.Context(), "founder")
	must(f.t, err)
	r.session = s
	for i := range 6 {
		host := fmt.Sprintf("h%d.example", i)
		r.discover(host, 0, 60)
		for _, o := range r.offers(host, 0, 60) {
			h.items[o.Key] = host
		}
	}
	h.began = time.Now()
	ctx, cancel := context.WithTimeout(f.t.Context(), span)
	defer cancel()
	var all sync.WaitGroup
	for i := range 4 {
		w := &hand{h: h, f: f, r: r, id: i, rnd: rand.New(rand.NewPCG(uint64(i), uint64(len(verb))))}
		all.Go(func() { w.work(ctx) })
	}
	for i := range 2 {
		all.Go(func() { h.read(ctx, f, r, 10+i) })
	}
	all.Go(func() {
		if verb == "kill" {
			f.kills(ctx)
			return
		}
		f.disturb(ctx, m, verb)
	})
	all.Wait()
}

// kills crashes the leader and starts it again.
func (f *fleet) kills(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(4 * time.Second)
		at := f.leader(0)
		if at < 0 {
			continue
		}
		f.crash(f.some(at))
		time.Sleep(3 * time.Second)
		f.start(at)
	}
}
