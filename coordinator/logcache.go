package coordinator

import (
	"sync"

	"github.com/hashicorp/raft"
)

// logCache keeps the newest entries of a log in memory, up to mostCached bytes.
// The leader reads each entry once for every follower, and a follower to apply
// it, mostly at once after it was written. The log on the disk reads 64 KB for
// an entry, however small, and what it reads beyond the written end makes the
// next write dirty more of the kernel's page cache than was written. The zero
// value is empty.
type logCache struct {
	mu    sync.Mutex
	logs  []raft.Log // one after the other, without a gap
	bytes int
}

const (
	mostCached = 4 << 20
	// logOverhead is what an entry takes besides its data.
	logOverhead = 112
)

func sizeOf(l *raft.Log) int { return logOverhead + cap(l.Data) + cap(l.Extensions) }

// put takes entries that were written. Those before a gap, and the oldest above
// the limit, are forgotten.
func (c *logCache) put(logs []*raft.Log) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range logs {
		if n := len(c.logs); n > 0 && c.logs[n-1].Index+1 != l.Index {
			c.clear()
		}
		c.logs = append(c.logs, *l)
		c.bytes += sizeOf(l)
	}
	for c.bytes > mostCached {
		c.dropFirst()
	}
}

// get is the entry of an index, if it is here. Its bytes are shared: nobody
// changes them.
func (c *logCache) get(index uint64, to *raft.Log) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.logs) == 0 || index < c.logs[0].Index {
		return false
	}
	i := index - c.logs[0].Index
	if i >= uint64(len(c.logs)) {
		return false
	}
	*to = c.logs[i]
	return true
}

// cut forgets entries that are about to be deleted, at either end of the log.
func (c *logCache) cut(first, last uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := len(c.logs); n > 0 && c.logs[n-1].Index >= first && c.logs[n-1].Index <= last; n-- {
		c.bytes -= sizeOf(&c.logs[n-1])
		c.logs[n-1] = raft.Log{}
		c.logs = c.logs[:n-1]
	}
	for len(c.logs) > 0 && c.logs[0].Index >= first && c.logs[0].Index <= last {
		c.dropFirst()
	}
	if n := len(c.logs); n > 0 && first <= c.logs[n-1].Index && last >= c.logs[0].Index {
		c.clear() // from the middle: no log does this
	}
}

// dropFirst and clear are called with c.mu held.
func (c *logCache) dropFirst() {
	c.bytes -= sizeOf(&c.logs[0])
	c.logs[0] = raft.Log{}
	c.logs = c.logs[1:]
}

func (c *logCache) clear() { c.logs, c.bytes = nil, 0 }
