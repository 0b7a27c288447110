package route

import (
	"context"
	"strings"
	"sync/atomic"

	"salvor"
	"salvor/api"
)

// Discover implements api.Coordinator.
func (r *Router) Discover(ctx context.Context, c api.Call, d api.Discovery) ([]api.Result, error) {
	if len(r.groups) == 1 || len(d.Items) == 0 {
		return r.groups[0].Discover(ctx, c, d)
	}
	parts, at := split(r, d.Items, func(o *api.Offer) string { return o.Host })
	if at == nil {
		g := r.of(d.Items[0].Host)
		out, err := r.groups[g].Discover(ctx, c, d)
		return out, r.behind(ctx, g, d.Crawl, err)
	}
	out := make([]api.Result, len(d.Items))
	errs := r.each(ctx, holds(parts), func(ctx context.Context, g int) error {
		part := d
		part.Items = parts[g]
		res, err := r.groups[g].Discover(ctx, c, part)
		err = r.behind(ctx, g, d.Crawl, err)
		if err == nil && len(res) != len(part.Items) {
			err = salvor.Errorf(salvor.Internal, "group %d: %d results for %d offers", g, len(res), len(part.Items))
		}
		if err != nil {
			return err
		}
		for i, x := range res {
			out[at[g][i]] = x
		}
		return nil
	})
	if err := worst(errs); err != nil {
		return nil, err
	}
	return out, nil
}

// holds says which groups have a part.
func holds[T any](parts [][]T) func(g int) bool { return func(g int) bool { return len(parts[g]) > 0 } }

// Settle implements api.Coordinator. Robots go where their origin's host is.
func (r *Router) Settle(ctx context.Context, c api.Call, s api.Settlement) error {
	if len(r.groups) == 1 {
		return r.groups[0].Settle(ctx, c, s)
	}
	entries, at := split(r, s.Entries, func(e *api.Entry) string { return e.Host })
	robots, _ := split(r, s.Robots, func(x *api.Robots) string { return hostOf(s.Entries, x.Origin) })
	in := func(g int) bool { return len(entries[g])+len(robots[g]) > 0 }
	return worst(r.each(ctx, in, func(ctx context.Context, g int) error {
		part := api.Settlement{Crawl: s.Crawl, Entries: entries[g], Robots: robots[g]}
		if at == nil { // they are the caller's
			part.Entries = append([]api.Entry(nil), part.Entries...)
		}
		for i := range part.Entries {
			_, part.Entries[i].Lease = inner(part.Entries[i].Lease)
		}
		return r.behind(ctx, g, s.Crawl, r.groups[g].Settle(ctx, c, part))
	}))
}

// behind makes NotFound of a crawl that group 0 has an error that passes: the
// group's copy is on its way.
func (r *Router) behind(ctx context.Context, g int, id salvor.CrawlID, err error) error {
	if g == 0 || salvor.ClassOf(err) != salvor.NotFound {
		return err
	}
	c, cerr := r.groups[0].Crawl(ctx, id)
	switch {
	case passing(cerr):
		return cerr
	case cerr != nil || c.State >= salvor.CrawlDeleting:
		return err
	}
	return salvor.Errorf(salvor.Unavailable, "group %d does not have crawl %d yet: %w", g, id, err)
}

// hostOf is the host of an origin, as the frontier finds it: that of the entry
// whose request it was, or else what stands between the slashes and the port.
func hostOf(entries []api.Entry, origin string) string {
	_, rest, _ := strings.Cut(origin, "://")
	for i := range entries {
		if tail, ok := strings.CutPrefix(rest, entries[i].Host); ok && (tail == "" || tail[0] == ':') {
			return entries[i].Host
		}
	}
	if i := strings.LastIndexByte(rest, ':'); i > 0 && !strings.HasSuffix(rest, "]") {
		rest = rest[:i]
	}
	return rest
}

// Feedback implements api.Coordinator. It is not harmless to repeat what a group
// took, so the error names the rest (api.Unheard).
func (r *Router) Feedback(ctx context.Context, f []api.HostFeedback) error {
	if len(r.groups) == 1 {
		return r.groups[0].Feedback(ctx, f)
	}
	parts, _ := split(r, f, func(f *api.HostFeedback) string { return f.Host })
	errs := r.each(ctx, holds(parts), func(ctx context.Context, g int) error {
		return r.groups[g].Feedback(ctx, parts[g])
	})
	err := worst(errs)
	if !passing(err) {
		return err
	}
	var rest []api.HostFeedback
	for g := range errs {
		if errs[g] != nil {
			rest = append(rest, parts[g]...)
		}
	}
	return &api.Unheard{Reports: rest, Err: err}
}

// Exclude implements api.Coordinator. Beside an error, it returns how many
// were excluded all the same.
func (r *Router) Exclude(ctx context.Context, crawl salvor.CrawlID, rule string, keys []api.HostKey) (int64, error) {
	if len(r.groups) == 1 {
		return r.groups[0].Exclude(ctx, crawl, rule, keys)
	}
	parts, _ := split(r, keys, func(k *api.HostKey) string { return k.Host })
	return r.total(ctx, holds(parts), func(ctx context.Context, g int) (int64, error) {
		return r.groups[g].Exclude(ctx, crawl, rule, parts[g])
	})
}

// Rank implements api.Coordinator. Beside an error, it returns how many moved
// all the same.
func (r *Router) Rank(ctx context.Context, crawl salvor.CrawlID, items []api.Ranked) (int64, error) {
	if len(r.groups) == 1 {
		return r.groups[0].Rank(ctx, crawl, items)
	}
	parts, _ := split(r, items, func(k *api.Ranked) string { return k.Host })
	return r.total(ctx, holds(parts), func(ctx context.Context, g int) (int64, error) {
		return r.groups[g].Rank(ctx, crawl, parts[g])
	})
}

// Reopen implements api.Coordinator. Beside an error, it returns how many were
// reopened all the same.
func (r *Router) Reopen(ctx context.Context, x api.Reopen) (int64, error) {
	if x.Host != "" {
		return r.owner(x.Host).Reopen(ctx, x)
	}
	return r.total(ctx, all, func(ctx context.Context, g int) (int64, error) { return r.groups[g].Reopen(ctx, x) })
}

// total adds up what some groups did.
func (r *Router) total(ctx context.Context, in func(int) bool, f func(ctx context.Context, g int) (int64, error)) (int64, error) {
	var sum atomic.Int64
	errs := r.each(ctx, in, func(ctx context.Context, g int) error {
		n, err := f(ctx, g)
		sum.Add(n)
		return err
	})
	return sum.Load(), worst(errs)
}

// SetCeiling implements api.Coordinator.
func (r *Router) SetCeiling(ctx context.Context, crawl salvor.CrawlID, host string, p salvor.Pace) error {
	if host != "" {
		return r.owner(host).SetCeiling(ctx, crawl, host, p)
	}
	return worst(r.each(ctx, all, func(ctx context.Context, g int) error {
		return r.groups[g].SetCeiling(ctx, crawl, host, p)
	}))
}

// OpenSegment implements api.Coordinator: segments are group 0's.
func (r *Router) OpenSegment(ctx context.Context, c api.Call, name string) (salvor.SegmentID, error) {
	return r.groups[0].OpenSegment(ctx, c, name)
}

// SetSegment implements api.Coordinator.
func (r *Router) SetSegment(ctx context.Context, s api.Segment) error {
	return r.groups[0].SetSegment(ctx, s)
}
