package server

import (
	"time"

	"salvor"
	"salvor/api"
)

// twins finds nodes that run twice: a machine or a directory was copied, and both
// go on. Each process draws a run at its start and reports under it. Where an older
// run is heard of again after a newer one, it was not restarted: both live. The one
// that began later is the copy, and has to end.
//
// It is memory of one coordinator, which hears of what the others were told when it
// makes a status. A copy that reports to another one than its original goes on until
// somebody stops it; the status tells.
type twins map[string]*run // by node id: the newest run

type run struct {
	name        string
	began, last int64  // Unix ms, by its own clock, and when it was heard
	before      *run   // that it took the place of; nil: none, or it was silent too long
	copies      string // the run that has to end; "" none
}

// heard takes a report of a moment. It is a conflict for a process that has to end.
func (t twins) heard(s *api.NodeStatus, at time.Time) error {
	x, ms := t[s.Node.ID], at.UnixMilli()
	switch {
	case s.Run == "": // of a version that draws none
		return nil
	case x == nil:
		t[s.Node.ID] = &run{name: s.Run, began: s.Began, last: ms}
		return nil
	case s.Run == x.name:
		x.last = max(x.last, ms)
	case x.before != nil && s.Run == x.before.name:
		if ms > x.before.last && x.copies == "" { // it speaks again
			x.copies = x.later().name
		}
		x.before.last = max(x.before.last, ms)
	case ms > x.last:
		x.before, t[s.Node.ID] = nil, &run{name: s.Run, began: s.Began, last: ms, before: x}
		return nil
	}
	if s.Run == x.copies {
		return salvor.Errorf(salvor.Conflict, "node %s is at work elsewhere, since before this process began", s.Node.Name).
			WithHint("This directory is a copy of another node's, or that one's is of this. A node can run once only: remove the copy, and let its machine join with a new token (salvor join).")
	}
	return nil
}

// twice says that both processes were heard of lately.
func (t twins) twice(id string, now time.Time) bool {
	x := t[id]
	return x != nil && x.copies != "" && now.UnixMilli()-min(x.last, x.before.last) < silentAfter.Milliseconds()
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
		if now.Sub(time.UnixMilli(x.last)) > reportKept {
			delete(t, id)
		}
	}
}
