package crawler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

type fakeCoordinator struct {
	mu   sync.Mutex
	got  []api.Discovery
	fail func(api.Discovery) error
	slow time.Duration
}

func (f *fakeCoordinator) discover(_ context.Context, d api.Discovery) error {
	time.Sleep(f.slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fail != nil {
		if err := f.fail(d); err != nil {
			return err
		}
	}
	f.got = append(f.got, d)
	return nil
}

func (f *fakeCoordinator) offers() (n int) {
	for _, d := range f.got {
		n += len(d.Items)
	}
	return n
}

func offers(class salvor.Class, hops int, names ...string) []api.Offer {
	var out []api.Offer
	for _, n := range names {
		it := salvor.Item{URL: "http://a.test/" + n, Class: class, Hop: salvor.Hop{Links: uint16(hops)}}
		it.Key = salvor.ItemKey(salvor.HashKey{}, "", it.URL, nil)
		out = append(out, api.Offer{Item: it})
	}
	return out
}

// sending runs a sender under scope 1, which changes nothing about an offer.
func sending(t *testing.T, f *fakeCoordinator, body func(s *sender)) {
	var scope atomic.Uint32
	scope.Store(1)
	sendingUnder(t, f, &scope, func(o api.Offer) api.Offer { return o }, body)
}

func sendingUnder(t *testing.T, f *fakeCoordinator, scope *atomic.Uint32, recheck func(api.Offer) api.Offer, body func(s *sender)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSender(1, scope.Load, recheck, f.discover)
		var wg sync.WaitGroup
		wg.Go(func() { s.run(ctx) })
		body(s)
		cancel()
		wg.Wait()
	})
}

// refuseOld is a coordinator whose scope has version 2.
func refuseOld(d api.Discovery) error {
	if d.Scope < 2 {
		return salvor.Errorf(salvor.Conflict, "scope version %d is old", d.Scope)
	}
	return nil
}

func wait(t *testing.T, ps []*parcel) error {
	t.Helper()
	for _, p := range ps {
		<-p.done
		if p.err != nil {
			return p.err
		}
	}
	return nil
}

func TestKnownLinksCostNoMessage(t *testing.T) {
	f := &fakeCoordinator{}
	sending(t, f, func(s *sender) {
		if err := wait(t, s.offer(offers(salvor.ClassPage, 2, "a", "b", "c"))); err != nil {
			t.Fatal(err)
		}
		if ps := s.offer(offers(salvor.ClassPage, 2, "a", "b", "c")); len(ps) != 0 {
			t.Error("links that were acknowledged wait for a message")
		}
		wait(t, s.offer(offers(salvor.ClassPage, 1, "a")))      // a shorter way
		wait(t, s.offer(offers(salvor.ClassRequisite, 2, "b"))) // no better
		wait(t, s.offer(offers(salvor.ClassSeed, 2, "b")))      // a better class
	})
	if n := f.offers(); n != 5 {
		t.Errorf("%d offers sent, want 5: three new ones, a lower hop and a better class", n)
	}
}

func TestSecondPageWaitsOnTheSameBatch(t *testing.T) {
	f := &fakeCoordinator{slow: time.Second}
	sending(t, f, func(s *sender) {
		first := s.offer(offers(salvor.ClassPage, 1, "a"))
		time.Sleep(100 * time.Millisecond) // the batch is under way, not acknowledged
		second := s.offer(offers(salvor.ClassPage, 1, "a"))
		if len(second) != 1 || second[0] != first[0] {
			t.Fatal("the second page with the link does not wait on the batch that carries it")
		}
		wait(t, second)
	})
	if n := f.offers(); n != 1 {
		t.Errorf("the link was sent %d times", n)
	}
}

func TestFailedBatchIsNotRemembered(t *testing.T) {
	f := &fakeCoordinator{fail: func(api.Discovery) error { return errors.New("no") }}
	sending(t, f, func(s *sender) {
		if err := wait(t, s.offer(offers(salvor.ClassPage, 1, "a"))); err == nil {
			t.Fatal("a page whose links were refused was told they were accepted")
		}
		f.fail = nil
		if err := wait(t, s.offer(offers(salvor.ClassPage, 1, "a"))); err != nil {
			t.Fatal(err)
		}
	})
	if n := f.offers(); n != 1 {
		t.Errorf("%d offers accepted, want 1", n)
	}
}

func TestOldScopeIsJudgedAgain(t *testing.T) {
	f := &fakeCoordinator{fail: refuseOld}
	var version atomic.Uint32
	version.Store(1)
	bar := func(o api.Offer) api.Offer { o.Excluded = "exclude:new"; return o }
	sendingUnder(t, f, &version, bar, func(s *sender) {
		ps := s.offer(offers(salvor.ClassPage, 1, "a"))
		version.Store(2)
		if err := wait(t, ps); err != nil {
			t.Fatal(err)
		}
	})
	if len(f.got) != 1 || f.got[0].Scope != 2 || f.got[0].Items[0].Excluded != "exclude:new" {
		t.Errorf("got %+v, want the offer judged under scope 2", f.got)
	}
}

func TestManyOffersAreBatched(t *testing.T) {
	f := &fakeCoordinator{}
	var names []string
	for i := range 3*parcelSize + 10 {
		names = append(names, fmt.Sprint(i))
	}
	sending(t, f, func(s *sender) {
		if err := wait(t, s.offer(offers(salvor.ClassPage, 1, names...))); err != nil {
			t.Fatal(err)
		}
	})
	if len(f.got) != 4 || f.offers() != len(names) {
		t.Errorf("%d offers in %d batches, want %d in 4", f.offers(), len(f.got), len(names))
	}
}
