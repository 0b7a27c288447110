// Package route makes one api.Coordinator of the groups of a cluster.
//
// It is for a worker and for the tools of a person, in whose process it runs:
// each call goes to the groups whose hosts it is about, and their answers are
// put together. It guarantees that
//   - what concerns a host goes to the group that owns it (api.GroupOf), under
//     the call number it came with, so that a repetition is as harmless as
//     with one group;
//   - lease numbers of different groups differ: from the router outwards they
//     carry the group;
//   - a group that does not answer does not stop the leases of the others.
//
// A session is bound to the router that registered it, which keeps in mind what
// leases it was given. With one group every call goes straight through.
package route

import (
	"context"
	"sync"

	"salvor"
	"salvor/api"
)

// Router is the api.Coordinator of a cluster, and its api.Registry, which is
// group 0's.
type Router struct {
	groups []api.Group

	mu       sync.Mutex
	sessions map[salvor.SessionID]*session
	workers  map[string]salvor.SessionID // drawn for a worker, and maybe registered
}

var (
	_ api.Coordinator = (*Router)(nil)
	_ api.Registry    = (*Router)(nil)
)

// New makes a router of all groups of a cluster, 1 to api.MaxGroups, in their
// order.
func New(groups []api.Group) *Router {
	return &Router{groups: groups, sessions: map[salvor.SessionID]*session{}, workers: map[string]salvor.SessionID{}}
}

// of is the number of the group that owns a host.
func (r *Router) of(host string) int {
	if len(r.groups) == 1 {
		return 0
	}
	return api.GroupOf(host, len(r.groups))
}

// owner is the group that owns a host.
func (r *Router) owner(host string) api.Group { return r.groups[r.of(host)] }

// The position of a lease in its grant has 12 bits; the 4 above name its group.
const (
	groupShift = 12
	groupMask  = salvor.LeaseID(api.MaxGroups-1) << groupShift
)

// outer is a group's lease number as the session knows it.
func outer(g int, id salvor.LeaseID) salvor.LeaseID {
	return id&^groupMask | salvor.LeaseID(g)<<groupShift
}

// inner is the way back.
func inner(id salvor.LeaseID) (g int, own salvor.LeaseID) {
	return int(id & groupMask >> groupShift), id &^ groupMask
}

// split sorts things by the group of their host. parts[g] are a group's, in
// their order; at[g] are their places in the list, nil when the whole list is
// one group's.
func split[T any](r *Router, list []T, host func(*T) string) (parts [][]T, at [][]int) {
	n := len(r.groups)
	parts = make([][]T, n)
	of, count := make([]uint8, len(list)), make([]int, n)
	for i := range list {
		g := r.of(host(&list[i]))
		of[i] = uint8(g)
		count[g]++
	}
	if len(list) > 0 && count[of[0]] == len(list) {
		parts[of[0]] = list
		return parts, nil
	}
	at = make([][]int, n)
	for g, c := range count {
		parts[g], at[g] = make([]T, 0, c), make([]int, 0, c)
	}
	for i, g := range of {
		parts[g] = append(parts[g], list[i])
		at[g] = append(at[g], i)
	}
	return parts, at
}

// each calls f for some groups, at once, and returns when all have returned.
// The errors are by group; nobody's failing ends the others.
func (r *Router) each(ctx context.Context, in func(g int) bool, f func(ctx context.Context, g int) error) []error {
	errs := make([]error, len(r.groups))
	var list [api.MaxGroups]int
	some := list[:0]
	for g := range r.groups {
		if in(g) {
			some = append(some, g)
		}
	}
	var wait sync.WaitGroup
	for i, g := range some {
		if i == len(some)-1 {
			errs[g] = f(ctx, g)
			break
		}
		wait.Go(func() { errs[g] = f(ctx, g) })
	}
	wait.Wait()
	return errs
}

func all(int) bool { return true }

// worst is what a caller must know of several errors: one that no repetition
// mends, before that it was the caller who stopped, before trouble that may
// pass.
func worst(errs []error) (out error) {
	rank := 0
	for _, err := range errs {
		n := 0
		switch {
		case err == nil:
		case !passing(err):
			n = 3
		case salvor.ClassOf(err) == salvor.Interrupted:
			n = 2
		default:
			n = 1
		}
		if n > rank {
			rank, out = n, err
		}
	}
	return out
}

// passing says whether an error may be gone when the call is repeated.
func passing(err error) bool {
	if err == nil {
		return false
	}
	c := salvor.ClassOf(err)
	return c == salvor.Unavailable || c == salvor.Interrupted
}

// own gives an error that stems from a time limit of the router's, not from
// the caller, its class.
func own(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil || salvor.ClassOf(err) != salvor.Interrupted {
		return err
	}
	return salvor.Errorf(salvor.Unavailable, "no answer in time: %w", err)
}
