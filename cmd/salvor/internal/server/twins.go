package server

import (
	"time"

	"salvor"
	"salvor/api"
)

// twins finds nodes that run twice: a machine or a directory was copied, and both
// go on. Each process draws a run at its start and reports under it. Where an older
// run speaks again and again after a newer one, it was not restarted: both live. The
// one that began later is the copy, and has to end.
//
// One report of an older run proves nothing: what a process that was killed had sent
// may arrive late, all at once. It is memory of one coordinator. Nodes report to the
// first that answers, all in the same order, so that both are heard by one.
type twins map[string]*run // by node id: the newest run

type run struct {
	name   string
	began  int64     // Unix ms, by its own clock
	last   time.Time // when it was heard
	before *run      // that it took the place of; nil: none
	spoke  time.Time // when that was heard first after this one; zero: it was not
	copies string    // the run that has to end; "" none
}

// heard takes a report that comes now. It is a conflict for a process that has to end.
func (t twins) heard(s *api.NodeStatus, now time.Time) error {
	x := t[s.Node.ID]
	switch {
	case s.Run == "": // of a version that draws none
		return nil
	case x != nil && s.Run == x.name:
		x.last = now
	case x != nil && x.before != nil && s.Run == x.before.name:
		x.older(now)
	default:
		if x != nil {
			x.before = nil
		}
		x = &run{name: s.Run, began: s.Began, last: now, before: x}
		t[s.Node.ID] = x
	}
	if s.Run == x.copies {
		return salvor.Errorf(salvor.Conflict, "node %s is at work elsewhere, since before this process began", s.Node.Name).
			WithHint("This directory is a copy of another node's, or that one's is of this. A node can run once only: remove the copy, and let its machine join with a new token (salvor join).")
	}
	return nil
}

// older notes that the run before speaks.
func (x *run) older(now time.Time) {
	x.before.last = now
	switch {
	case x.spoke.IsZero():
		x.spoke = now
	case x.copies == "" && now.Sub(x.spoke) >= reportEvery/2:
		x.copies = x.later().name
	}
}

// twice says that both processes were heard of lately.
func (t twins) twice(id string, now time.Time) bool {
	x := t[id]
	return x != nil && x.copies != "" && now.Sub(x.last) < silentAfter && now.Sub(x.before.last) < silentAfter
}

// later is which of two began later.
func (x *run) later() *run {
	if b := x.before; b.began > x.began || b.began == x.began && b.name > x.name {
		return b
	}
	return x
}

// forget drops nodes that were silent for long.
func (t twins) forget(now time.Time) {
	for id, x := range t {
		if now.Sub(x.last) > reportKept {
			delete(t, id)
		}
	}
}
