package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"salvor/api"
	"salvor/coordinator/trust"
)

// SimRun is one round of simulated workers.
type SimRun struct {
	Voters  int     `json:"voters"`
	Groups  int     `json:"groups"`
	Workers int     `json:"workers"`
	Rate    float64 `json:"pages_per_second_of_each"` // as in load
	Links   int     `json:"links_per_page"`
	Fresh   int     `json:"of_these_new"`
	Pages   int     `json:"pages"`
	Load    float64 `json:"load_average"`
	Wall    float64 `json:"wall_seconds"`
	// CPU seconds and bytes to disks, by part: leader, followers, simulation.
	CPU     map[string]float64 `json:"cpu_seconds"`
	Written map[string]int64   `json:"written_bytes"`
	Entries float64            `json:"log_entries"` // of all groups
	Log     float64            `json:"log_bytes"`   // the same
}

// simShape is what one round of the simulation is to be.
type simShape struct {
	workers      int
	rate         float64
	links, fresh int
}

// simulate runs rounds on a new cluster of so many voters.
func simulate(ctx context.Context, o options, voters, groups int, shapes []simShape) (out []SimRun, err error) {
	c, err := startCluster(ctx, o, plan{voters: voters, groups: groups, roles: "coordinator"})
	if err != nil {
		return nil, err
	}
	defer c.discard()
	id, err := c.enlist(ctx)
	if err != nil {
		return nil, err
	}
	for i, s := range shapes {
		w, err := c.newWeb(ctx, fmt.Sprintf("sim-%d", i), o.hosts)
		if err != nil {
			return out, err
		}
		if err := c.fill(ctx, id, w, o.pages); err != nil {
			return out, err
		}
		r, err := c.round(ctx, id, w, o.pages, s)
		if err != nil {
			return out, fmt.Errorf("%d voters, %d workers: %w\n%s", voters, s.workers, err, c.voters[0].Log())
		}
		r.Voters, r.Groups = voters, groups
		fmt.Fprintln(os.Stderr, r)
		out = append(out, r)
	}
	return out, nil
}

// fill makes the first n pages known, from as many senders as a worker has.
func (c *cluster) fill(ctx context.Context, id *trust.Identity, w *web, n int) error {
	way := c.dialAs(id)
	defer way.close()
	all, ctx := errgroup.WithContext(ctx)
	var sent atomic.Int64
	for range 8 {
		all.Go(func() error {
			for sent.Add(parcelSize) <= int64(n)+parcelSize-1 {
				d := api.Discovery{Crawl: w.crawl.ID, Scope: w.crawl.Scope, Items: w.fresh(parcelSize)}
				if err := again(ctx, func() error {
					_, err := way.Discover(ctx, api.Call{}, d)
					return err
				}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// round lets workers do so many pages.
func (c *cluster) round(ctx context.Context, id *trust.Identity, w *web, pages int, s simShape) (SimRun, error) {
	r := SimRun{Workers: s.workers, Rate: s.rate, Links: s.links, Fresh: s.fresh, Pages: pages, Load: loadNow()}
	l := &load{links: s.links, fresh: s.fresh, rate: s.rate, lease: min(1000, max(pages/s.workers/4, 50))}
	l.left.Store(int64(pages))
	parts, err := c.parts(ctx)
	if err != nil {
		return r, err
	}
	parts = append(parts, part{"simulation", []int{os.Getpid()}})
	looking, stop := context.WithCancel(ctx)
	defer stop()
	meter, err := startLogMeter(ctx, c.metrics[c.voters[0]])
	if err != nil {
		return r, err
	}
	var looks sync.WaitGroup
	looks.Go(func() { meter.run(looking) })
	begin, err := read(parts)
	if err != nil {
		return r, err
	}
	all, working := errgroup.WithContext(ctx)
	for i := range s.workers {
		all.Go(func() error {
			way := c.dialAs(id)
			defer way.close()
			return (&worker{c: way, web: w, load: l, name: fmt.Sprintf("%s-%d", w.crawl.Name, i)}).run(working)
		})
	}
	if err := all.Wait(); err != nil {
		return r, err
	}
	end, err := read(parts)
	if err != nil {
		return r, err
	}
	stop()
	looks.Wait()
	if err := meter.look(ctx); err != nil {
		return r, err
	}
	r.Wall, r.CPU, r.Written = end.since(begin)
	r.Entries, r.Log = meter.entries(), meter.bytes
	return r, nil
}

// each is microseconds a page.
func (r SimRun) each(part string) float64 { return r.CPU[part] / float64(r.Pages) * 1e6 }

// voters is what all voters take, in microseconds a page.
func (r SimRun) voters() float64 { return r.each("leader") + r.each("followers") }

func (r SimRun) String() string {
	return fmt.Sprintf("%d voters, %d groups, %d workers, %d links (%d new): %.0f us of CPU a page at the leader, %.0f at all voters, %.0f pages/s, load %.1f",
		r.Voters, r.Groups, r.Workers, r.Links, r.Fresh, r.each("leader"), r.voters(), float64(r.Pages)/r.Wall, r.Load)
}
