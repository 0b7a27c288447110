package route

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/merge"
)

// budgets is the part of a group that merges hosts.
func (r *Router) budgets(g int) (api.Budgets, error) {
	b, ok := r.groups[g].(api.Budgets)
	if !ok {
		return nil, salvor.Errorf(salvor.TooNew, "group %d merges no hosts", g)
	}
	return b, nil
}

// Merged is a budget group of several hosts: what an operator wants, and what
// the Raft groups have of it.
type Merged struct {
	merge.Group
	Wanted bool // false: it has no row any more
	Parts  []Part
}

// Part is a Raft group's part of a budget group. Hosts are those it has of it;
// Lacks is what it still has to do, "" nothing.
type Part struct {
	Group int
	api.HostGroup
	Lacks string
}

// merges is how often a row is written again that somebody else was faster with.
const merges = 5

// MergeHosts writes down which hosts are to share a budget, in the place of
// those of that name before. A ceiling of 0 leaves the one before. The steward
// brings it to the Raft groups: see HostGroups. Conflict if another has one of
// the hosts; Unavailable, and nothing is changed, where the cluster's feature
// level is too low. To repeat it is harmless.
func (r *Router) MergeHosts(ctx context.Context, m merge.Group) (out merge.Group, changed bool, err error) {
	m.Hosts = slices.Clone(m.Hosts)
	slices.Sort(m.Hosts)
	if err := m.Check(); err != nil {
		return m, false, err
	}
	crawls, err := r.Crawls(ctx)
	if err != nil {
		return m, false, err
	}
	if len(crawls) == 0 { // none of the groups would know how such a host begins
		return m, false, salvor.Errorf(salvor.Conflict, "there is no crawl yet whose hosts could be merged").WithHint("Make one first.")
	}
	err = r.setMerge(ctx, m.Name, func(all []merge.Group, old *merge.Group) (*merge.Group, error) {
		next := m
		if old != nil {
			next.Version, next.Made = old.Version, old.Made
			if next.Ceiling == 0 {
				next.Ceiling = old.Ceiling
			}
		} else if next.Made == 0 {
			next.Made = time.Now().UnixMilli()
		}
		out = next
		if changed = old == nil || !slices.Equal(old.Hosts, next.Hosts) || old.Ceiling != next.Ceiling; !changed {
			return nil, nil
		}
		return &next, next.Apart(all)
	})
	return out, changed, err
}

// SplitHosts takes a budget group away; its hosts keep its limits.
func (r *Router) SplitHosts(ctx context.Context, name string) error {
	return r.setMerge(ctx, name, func(_ []merge.Group, old *merge.Group) (*merge.Group, error) {
		if old == nil {
			return nil, salvor.Errorf(salvor.NotFound, "no hosts are merged as %q", name)
		}
		return &merge.Group{Name: name, Version: old.Version}, nil
	})
}

// setMerge changes a row in the place of the one that was read; f says to what,
// nil nothing. A row without hosts is none.
func (r *Router) setMerge(ctx context.Context, name string, f func(all []merge.Group, old *merge.Group) (*merge.Group, error)) error {
	for try := 0; ; try++ {
		all, err := r.merges(ctx)
		if err != nil {
			return err
		}
		var old *merge.Group
		if i := slices.IndexFunc(all, func(m merge.Group) bool { return m.Name == name }); i >= 0 {
			old = &all[i]
		}
		next, err := f(all, old)
		if err != nil || next == nil {
			return err
		}
		row, err := next.Record()
		if err != nil {
			return err
		}
		if len(next.Hosts) == 0 {
			row.Value = nil
		}
		if _, err = r.SetRecord(ctx, row); salvor.ClassOf(err) != salvor.Conflict || try == merges {
			return err
		}
	}
}

func (r *Router) merges(ctx context.Context) ([]merge.Group, error) {
	rows, err := r.Records(ctx, api.TableBudgets)
	if err != nil {
		return nil, err
	}
	return merge.All(rows)
}

// HostGroups lists the budget groups of several hosts by name, with what each
// Raft group has of them. One that does not answer lacks everything.
func (r *Router) HostGroups(ctx context.Context) ([]Merged, error) {
	rows, err := r.merges(ctx)
	if err != nil {
		return nil, err
	}
	lists := make([][]api.HostGroup, len(r.groups))
	errs := r.each(ctx, all, func(ctx context.Context, g int) error {
		b, err := r.budgets(g)
		if err == nil {
			lists[g], err = b.HostGroups(ctx)
		}
		return err
	})
	for _, err := range errs {
		if err != nil && !passing(err) {
			return nil, err
		}
	}
	byName := map[string]*Merged{}
	for _, m := range rows {
		byName[m.Name] = &Merged{Group: m, Wanted: true}
	}
	for _, list := range lists {
		for _, x := range list {
			if byName[x.Name] == nil {
				byName[x.Name] = &Merged{Group: merge.Group{Name: x.Name}}
			}
		}
	}
	out := make([]Merged, 0, len(byName))
	for _, m := range byName {
		m.Parts = r.parts(m.Group, lists, errs)
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Merged) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// parts are those of the Raft groups that have something of it, or should.
func (r *Router) parts(m merge.Group, lists [][]api.HostGroup, errs []error) (parts []Part) {
	for g, list := range lists {
		want := m.In(g, len(lists))
		p := Part{Group: g, HostGroup: api.HostGroup{Name: m.Name}}
		i := slices.IndexFunc(list, func(x api.HostGroup) bool { return x.Name == m.Name })
		if i >= 0 {
			p.HostGroup = list[i]
		}
		slices.Sort(want)
		switch {
		case errs[g] != nil && len(want) > 0:
			p.Lacks = errs[g].Error()
		case i < 0 && len(want) == 0:
			continue
		case len(want) == 0:
			p.Lacks = "it is still merged there"
		case i < 0:
			p.Lacks = "it is not merged there yet"
		case !slices.Equal(want, p.Hosts):
			p.Lacks = "it has other hosts there yet"
		case m.Ceiling > 0 && p.Ceiling != m.Ceiling:
			p.Lacks = "it has another ceiling there yet"
		}
		parts = append(parts, p)
	}
	return parts
}

// Lacks names the Raft groups that are not as a budget group is wanted; "" none.
func (m Merged) Lacks() string {
	var names []string
	for _, p := range m.Parts {
		if p.Lacks != "" {
			names = append(names, fmt.Sprintf("group %d (%s)", p.Group, p.Lacks))
		}
	}
	return strings.Join(names, ", ")
}
