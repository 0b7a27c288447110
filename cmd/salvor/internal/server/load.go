package server

import (
	"context"
	"runtime"
	"sync"
	"syscall"
	"time"

	"salvor/api"
	"salvor/cmd/salvor/internal/fleet"
)

const (
	loadEvery = time.Second
	// loadSpan is over how long the load is averaged: the planner is to see within
	// seconds that workers are busy.
	loadSpan = 3 * time.Second
)

// gauge follows what a worker uses of what it has.
type gauge struct {
	mu       sync.Mutex
	load     api.Load
	weight   float64 // of what was averaged until now; 1: a whole span
	begun    bool
	at       time.Time
	cpu      time.Duration
	requests int64
	received int64
}

// sample takes what the process and its fleet did until now.
func (g *gauge) sample(now time.Time, cpu time.Duration, u fleet.Use) {
	g.mu.Lock()
	defer g.mu.Unlock()
	span := now.Sub(g.at)
	if g.begun && span <= 0 {
		return
	}
	if g.begun {
		keep := max(0, 1-span.Seconds()/loadSpan.Seconds())
		weight := g.weight*keep + 1 - keep
		mix := func(old *float64, new float64) { *old = (*old*g.weight*keep + new*(1-keep)) / weight }
		defer func() { g.weight = weight }()
		rate := float64(u.Requests-g.requests) / span.Seconds()
		mix(&g.load.Rate, rate)
		mix(&g.load.Connections, share(float64(u.Busy), float64(u.Connections)))
		mix(&g.load.CPU, share((cpu-g.cpu).Seconds(), span.Seconds()*float64(runtime.GOMAXPROCS(0))))
		mix(&g.load.Requests, share(rate, u.MaxRate))
		mix(&g.load.Egress, share(float64(u.Received-g.received)/span.Seconds(), float64(u.MaxEgress)))
		g.load.Spool = share(float64(u.Spooled), float64(u.SpoolMax))
	}
	g.begun, g.at, g.cpu, g.requests, g.received = true, now, cpu, u.Requests, u.Received
}

func share(part, whole float64) float64 {
	if whole <= 0 {
		return 0
	}
	return min(max(part/whole, 0), 1)
}

func (g *gauge) read() *api.Load {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := g.load
	return &l
}

// loadLoop keeps the node's load up to date.
func (n *node) loadLoop(ctx context.Context) {
	for wait(ctx, loadEvery) {
		if f := n.workers(); f != nil {
			n.gauge.sample(time.Now(), cpuTime(), f.Use())
		}
	}
}

// cpuTime is what the process used of the processors so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
