package fleet

// Use is what the fleet uses now of what it was given.
type Use struct {
	Requests    int64 // made so far
	Busy        int64 // exchanges under way
	Connections int   // that it may have
	MaxRate     float64
	Received    int64 // bytes so far; 0 where MaxEgress is
	MaxEgress   int64 // bytes a second; 0 no bound
	Spooled     int64 // bytes of segments that wait for the Store
	SpoolMax    int64
}

// Use of all crawls. It may be called at any time.
func (f *Fleet) Use() Use {
	u := Use{Requests: f.Counters().Requests, Connections: f.c.Connections, MaxRate: f.c.MaxRate, Received: f.line.Paid(), MaxEgress: f.line.Rate(), Spooled: f.spooled(), SpoolMax: f.c.SpoolMax}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.crews {
		u.Busy += c.busy()
	}
	return u
}

// busy is how many exchanges are under way.
func (c *crew) busy() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tools == nil {
		return 0
	}
	return c.tools.worker.Stats().Busy
}
