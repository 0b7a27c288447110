package route

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

// worker calls a router as the crawler does: one request for work or extend
// after the other, each repeated until its outcome is known.
type worker struct {
	t    testing.TB
	r    *rand.Rand
	c    api.Coordinator
	id   salvor.SessionID
	last uint64
	seen salvor.LeaseID
	held map[salvor.LeaseID]api.Lease
	got  map[salvor.LeaseID]bool
}

func (w *worker) call() api.Call {
	w.last++
	return api.Call{Session: w.id, Request: w.last}
}

// repeat is the crawler's.
func (w *worker) repeat(f func() error) {
	for range 1000 {
		err := f()
		if err == nil {
			return
		}
		if salvor.ClassOf(err) != salvor.Unavailable {
			w.t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.t.Fatal("never answered")
}

func (w *worker) lease() {
	call, want := w.call(), api.Want{Hosts: 1 + w.r.IntN(6), Items: 1 + w.r.IntN(5), Wait: time.Second}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if w.r.IntN(3) == 0 { // a host ran dry meanwhile
		time.AfterFunc(time.Duration(w.r.IntN(5))*time.Millisecond, cancel)
	}
	leases, err := w.c.Lease(ctx, call, want)
	if err != nil {
		if c := salvor.ClassOf(err); c != salvor.Unavailable && c != salvor.Interrupted {
			w.t.Fatal(err)
		}
		want.Wait = 0
		w.repeat(func() (err error) {
			leases, err = w.c.Lease(context.Background(), call, want)
			return err
		})
	}
	for _, l := range leases {
		if w.got[l.ID] {
			w.t.Errorf("lease %x was given twice", l.ID)
		}
		w.seen, w.held[l.ID], w.got[l.ID] = max(w.seen, l.ID), l, true
	}
}

func (w *worker) extend() {
	h := api.Holdings{Seen: w.seen}
	for id := range w.held {
		h.Leases = append(h.Leases, api.Extension{Lease: id, Pace: 1})
	}
	call := w.call()
	var r api.Renewal
	w.repeat(func() (err error) {
		r, err = w.c.Extend(context.Background(), call, h)
		return err
	})
	for _, id := range r.Lost {
		delete(w.held, id)
	}
}

func (w *worker) settle() {
	s := api.Settlement{Crawl: 1}
	for id, l := range w.held {
		if w.r.IntN(2) == 0 {
			continue
		}
		for _, it := range l.Items {
			s.Entries = append(s.Entries, api.Entry{Key: it.Key, Host: it.Host, Lease: id})
		}
		delete(w.held, id)
	}
	call := w.call()
	w.repeat(func() error { return w.c.Settle(context.Background(), call, s) })
}

func (w *worker) offer(n int) {
	d := api.Discovery{Crawl: 1}
	for range n {
		w.last++
		it := salvor.Item{Host: fmt.Sprintf("h%d.example", w.r.IntN(40)), URL: fmt.Sprint("u", w.last)}
		binary.LittleEndian.PutUint64(it.Key[:], w.last)
		d.Items = append(d.Items, api.Offer{Item: it})
	}
	call := w.call()
	var res []api.Result
	w.repeat(func() (err error) {
		res, err = w.c.Discover(context.Background(), call, d)
		return err
	})
	for i := range d.Items {
		if res[i] != resultOf(&d.Items[i]) {
			w.t.Fatalf("result %d is another offer's", i)
		}
	}
}

// TestNothingIsLost runs a worker on a router of groups that fail before and
// after they did what they were asked. In the end everything offered is
// settled. Where answers are lost only because a wait was broken off, no lease
// goes astray even for a while.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(60) {
		for _, trouble := range []int{0, 8} {
			synctest.Test(t, func(t *testing.T) { run(t, seed, trouble) })
		}
	}
}

func run(t *testing.T, seed uint64, trouble int) {
	r := rand.New(rand.NewPCG(seed, uint64(trouble)))
	gs, router := newGroups(t, 1+r.IntN(5))
	w := &worker{t: t, r: r, c: router, held: map[salvor.LeaseID]api.Lease{}, got: map[salvor.LeaseID]bool{}}
	for _, g := range gs {
		g.mute = len(gs) > 1
		if trouble > 0 {
			g.trouble = troubles(rand.New(rand.NewPCG(seed, uint64(g.number))), trouble)
		}
	}
	w.repeat(func() (err error) { w.id, err = router.Register(context.Background(), "w"); return err })
	offered := 0
	left := func() (n int) {
		for _, g := range gs {
			n += g.left()
		}
		return n
	}
	for i := range 2000 {
		if i < 20 {
			n := r.IntN(30)
			w.offer(n)
			offered += n
		} else if left() == 0 {
			break
		}
		w.lease()
		w.extend()
		w.settle()
		for _, g := range gs {
			g.tick()
		}
	}
	check(t, gs, offered, left(), trouble)
	w.repeat(func() error { return router.End(context.Background(), w.id) })
	if len(router.sessions)+len(router.workers) != 0 {
		t.Error("the router keeps sessions that ended")
	}
}

func check(t *testing.T, gs []*group, offered, left, trouble int) {
	settled, expired := 0, 0
	for _, g := range gs {
		settled += len(g.settled)
		expired += g.expired
	}
	if settled != offered || left != 0 {
		t.Errorf("%d of %d settled, %d left, with %d groups", settled, offered, left, len(gs))
	}
	if trouble == 0 && expired != 0 {
		t.Errorf("%d leases went astray, with %d groups", expired, len(gs))
	}
}

// troubles fail one call in so many, half of them after it had its effect.
func troubles(r *rand.Rand, in int) func(string) (before, after error) {
	return func(string) (before, after error) {
		err := salvor.Errorf(salvor.Unavailable, "trouble")
		switch r.IntN(2 * in) {
		case 0:
			return err, nil
		case 1:
			return nil, err
		}
		return nil, nil
	}
}
