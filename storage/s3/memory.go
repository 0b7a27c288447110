package s3

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// memory bounds what all large puts of a Store hold at once. Buffers are used
// again while any put runs, and given up after the last.
type memory struct {
	slots chan struct{}
	size  int64 // of a usual buffer

	mu   sync.Mutex
	used int
	free [][]byte
}

func newMemory(slots int, size int64) *memory {
	return &memory{slots: make(chan struct{}, slots), size: size}
}

// get waits for room and gives a buffer of n bytes, and what gives it back.
func (m *memory) get(ctx context.Context, n int64) ([]byte, func(), error) {
	select {
	case m.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	b := m.take(n)
	return b[:n], func() {
		m.give(b)
		<-m.slots
	}, nil
}

func (m *memory) take(n int64) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used++
	if last := len(m.free) - 1; last >= 0 && n <= m.size {
		b := m.free[last]
		m.free = m.free[:last]
		return b
	}
	return make([]byte, max(n, m.size))
}

func (m *memory) give(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.used--
	switch {
	case m.used == 0:
		m.free = nil
	case int64(len(b)) == m.size: // those for the largest objects are not kept
		m.free = append(m.free, b)
	}
}

// newBody is a body that the library does not read again by itself.
func newBody(b []byte) io.Reader { return struct{ io.Reader }{bytes.NewReader(b)} }
