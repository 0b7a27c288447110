package route

import (
	"context"
	"time"

	"salvor"
	"salvor/api"
)

// extendTime is how long the extends of a call may take. What is left of the
// leases' time after it is enough for the next.
const extendTime = 3 * time.Second

// tellEvery is how often a group hears at least of a session that has nothing
// of it. One that says nothing for minutes is ended.
const tellEvery = time.Minute

// Extend implements api.Coordinator. Each group is told of its own leases, once
// more when none of them is held any longer, and then from time to time.
//
// Leases of a group that does not answer are neither Granted nor Lost in the
// Renewal of the others: they run out at the session unless a later extend
// reaches the group. Only if none answers is that an error; a session that
// holds leases of nobody but a group that was silent for as long as they last
// is let go on.
func (r *Router) Extend(ctx context.Context, c api.Call, h api.Holdings) (api.Renewal, error) {
	if len(r.groups) == 1 {
		return r.groups[0].Extend(ctx, c, h)
	}
	s := r.session(c.Session)
	parts, out := r.holdings(h)
	tell := s.tell(parts, h.Seen)
	limited, cancel := context.WithTimeout(ctx, extendTime)
	defer cancel()
	renewals := make([]api.Renewal, len(r.groups))
	errs := r.each(limited, func(g int) bool { return tell[g] }, func(limited context.Context, g int) (err error) {
		renewals[g], err = r.groups[g].Extend(limited, c, parts[g])
		return own(ctx, err)
	})
	lapsed := s.told(tell, parts, errs)
	answered := false
	for g := range renewals {
		if tell[g] && errs[g] == nil {
			answered = true
			out = add(out, g, renewals[g])
		}
	}
	for g, p := range parts {
		if len(p.Leases) == 0 && passing(errs[g]) && ctx.Err() == nil {
			errs[g] = nil // it is told the next time
		}
	}
	err := worst(errs)
	if err == nil || passing(err) && (answered || lapsed && ctx.Err() == nil) {
		return out, nil
	}
	return api.Renewal{}, err
}

// holdings sorts leases by group. What no group can have given is lost.
func (r *Router) holdings(h api.Holdings) (parts []api.Holdings, out api.Renewal) {
	parts = make([]api.Holdings, len(r.groups))
	for _, x := range h.Leases {
		g, id := inner(x.Lease)
		if g >= len(parts) {
			out.Lost = append(out.Lost, x.Lease)
			continue
		}
		p := &parts[g]
		p.Seen = max(p.Seen, id)
		p.Leases = append(p.Leases, api.Extension{Lease: id, Pace: x.Pace})
	}
	for _, x := range h.Unstarted {
		if g, id := inner(x.Lease); g < len(parts) {
			parts[g].Unstarted = append(parts[g].Unstarted, api.Slice{Lease: id, Items: x.Items})
		}
	}
	return parts, out
}

// tell says which groups must be told, and puts what was seen of each. A lease
// newer than what the session says it has seen is on its way to it, or was when
// it made its list.
func (s *session) tell(parts []api.Holdings, seen salvor.LeaseID) []bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	tell := make([]bool, len(parts))
	for g := range parts {
		p, known := &parts[g], &s.groups[g]
		if outer(g, known.seen) <= seen {
			p.Seen = max(p.Seen, known.seen)
		}
		tell[g] = len(p.Leases) > 0 || known.owed || time.Since(known.told) >= tellEvery
	}
	return tell
}

// told notes which groups know now what is held. It says whether all that were
// told have been silent for longer than a lease lasts.
func (s *session) told(tell []bool, parts []api.Holdings, errs []error) (lapsed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lapsed = true
	for g := range parts {
		known := &s.groups[g]
		switch {
		case !tell[g]:
		case errs[g] == nil:
			known.down, known.told, lapsed = time.Time{}, time.Now(), false
			known.owed = len(parts[g].Leases) > 0 || parts[g].Seen < known.seen
		case len(parts[g].Leases) == 0:
		case known.down.IsZero():
			known.down, lapsed = time.Now(), false
		default:
			lapsed = lapsed && time.Since(known.down) > salvor.LeaseTTL
		}
	}
	return lapsed
}

// add puts a group's answer to the others.
func add(all api.Renewal, g int, r api.Renewal) api.Renewal {
	for _, x := range r.Granted {
		all.Granted = append(all.Granted, api.Extension{Lease: outer(g, x.Lease), Pace: x.Pace})
	}
	for _, x := range r.Merged {
		all.Merged = append(all.Merged, api.Member{Lease: outer(g, x.Lease), Group: x.Group})
	}
	for _, id := range r.Lost {
		all.Lost = append(all.Lost, outer(g, id))
	}
	for _, x := range r.Recalled {
		all.Recalled = append(all.Recalled, api.Slice{Lease: outer(g, x.Lease), Items: x.Items})
	}
	all.Struck = append(all.Struck, r.Struck...)
	return all
}
