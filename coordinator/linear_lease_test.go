package coordinator

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"salvor"
	"salvor/api"
)

// What workers and readers do to one item, or with one lease, as porcupine sees
// it. A call that is repeated until it is answered is one operation. The end of a
// lease by time is one too: at some moment after the holder's time was over, or
// never.
type itemOp struct {
	key   salvor.Key // zero: it is about a lease
	verb  string
	lease salvor.LeaseID
	place int64 // of a capture; 0 none
}

const (
	opGrant = "grant" // the lease has the item
	opEnd   = "end"   // the lease may be over from now on
	opSave  = "save"  // a capture is reported
	opBack  = "back"  // the holder gives the item back
	opOpen  = "open"  // a reader finds it without outcome
	opSaved = "saved" // a reader finds it saved, at a place

	opBegun = "begun" // a lease was granted
	opGoes  = "goes"  // an extend was answered: it goes on
	opLost  = "lost"  // an extend was answered: it is not known
)

// itemState is an item: free, leased, or saved at the place of its first
// capture. Of a lease, only whether it is over.
type itemState struct {
	lease salvor.LeaseID // 0: nobody has it
	place int64          // 0: not saved
	over  bool
}

// leasing is the frontier as its callers see it: an item is granted only when no
// live lease has it and it is not saved; the first capture that was acknowledged
// stays; a lease that is over never goes on again.
var leasing = porcupine.Model{
	Partition: func(history []porcupine.Operation) (all [][]porcupine.Operation) {
		by := map[any][]porcupine.Operation{}
		for _, o := range history {
			in := o.Input.(itemOp)
			var k any = in.key
			if in.key == (salvor.Key{}) {
				k = in.lease
			}
			by[k] = append(by[k], o)
		}
		for _, list := range by {
			all = append(all, list)
		}
		return all
	},
	Init: func() any { return itemState{} },
	Step: func(state, input, _ any) (bool, any) {
		now, in := state.(itemState), input.(itemOp)
		switch in.verb {
		case opGrant:
			ok := now.lease == 0 && now.place == 0
			now.lease = in.lease
			return ok, now
		case opEnd:
			if in.key == (salvor.Key{}) {
				now.over = true
			} else if now.lease == in.lease {
				now.lease = 0
			}
			return true, now
		case opBack:
			if now.lease == in.lease {
				now.lease = 0
			}
			return true, now
		case opSave:
			if now.place == 0 {
				now = itemState{place: in.place}
			}
			return true, now
		case opOpen:
			return now.place == 0, now
		case opSaved:
			return now.place == in.place, now
		case opGoes:
			return !now.over, now
		case opLost:
			return now.over, now
		}
		return true, now
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", input) },
}

// claim is a lease as its holder knows it.
type claim struct {
	api.Lease
	begun  time.Duration                // when it was returned
	end    time.Duration                // it is live till then, for all its holder knows
	back   map[salvor.Key]time.Duration // when its holder began to give an item of it back
	inHand bool
}

// leaseHistory is what several workers and readers did and saw.
type leaseHistory struct {
	t     *testing.T
	began time.Time

	mu     sync.Mutex
	ops    []porcupine.Operation
	claims map[salvor.LeaseID]*claim
	saves  map[salvor.Key]time.Duration // when anybody first began to report a capture
	items  map[salvor.Key]string        // host
	places int64
	counts map[string]int
}

const neverBack = int64(1) << 61

func (h *leaseHistory) now() time.Duration { return time.Since(h.began) }

func (h *leaseHistory) note(client int, from, to int64, in itemOp) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[in.verb]++
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: nil, Call: from, Return: to})
}

// hand is one worker. It repeats a call until it is answered, at whichever node
// leads, as the real one does.
type hand struct {
	h       *leaseHistory
	f       *fleet
	r       *rescue
	id      int
	rnd     *rand.Rand
	session salvor.SessionID
	request uint64
	held    []*claim
	seen    salvor.LeaseID
}

// insists repeats a call until it is answered; false when ctx ended first. It
// is of the class that the answer has, if that is an error.
func (h *leaseHistory) insists(ctx context.Context, f *fleet, rnd *rand.Rand, do func(context.Context, *Group) error) (from, to time.Duration, err error, ok bool) {
	from = h.now()
	for ctx.Err() == nil {
		g := f.some(rnd.IntN(3)).Group(0)
		if g.leads() || rnd.IntN(10) == 0 {
			limited, cancel := context.WithTimeout(ctx, 3*time.Second)
			err = do(limited, g)
			late := limited.Err() != nil
			cancel()
			class := salvor.ClassOf(err)
			if err == nil || class != salvor.Unavailable && !(class == salvor.Interrupted && late) {
				return from, h.now(), err, true
			}
		}
		time.Sleep(time.Duration(5+rnd.IntN(40)) * time.Millisecond)
	}
	return from, h.now(), ctx.Err(), false
}

func (w *hand) insists(ctx context.Context, do func(context.Context, *Group) error) (from, to time.Duration, err error, ok bool) {
	return w.h.insists(ctx, w.f, w.rnd, do)
}

func (w *hand) call() api.Call {
	w.request++
	return api.Call{Session: w.session, Request: w.request}
}

func (w *hand) work(ctx context.Context) {
	w.register(ctx)
	extended := w.h.now()
	for ctx.Err() == nil {
		if w.h.now()-extended >= salvor.ExtendEvery {
			extended = w.h.now()
			w.extend(ctx)
		}
		switch n := w.rnd.IntN(100); {
		case n < 25:
			w.lease(ctx)
		case n < 60:
			w.settle(ctx)
		case n < 62: // it falls silent, and does not know for how long
			time.Sleep(time.Duration(w.rnd.IntN(25)) * time.Second)
		case n < 63: // it is killed, and started again
			w.register(ctx)
		default:
			time.Sleep(time.Duration(w.rnd.IntN(300)) * time.Millisecond)
		}
	}
}

// register begins a new session; what the one before had is over from the
// moment of the call.
func (w *hand) register(ctx context.Context) {
	w.drop(w.h.now(), w.held)
	w.held, w.seen = nil, 0
	s := salvor.SessionID(w.rnd.Uint64() | 1)
	_, _, err, ok := w.insists(ctx, func(ctx context.Context, g *Group) error { return g.RegisterAs(ctx, fmt.Sprint("hand ", w.id), s) })
	if ok && err != nil {
		w.h.t.Errorf("register: %v", err)
	}
	w.session = s
}

// drop says that leases may be over from a moment on.
func (w *hand) drop(at time.Duration, list []*claim) {
	w.h.mu.Lock()
	defer w.h.mu.Unlock()
	for _, c := range list {
		c.end = min(c.end, at)
		c.inHand = false
	}
}

func (w *hand) lease(ctx context.Context) {
	c := w.call()
	want := api.Want{Crawl: w.r.crawl.ID, Hosts: 1 + w.rnd.IntN(3), Items: 1 + w.rnd.IntN(6), Wait: time.Duration(w.rnd.IntN(2)) * 500 * time.Millisecond}
	var got []api.Lease
	from, to, err, ok := w.insists(ctx, func(ctx context.Context, g *Group) (err error) {
		got, err = g.Lease(ctx, c, want)
		return err
	})
	if !ok {
		return
	}
	if err != nil {
		w.h.t.Errorf("lease: %v", err)
		return
	}
	for _, l := range got {
		x := &claim{Lease: l, begun: to, end: from + salvor.LeaseTTL, back: map[salvor.Key]time.Duration{}, inHand: true}
		w.held, w.seen = append(w.held, x), max(w.seen, l.ID)
		w.h.mu.Lock()
		w.h.claims[l.ID] = x
		w.h.mu.Unlock()
		w.h.note(w.id, int64(from), int64(to), itemOp{verb: opBegun, lease: l.ID})
		for _, it := range l.Items {
			w.h.note(w.id, int64(from), int64(to), itemOp{key: it.Key, verb: opGrant, lease: l.ID})
		}
	}
}

// extend lists what it holds, now and then without one of its leases.
func (w *hand) extend(ctx context.Context) {
	h := api.Holdings{Seen: w.seen}
	var list, left []*claim
	for _, x := range w.held {
		if w.rnd.IntN(12) == 0 {
			left = append(left, x)
			continue
		}
		list = append(list, x)
		h.Leases = append(h.Leases, api.Extension{Lease: x.ID, Pace: salvor.Pace(w.rnd.IntN(3000))})
	}
	w.drop(w.h.now(), left)
	c := w.call()
	var got api.Renewal
	from, to, err, ok := w.insists(ctx, func(ctx context.Context, g *Group) (err error) {
		got, err = g.Extend(ctx, c, h)
		return err
	})
	if !ok {
		return
	}
	w.held = nil
	if salvor.ClassOf(err) == salvor.NotFound && err != nil { // the session was ended
		w.drop(from, list)
		w.register(ctx)
		return
	}
	if err != nil {
		w.h.t.Errorf("extend: %v", err)
		return
	}
	by := map[salvor.LeaseID]*claim{}
	for _, x := range list {
		by[x.ID] = x
	}
	for _, x := range got.Granted {
		w.h.note(w.id, int64(from), int64(to), itemOp{verb: opGoes, lease: x.Lease})
		w.h.mu.Lock()
		by[x.Lease].end = max(by[x.Lease].end, from+salvor.LeaseTTL)
		w.h.mu.Unlock()
		w.held = append(w.held, by[x.Lease])
	}
	for _, id := range got.Lost {
		w.h.note(w.id, int64(from), int64(to), itemOp{verb: opLost, lease: id})
	}
	if len(got.Granted)+len(got.Lost) != len(list) {
		w.h.t.Errorf("of %d leases %d go on and %d are lost", len(list), len(got.Granted), len(got.Lost))
	}
}

// settle reports items of a lease as saved, or gives them back. It does so with
// leases that are long over too: saved counts from any.
func (w *hand) settle(ctx context.Context) {
	w.h.mu.Lock()
	var from []*claim
	for _, c := range w.h.claims {
		if c.inHand || w.rnd.IntN(8) == 0 {
			from = append(from, c)
		}
	}
	w.h.mu.Unlock()
	if len(from) == 0 {
		return
	}
	x := from[w.rnd.IntN(len(from))]
	mine := false
	for _, c := range w.held {
		mine = mine || c == x
	}
	s := api.Settlement{Crawl: w.r.crawl.ID}
	var ops []itemOp
	w.h.mu.Lock()
	for i := range x.Items {
		if w.rnd.IntN(2) == 0 {
			continue
		}
		w.h.places++
		e := saved(x.Lease, i, w.h.places)
		op := itemOp{key: e.Key, verb: opSave, place: w.h.places}
		if mine && w.rnd.IntN(3) == 0 {
			e = api.Entry{Key: e.Key, Host: e.Host, Lease: x.ID, Verb: api.VerbPostpone}
			op = itemOp{key: e.Key, verb: opBack, lease: x.ID}
			first(x.back, e.Key, w.h.now())
		} else {
			first(w.h.saves, e.Key, w.h.now())
		}
		s.Entries, ops = append(s.Entries, e), append(ops, op)
	}
	w.h.mu.Unlock()
	if len(ops) == 0 {
		return
	}
	c := w.call()
	began, to, err, ok := w.insists(ctx, func(ctx context.Context, g *Group) error { return g.Settle(ctx, c, s) })
	if ok && err != nil {
		w.h.t.Errorf("settle: %v", err)
	}
	back := int64(to)
	if !ok {
		back = neverBack // it may be done later
	}
	for _, op := range ops {
		w.h.note(w.id, int64(began), back, op)
	}
}

// read looks at single items.
func (h *leaseHistory) read(ctx context.Context, f *fleet, r *rescue, id int) {
	rnd := rand.New(rand.NewPCG(uint64(id), 11))
	var keys []salvor.Key
	for k := range h.items {
		keys = append(keys, k)
	}
	for ctx.Err() == nil {
		time.Sleep(time.Duration(rnd.IntN(30)) * time.Millisecond)
		k := keys[rnd.IntN(len(keys))]
		var x api.Known
		from, to, err, ok := h.insists(ctx, f, rnd, func(ctx context.Context, g *Group) (err error) {
			x, err = g.Lookup(ctx, r.crawl.ID, h.items[k], k)
			return err
		})
		if !ok {
			return
		}
		if err != nil {
			h.t.Errorf("lookup: %v", err)
			return
		}
		op := itemOp{key: k, verb: opOpen}
		if x.State == api.StateSettled {
			op.verb, op.place = opSaved, x.Place.Offset
		}
		h.note(id, int64(from), int64(to), op)
	}
}
