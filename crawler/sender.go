package crawler

import (
	"context"
	"sync"
	"time"

	"salvor"
	"salvor/api"
)

// A sender offers discovered items to the coordinator in batches. Its filter
// is exact: it holds what was acknowledged, with the lowest hop and the best
// class sent, so that a link known already costs no message (protocol 3).
// Until a batch is acknowledged, every page that has one of its links waits
// on that same batch.
type sender struct {
	crawl   salvor.CrawlID
	version func() uint32 // of the scope
	recheck func(api.Offer) api.Offer
	call    func(context.Context, api.Discovery) error
	delay   time.Duration
	behind  func() // hears that there is a newer scope than version; may be nil

	mu     sync.Mutex
	young  map[sentKey]sent
	old    map[sentKey]sent
	flying map[sentKey]*parcel
	cur    *parcel

	full  chan *parcel
	ended chan struct{} // run is over: nothing is sent any more
}

// sentKey is keyed by scope version too: a new scope judges anew.
type sentKey struct {
	key   salvor.Key
	scope uint32
}

// sent is how an item was offered. It is small, because a filter holds half a
// million: the path of a hop does not make it better.
type sent struct {
	links         uint16
	embeds, extra uint8
	class         salvor.Class
	band          salvor.Band // what a page needs is worth more to some pages than to others
}

func sentAs(it *salvor.Item) sent {
	return sent{it.Hop.Links, it.Hop.Embeds, it.Hop.Extra, it.Class, it.Band}
}

func (a sent) hop() salvor.Hop { return salvor.Hop{Links: a.links, Embeds: a.embeds, Extra: a.extra} }

func (a sent) covers(b sent) bool {
	return !b.hop().Better(a.hop()) && b.class >= a.class && b.band >= a.band
}

// with is the best of two: what the coordinator has once both were accepted.
func (a sent) with(b sent) sent {
	if b.hop().Better(a.hop()) {
		a.links, a.embeds, a.extra = b.links, b.embeds, b.extra
	}
	a.class, a.band = min(a.class, b.class), min(a.band, b.band)
	return a
}

// parcel is one batch on its way; done is closed when it was acknowledged or
// given up, then err says which.
type parcel struct {
	offers []api.Offer
	best   map[salvor.Key]sent
	scope  uint32
	sealed bool // on its way; guarded by the sender's lock
	done   chan struct{}
	err    error
}

const (
	parcelSize  = 256                   // offers a batch
	parcelDelay = 25 * time.Millisecond // a batch waits for more this long
	// heldDelay is the same where captures wait seconds for a Store anyway: each
	// call costs the coordinators more than its links do.
	heldDelay    = 100 * time.Millisecond
	filterHalf   = 1 << 18 // keys in each of the filter's two generations
	parcelsAtSea = 8       // batches under way at once
)

func newSender(crawl salvor.CrawlID, version func() uint32, recheck func(api.Offer) api.Offer, call func(context.Context, api.Discovery) error) *sender {
	return &sender{
		crawl: crawl, version: version, recheck: recheck, call: call, delay: parcelDelay,
		young: map[sentKey]sent{}, old: map[sentKey]sent{}, flying: map[sentKey]*parcel{},
		full: make(chan *parcel, parcelsAtSea), ended: make(chan struct{}),
	}
}

// offer takes a page's links and returns the batches that carry them.
func (s *sender) offer(offers []api.Offer) []*parcel {
	var waits []*parcel
	for len(offers) > 0 {
		n, full, ws := s.pack(offers)
		waits = append(waits, ws...)
		offers = offers[n:]
		if full == nil {
			continue
		}
		select {
		case s.full <- full:
		case <-s.ended:
			full.fail(context.Canceled)
		}
	}
	return waits
}

func (p *parcel) fail(err error) {
	p.err = err
	close(p.done)
}

// pack adds offers to the current batch until it is full.
func (s *sender) pack(offers []api.Offer) (n int, full *parcel, waits []*parcel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	scope := s.version()
	for i, o := range offers {
		k, this := sentKey{o.Key, scope}, sentAs(&o.Item)
		if s.known(k, this) {
			continue
		}
		// What is under way in another batch is waited for. But a robots.txt must
		// not come after its pages, so it goes with them again.
		if p := s.flying[k]; p != nil && p.best[o.Key].covers(this) && (p == s.cur || o.Class != salvor.ClassRobots) {
			waits = appendNew(waits, p)
			continue
		}
		waits = appendNew(waits, s.put(k, this, o))
		if len(s.cur.offers) >= parcelSize {
			full, s.cur = s.cur, nil
			full.sealed = true
			return i + 1, full, waits
		}
	}
	return len(offers), nil, waits
}

func appendNew(ps []*parcel, p *parcel) []*parcel {
	for _, q := range ps {
		if q == p {
			return ps
		}
	}
	return append(ps, p)
}

func (s *sender) put(k sentKey, this sent, o api.Offer) *parcel {
	if s.cur == nil || s.cur.scope != k.scope {
		s.cur = &parcel{best: map[salvor.Key]sent{}, scope: k.scope, done: make(chan struct{})}
		p := s.cur
		time.AfterFunc(s.delay, func() { s.flush(p) })
	}
	s.cur.offers = append(s.cur.offers, o)
	if was, ok := s.cur.best[o.Key]; ok {
		this = this.with(was)
	}
	s.cur.best[o.Key] = this
	s.flying[k] = s.cur
	return s.cur
}

// flush sends p unless it filled up meanwhile.
func (s *sender) flush(p *parcel) {
	s.mu.Lock()
	mine := !p.sealed
	p.sealed = true
	if s.cur == p {
		s.cur = nil
	}
	s.mu.Unlock()
	if !mine {
		return
	}
	select {
	case s.full <- p:
	case <-s.ended:
		p.fail(context.Canceled)
	}
}

// knows reports whether as much was acknowledged, under the scope of now.
func (s *sender) knows(key salvor.Key, this sent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known(sentKey{key, s.version()}, this)
}

func (s *sender) known(k sentKey, this sent) bool {
	if was, ok := s.young[k]; ok {
		return was.covers(this)
	}
	was, ok := s.old[k]
	if ok && was.covers(this) {
		s.remember(k, was)
		return true
	}
	return false
}

func (s *sender) remember(k sentKey, v sent) {
	if was, ok := s.young[k]; ok {
		v = v.with(was)
	} else if was, ok := s.old[k]; ok {
		v = v.with(was)
	}
	if len(s.young) >= filterHalf {
		s.old, s.young = s.young, make(map[sentKey]sent, filterHalf)
	}
	s.young[k] = v
}

// run sends batches until ctx ends, then gives up what is left.
func (s *sender) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, parcelsAtSea)
	for {
		select {
		case <-ctx.Done():
			s.abandon(ctx)
			return
		case p := <-s.full:
			slots <- struct{}{}
			wg.Go(func() {
				s.deliver(ctx, p)
				<-slots
			})
		}
	}
}

// abandon fails whatever is still queued, so that nobody waits for ever.
func (s *sender) abandon(ctx context.Context) {
	close(s.ended)
	for {
		select {
		case p := <-s.full:
			p.fail(ctx.Err())
		default:
			return
		}
	}
}

// deliver sends one batch. A batch made under an older scope is judged again.
func (s *sender) deliver(ctx context.Context, p *parcel) {
	scope, offers := p.scope, p.offers
	for {
		err := s.call(ctx, api.Discovery{Crawl: s.crawl, Scope: scope, Items: offers})
		if salvor.ClassOf(err) == salvor.Conflict {
			// The newer scope may be on its way to us still.
			if s.behind != nil && s.version() == scope {
				s.behind()
			}
			if !s.await(ctx, scope) {
				s.delivered(p, ctx.Err())
				return
			}
			scope = s.version()
			for i := range offers {
				offers[i] = s.recheck(offers[i])
			}
			continue
		}
		s.delivered(p, err)
		return
	}
}

// await waits until the scope is another than version; false when ctx ended.
func (s *sender) await(ctx context.Context, version uint32) bool {
	for wait := 20 * time.Millisecond; s.version() == version; wait = min(2*wait, 200*time.Millisecond) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
	return true
}

func (s *sender) delivered(p *parcel, err error) {
	s.mu.Lock()
	for key, v := range p.best {
		k := sentKey{key, p.scope}
		if s.flying[k] == p {
			delete(s.flying, k)
		}
		if err == nil {
			s.remember(k, v)
		}
	}
	s.mu.Unlock()
	p.fail(err)
}
