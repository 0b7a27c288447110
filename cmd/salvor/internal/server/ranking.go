package server

import (
	"context"
	"errors"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
)

// ranks puts what is queued into its place after the value rules of a crawl
// changed, while this node leads group 0. That it is due stands in the crawl, so
// that whoever leads next begins it again: what is in its place already costs a
// look only (outfit.Ranking).
type ranks struct {
	n    *node
	done map[salvor.CrawlID]uint64 // version of a crawl with nothing to do
	told string                    // the trouble that was logged last
}

// rankEvery is how soon a change of value rules begins to move what is queued.
const rankEvery = time.Second

func (n *node) rankLoop(ctx context.Context) {
	r := ranks{n: n, done: map[salvor.CrawlID]uint64{}}
	tick := time.NewTicker(rankEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !n.leads() {
			continue
		}
		if err := r.look(ctx); ctx.Err() == nil {
			r.tell(err)
		}
	}
}

// tell logs a trouble once.
func (r *ranks) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != "" && text != r.told {
		r.n.log.Info("not all that is queued is in the place of its value yet", "error", err)
	}
	r.told = text
}

// look goes over all crawls, one after the other.
func (r *ranks) look(ctx context.Context) error {
	crawls, err := r.n.groups[0].Crawls(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range crawls {
		if c.State >= salvor.CrawlCancelled || r.done[c.ID] == c.Version {
			continue
		}
		x, err := outfit.ParseSpec(c.Settings)
		if err != nil || !x.Unranked() {
			r.done[c.ID] = c.Version // what cannot be read, no worker works for
			continue
		}
		errs = append(errs, r.rank(ctx, c, &x))
	}
	return errors.Join(errs...)
}

// rank moves what is queued of a crawl, once every group judges offers by the new
// rules: what comes later comes into its place by itself.
func (r *ranks) rank(ctx context.Context, c api.Crawl, x *outfit.Spec) error {
	for _, g := range r.n.groups {
		if k, err := g.Crawl(ctx, c.ID); err != nil || k.Scope < c.Scope {
			return err // its copy is on the way
		}
	}
	s, err := x.Compile()
	if err != nil {
		return err
	}
	begun, looked := time.Now(), time.Now()
	moved, err := outfit.Ranking{
		Crawl: c.ID, Walk: r.n.router.Walk,
		Band: func(it salvor.Item) salvor.Band { return s.Rank(it).Band },
		Move: func(ctx context.Context, id salvor.CrawlID, items []api.Ranked) (int64, error) {
			if time.Since(looked) > rankEvery {
				if err := r.current(ctx, c); err != nil {
					return 0, err
				}
				looked = time.Now()
			}
			return r.n.router.Rank(ctx, id, items)
		},
	}.Run(ctx)
	if err != nil {
		return err
	}
	r.n.log.Info("what is queued is in the place of its value", "crawl", c.Name, "moved", moved, "took", time.Since(begun).Round(time.Millisecond))
	return r.note(ctx, c.ID, x.Valued)
}

// current refuses to go on by rules that are no longer in force, or without the
// lead.
func (r *ranks) current(ctx context.Context, c api.Crawl) error {
	now, err := r.n.groups[0].Crawl(ctx, c.ID)
	switch {
	case err != nil:
		return err
	case now.Scope != c.Scope || !r.n.leads():
		return salvor.Errorf(salvor.Conflict, "crawl %s changed meanwhile", c.Name)
	}
	return nil
}

// note writes down that the rules of a version are carried out. Others may change
// the crawl at the same time: seeds move.
func (r *ranks) note(ctx context.Context, id salvor.CrawlID, valued uint32) error {
	for {
		c, err := r.n.groups[0].Crawl(ctx, id)
		if err != nil {
			return err
		}
		x, err := outfit.SpecOf(c)
		if err != nil || x.Ranked >= valued {
			return err
		}
		x.Ranked = valued
		if c.Settings, err = x.Encode(); err != nil {
			return err
		}
		c.Version++
		if err = r.n.router.SetCrawl(ctx, c); salvor.ClassOf(err) != salvor.Conflict {
			return err
		}
	}
}
