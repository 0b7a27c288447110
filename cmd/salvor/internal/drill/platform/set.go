package platform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"salvor"
)

// Set is the platforms of a drill.
type Set struct {
	Sites []*Site

	once  sync.Once
	first chan struct{}

	mu     sync.Mutex
	began  time.Time // zero: not yet
	timers []*time.Timer
}

// Site is a platform that is served.
type Site struct {
	*Content
	Spec Spec
	Host string // its address, which is the name of its host
	URL  string // of its front page

	set  *Set
	gate *gate
	web  *web

	mu     sync.Mutex
	served []time.Duration // by resource: when it was first written whole; -1 never
	whole  int
	value  float64 // of these
	tally  Tally
}

// Tally counts what a platform answered.
type Tally struct {
	Answers  int // all of them
	Repeats  int // of these, with a resource that it had served before
	Refusals int // 429
	Banned   int // 403
	Errors   int // 503, and the page of a suspended one
}

// Start serves platforms on addresses of 127.0.0.0/8: the first on network.1, the
// next on network.2, and so on; network is the first three bytes, "127.73.1". The
// drill's clock stands until Begin.
func Start(ctx context.Context, network string, seed uint64, specs []Spec) (*Set, error) {
	set := newSet()
	buckets := map[string]*bucket{}
	for i := range specs {
		err := specs[i].Check()
		if err == nil {
			err = set.add(ctx, address(network, i), seed, specs[i], buckets)
		}
		if err != nil {
			return nil, errors.Join(err, set.Close())
		}
	}
	return set, nil
}

func newSet() *Set { return &Set{first: make(chan struct{})} }

// address is the i-th of a network, and of those that follow it.
func address(network string, i int) string {
	var a, b, c int
	if _, err := fmt.Sscanf(network, "%d.%d.%d", &a, &b, &c); err != nil {
		return network // Listen says that it is none
	}
	return fmt.Sprintf("%d.%d.%d.%d", a, b, c+i/250, i%250+1)
}

func (set *Set) add(ctx context.Context, ip string, seed uint64, s Spec, buckets map[string]*bucket) error {
	b := newBucket(s.Manner.Rate, s.Manner.Changes)
	if shared := buckets[s.Group]; s.Group != "" && shared != nil {
		b = shared
	} else if s.Group != "" {
		buckets[s.Group] = b
	}
	x := &Site{Content: NewContent(s, seed), Spec: s, Host: ip, set: set, served: make([]time.Duration, s.Pages)}
	x.gate = newGate(s.Manner, x.seed, b)
	for i := range x.served {
		x.served[i] = -1
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return salvor.Errorf(salvor.Unavailable, "serve platform %s: %w", s.Name, err).
			WithHint("a drill needs addresses of 127.0.0.0/8 that can be listened on, as Linux has them")
	}
	x.URL = "http://" + l.Addr().String() + "/"
	x.web = serve(l, x)
	set.Sites = append(set.Sites, x)
	return nil
}

// First is closed when somebody asks for something for the first time.
func (set *Set) First() <-chan struct{} { return set.first }

// Begin starts the clock, and with it what is to happen.
func (set *Set) Begin(at time.Time) {
	set.mu.Lock()
	defer set.mu.Unlock()
	set.began = at
	for _, x := range set.Sites {
		if d := x.Spec.Manner.Death; d > 0 && x.Spec.Manner.End == Refused {
			set.timers = append(set.timers, time.AfterFunc(time.Until(at.Add(d)), x.web.end))
		}
	}
}

// Now is the time since Begin; 0 before it.
func (set *Set) Now() time.Duration {
	set.mu.Lock()
	defer set.mu.Unlock()
	if set.began.IsZero() {
		return 0
	}
	return time.Since(set.began)
}

// Close ends all platforms.
func (set *Set) Close() error {
	set.mu.Lock()
	for _, t := range set.timers {
		t.Stop()
	}
	set.mu.Unlock()
	for _, x := range set.Sites {
		x.web.end()
		x.web.wait()
	}
	return nil
}

// Served is when a resource was first written whole; false if it never was.
func (x *Site) Served(i int) (time.Duration, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.served[i], x.served[i] >= 0
}

// Progress is how many resources were served whole so far, and their value.
func (x *Site) Progress() (n int, value float64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.whole, x.value
}

// Tally is what it has answered so far.
func (x *Site) Tally() Tally {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.tally
}

// Total is the value of all its resources.
func (c *Content) Total() (sum float64) {
	for i := range c.spec.Pages {
		sum += c.Value(i)
	}
	return sum
}
