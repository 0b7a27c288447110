package route

import (
	"cmp"
	"context"
	"slices"

	"salvor"
	"salvor/api"
)

// every reads one thing of every group. A group that has not adopted a crawl
// that group 0 knows has nothing of it.
func every[T any](ctx context.Context, r *Router, read func(context.Context, api.Group) (T, error)) ([]T, error) {
	out := make([]T, len(r.groups))
	errs := r.each(ctx, all, func(ctx context.Context, g int) (err error) {
		v, err := read(ctx, r.groups[g])
		if g > 0 && salvor.ClassOf(err) == salvor.NotFound {
			return nil
		}
		out[g] = v
		return err
	})
	if err := worst(errs); err != nil {
		return nil, err
	}
	return out, nil
}

// TotalsOf are the counters of a crawl in each group.
func (r *Router) TotalsOf(ctx context.Context, id salvor.CrawlID) ([]api.Totals, error) {
	return every(ctx, r, func(ctx context.Context, g api.Group) (api.Totals, error) { return g.Totals(ctx, id) })
}

// Totals implements api.View.
func (r *Router) Totals(ctx context.Context, id salvor.CrawlID) (api.Totals, error) {
	list, err := r.TotalsOf(ctx, id)
	if err != nil {
		return api.Totals{}, err
	}
	sum := list[0]
	for i := range list[1:] {
		plus(&sum, &list[1+i])
	}
	return sum, nil
}

func plus(t, u *api.Totals) {
	t.Accepted += u.Accepted
	t.Queued += u.Queued
	t.Waiting += u.Waiting
	t.Leased += u.Leased
	for i := range t.Outcomes {
		t.Outcomes[i] += u.Outcomes[i]
	}
	t.Bytes += u.Bytes
	t.Captures += u.Captures
	t.Late += u.Late
	t.Dups += u.Dups
	t.Clock = max(t.Clock, u.Clock)
}

// Hosts implements api.View.
func (r *Router) Hosts(ctx context.Context, id salvor.CrawlID, limit int) ([]api.Host, error) {
	lists, err := every(ctx, r, func(ctx context.Context, g api.Group) ([]api.Host, error) { return g.Hosts(ctx, id, limit) })
	if err != nil || len(lists) == 1 {
		return first(lists), err
	}
	out := slices.Concat(lists...)
	slices.SortFunc(out, func(a, b api.Host) int {
		if d := cmp.Compare(b.Totals.Open(), a.Totals.Open()); d != 0 && limit > 0 {
			return d
		}
		return cmp.Compare(a.Name, b.Name)
	})
	if limit > 0 {
		out = out[:min(limit, len(out))]
	}
	return out, nil
}

func first[T any](lists []T) (v T) {
	if len(lists) > 0 {
		v = lists[0]
	}
	return v
}

// merged sums counts by what they are of.
func merged[K comparable, V any](ctx context.Context, r *Router, add func(V, V) V, read func(context.Context, api.Group) (map[K]V, error)) (map[K]V, error) {
	lists, err := every(ctx, r, read)
	if err != nil || len(lists) == 1 {
		return first(lists), err
	}
	out := map[K]V{}
	for _, m := range lists {
		for k, v := range m {
			out[k] = add(out[k], v)
		}
	}
	return out, nil
}

func addCount(a, b api.Count) api.Count {
	return api.Count{URLs: a.URLs + b.URLs, Bytes: a.Bytes + b.Bytes}
}

// Types implements api.View.
func (r *Router) Types(ctx context.Context, id salvor.CrawlID) (map[string]api.Count, error) {
	return merged(ctx, r, addCount, func(ctx context.Context, g api.Group) (map[string]api.Count, error) { return g.Types(ctx, id) })
}

// Codes implements api.View.
func (r *Router) Codes(ctx context.Context, id salvor.CrawlID) (map[int]api.Count, error) {
	return merged(ctx, r, addCount, func(ctx context.Context, g api.Group) (map[int]api.Count, error) { return g.Codes(ctx, id) })
}

// Reasons implements api.View.
func (r *Router) Reasons(ctx context.Context, id salvor.CrawlID) (map[api.Reason]int64, error) {
	add := func(a, b int64) int64 { return a + b }
	return merged(ctx, r, add, func(ctx context.Context, g api.Group) (map[api.Reason]int64, error) { return g.Reasons(ctx, id) })
}

// Lookup implements api.View.
func (r *Router) Lookup(ctx context.Context, id salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
	return r.owner(host).Lookup(ctx, id, host, k)
}

// Walk implements api.View: one group after the other, each in host order.
func (r *Router) Walk(ctx context.Context, id salvor.CrawlID, outcomes []salvor.Outcome, f func(api.Known) error) error {
	for g := range r.groups {
		err := r.groups[g].Walk(ctx, id, outcomes, f)
		if err != nil && (g == 0 || salvor.ClassOf(err) != salvor.NotFound) {
			return err
		}
	}
	return nil
}

// Segments implements api.View.
func (r *Router) Segments(ctx context.Context) ([]api.Segment, error) {
	return r.groups[0].Segments(ctx)
}

// Robots implements api.View.
func (r *Router) Robots(ctx context.Context, id salvor.CrawlID, host string) ([]api.Robots, error) {
	return r.owner(host).Robots(ctx, id, host)
}
