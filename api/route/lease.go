package route

import (
	"context"
	"time"

	"salvor"
	"salvor/api"
)

// answerTime is how much longer than it was told to wait a group may take to
// answer a request for work while others have answered. What it granted
// without our knowing returns to its queue when the lease's time is up.
const answerTime = time.Second

// Lease implements api.Coordinator.
//
// First groups are asked for what they have now, each for its share; if that
// is nothing, all wait, and the first that finds work ends the waiting of the
// others. These are asked again under the same number, for they may have
// granted meanwhile: then they remember their answer, and if they had not, what
// they grant now is the first. So up to one lease a group may come above the
// number wanted, and none is missed.
//
// When ctx ends before every group that was asked has answered, that is an
// error though some granted: a repetition under the same number gets the
// answers of all.
func (r *Router) Lease(ctx context.Context, c api.Call, w api.Want) ([]api.Lease, error) {
	if len(r.groups) == 1 || w.Hosts <= 0 || w.Items <= 0 {
		return r.groups[0].Lease(ctx, c, w)
	}
	q := &request{r: r, call: c, want: w, first: int(c.Request % uint64(len(r.groups))), not: r.notOf(w.Not)}
	s := r.session(c.Session)
	again := s.asks(c.Request)
	answers := q.probe(ctx, again)
	if !answers.some() && w.Wait > 0 && ctx.Err() == nil {
		answers = q.wait(ctx, answers)
	}
	return answers.merge(s)
}

// request is one request for work to all groups.
type request struct {
	r     *Router
	call  api.Call
	want  api.Want
	first int        // the group that is asked first
	not   [][]string // by group
}

// notOf gives each group only its own hosts.
func (r *Router) notOf(hosts []string) [][]string {
	if len(hosts) == 0 {
		return make([][]string, len(r.groups))
	}
	parts, _ := split(r, hosts, func(h *string) string { return *h })
	return parts
}

// to is what one group is asked for; at least one host, so that a group is
// never left out for good.
func (q *request) to(g int, wait time.Duration) api.Want {
	w, n := q.want, len(q.r.groups)
	w.Wait, w.Not = wait, q.not[g]
	share := w.Hosts / n
	if (g-q.first+n)%n < w.Hosts%n {
		share++
	}
	w.Hosts = max(share, 1)
	return w
}

// answers are what the groups said, by group.
type answers struct {
	leases [][]api.Lease
	errs   []error
	asked  []bool
}

func (a *answers) some() bool {
	for _, l := range a.leases {
		if len(l) > 0 {
			return true
		}
	}
	return false
}

// add takes the answers of groups asked later.
func (a *answers) add(b *answers) *answers {
	if a == nil {
		return b
	}
	for g, asked := range b.asked {
		if asked {
			a.leases[g], a.errs[g], a.asked[g] = b.leases[g], b.errs[g], true
		}
	}
	return a
}

// probe asks groups for what they have now: as many as hosts are wanted, and
// if they have nothing and nobody waits, the next. A repetition asks all, since
// any of them may have granted the first time.
func (q *request) probe(ctx context.Context, again bool) *answers {
	n := len(q.r.groups)
	step := min(q.want.Hosts, n)
	if again {
		step = n
	}
	var got *answers
	for from := 0; from < n; from += step {
		got = got.add(q.ask(ctx, 0, func(g int) bool {
			turn := (g - q.first + n) % n
			return turn >= from && turn < from+step
		}))
		if got.some() || q.want.Wait > 0 || ctx.Err() != nil {
			break
		}
	}
	return got
}

// wait lets all groups wait for work, but for those that just failed.
func (q *request) wait(ctx context.Context, probed *answers) *answers {
	return probed.add(q.ask(ctx, q.want.Wait, func(g int) bool { return probed.errs[g] == nil }))
}

// ask asks some groups at once. The first that grants ends the waiting of the
// others.
func (q *request) ask(ctx context.Context, wait time.Duration, in func(g int) bool) *answers {
	n := len(q.r.groups)
	a := &answers{leases: make([][]api.Lease, n), errs: make([]error, n), asked: make([]bool, n)}
	waiting, cancel := context.WithTimeout(ctx, wait+answerTime)
	defer cancel()
	a.errs = q.r.each(waiting, in, func(waiting context.Context, g int) (err error) {
		a.asked[g] = true
		a.leases[g], err = q.r.groups[g].Lease(waiting, q.call, q.to(g, wait))
		if len(a.leases[g]) > 0 && wait > 0 {
			cancel()
		}
		if err != nil && wait > 0 && waiting.Err() != nil && ctx.Err() == nil {
			a.leases[g], err = q.settle(ctx, g)
		}
		return own(ctx, err)
	})
	return a
}

// settle asks a group whose waiting was broken off what it had granted.
func (q *request) settle(ctx context.Context, g int) ([]api.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return q.r.groups[g].Lease(ctx, q.call, q.to(g, 0))
}

// merge puts the answers together. An error counts if no group had work, and
// none can be trusted to have none.
func (a *answers) merge(s *session) ([]api.Lease, error) {
	err := worst(a.errs)
	if salvor.ClassOf(err) == salvor.Interrupted {
		return nil, err
	}
	var out []api.Lease
	answered := false
	for g, leases := range a.leases {
		answered = answered || a.asked[g] && a.errs[g] == nil
		s.received(g, leases)
		for i := range leases {
			leases[i].ID = outer(g, leases[i].ID)
		}
		out = append(out, leases...)
	}
	if len(out) > 0 || err == nil || answered && passing(err) {
		return out, nil
	}
	return nil, err
}
