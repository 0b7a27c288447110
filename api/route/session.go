package route

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"salvor"
	"salvor/api"
)

// session is what the router gave to a session, by group.
type session struct {
	mu     sync.Mutex
	last   uint64 // number of its latest request for work
	groups []given
}

// given is what a session has of one group.
type given struct {
	seen salvor.LeaseID // the newest lease returned to it, the group's number
	owed bool           // the group was not told since then that none is held
	down time.Time      // since when its extends fail; zero they do not
	told time.Time      // when it was last told
}

func (r *Router) session(id salvor.SessionID) *session {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sessions[id]
	if s == nil {
		s = &session{groups: make([]given, len(r.groups))}
		r.sessions[id] = s
	}
	return s
}

// forget drops what is known of a session.
func (r *Router) forget(id salvor.SessionID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, id)
	for w, s := range r.workers {
		if s == id {
			delete(r.workers, w)
		}
	}
}

// asks notes a request for work, and says whether it is a repetition.
func (s *session) asks(request uint64) (again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	again = request != 0 && s.last == request
	s.last = request
	return again
}

// received notes leases that are about to be returned, by their group's
// numbers.
func (s *session) received(g int, leases []api.Lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range leases {
		s.groups[g].seen = max(s.groups[g].seen, leases[i].ID)
		s.groups[g].owed = true
	}
}

// Register implements api.Coordinator: one number, drawn here, in all groups.
// While a group does not have it, a repetition tries the same number, so that
// no delayed attempt can end a later session.
func (r *Router) Register(ctx context.Context, worker string) (salvor.SessionID, error) {
	id, err := r.draw(worker)
	if err != nil {
		return 0, err
	}
	errs := r.each(ctx, all, func(ctx context.Context, g int) error { return r.groups[g].RegisterAs(ctx, worker, id) })
	err = worst(errs)
	if err == nil || !passing(err) {
		r.drawn(worker, id, err == nil)
	}
	if err != nil {
		return 0, err
	}
	return id, nil
}

// draw is the number of a worker's session that is being registered.
func (r *Router) draw(worker string) (salvor.SessionID, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.workers[worker]; ok {
		return id, nil
	}
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("route: draw session: %w", err)
	}
	id := salvor.SessionID(binary.LittleEndian.Uint64(b[:])>>1 | 1) // 63 bits, never 0
	r.workers[worker] = id
	return id, nil
}

// drawn ends the drawing: the next Register draws anew.
func (r *Router) drawn(worker string, id salvor.SessionID, registered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.workers[worker] == id {
		delete(r.workers, worker)
	}
	if registered && len(r.groups) > 1 {
		r.sessions[id] = &session{groups: make([]given, len(r.groups))}
	}
}

// End implements api.Coordinator.
func (r *Router) End(ctx context.Context, s salvor.SessionID) error {
	err := worst(r.each(ctx, all, func(ctx context.Context, g int) error { return r.groups[g].End(ctx, s) }))
	if err == nil {
		r.forget(s)
	}
	return err
}
