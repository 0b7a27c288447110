package coordinator

import "sync"

// bell wakes everyone who waits. It is rung after every applied batch, so a
// ring without anyone waiting costs no more than a lock.
type bell struct {
	mu      sync.Mutex
	c       chan struct{}
	waiting bool
}

func newBell() *bell { return &bell{c: make(chan struct{})} }

// next is closed by the next ring after this call.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting = true
	return b.c
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.waiting {
		return
	}
	close(b.c)
	b.c, b.waiting = make(chan struct{}), false
}
