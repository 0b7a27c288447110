package crawler

import (
	"sync"
	"time"

	"salvor"
	"salvor/api"
)

const (
	// maxPostpones is how often an item may be put off by Retry-After, and
	// maxPostponed for how long in all, before that costs attempts.
	maxPostpones = 32
	maxPostponed = 24 * time.Hour
	// maxPatience is how many items are counted at a time.
	maxPatience = 100_000
)

// patience counts how often each item was put off by Retry-After. It costs no
// attempt, so a server that asks for it for ever would never be done with;
// beyond a bound each time counts as an attempt. The counts are this run's: a
// resumed crawl begins anew, and is bounded again.
type patience struct {
	mu    sync.Mutex
	items map[salvor.Key]postpones
}

type postpones struct {
	times uint32
	total time.Duration
}

// judge makes an attempt of a postponement that is one too many. When to try
// again stays as the server asked for it.
func (p *patience) judge(it salvor.Item, v verdict, tries int, at time.Time) verdict {
	if v.verb != api.VerbPostpone {
		p.forget(it.Key)
		return v
	}
	if p.bear(it.Key, time.UnixMilli(v.retry).Sub(at)) {
		return v
	}
	asked := v.retry
	if v = v.lastOr(it, tries, at); v.verb == api.VerbRetry {
		v.retry = max(v.retry, asked)
	}
	if v.verb == api.VerbSettle {
		p.forget(it.Key)
	}
	return v
}

// bear counts one more postponement, and says whether it costs nothing yet.
func (p *patience) bear(k salvor.Key, d time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.items[k]
	free := n.times < maxPostpones && n.total < maxPostponed
	p.makeRoom()
	p.items[k] = postpones{n.times + 1, n.total + max(d, 0)}
	return free
}

// makeRoom drops one count, of any item, when there are too many: a server
// that puts off that many keeps its host blocked, and hardly comes round.
func (p *patience) makeRoom() {
	if p.items == nil {
		p.items = map[salvor.Key]postpones{}
	}
	if len(p.items) < maxPatience {
		return
	}
	for k := range p.items {
		delete(p.items, k)
		return
	}
}

func (p *patience) forget(k salvor.Key) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.items, k)
}
