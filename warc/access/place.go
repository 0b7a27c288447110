package access

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/warc"
)

// places knows where the bytes of a segment lie: in its own object, or, once it was
// joined with others, in a part of a larger one.
type places struct {
	mu     sync.Mutex
	joined map[string]place
	asked  time.Time
}

type place struct {
	key         string
	base, bytes int64
}

// rejoinedAfter is how old the list of joins may be before a segment that is not
// found is looked for in a new one.
const rejoinedAfter = 10 * time.Second

// segmentName refuses what is no name of a segment, a path say.
func segmentName(name string) error {
	if name == "" || strings.ContainsAny(name, "/\\") || name[0] == '.' || !strings.Contains(name, ".warc") {
		return salvor.Errorf(salvor.NotFound, "there is no WARC file %.80q", name)
	}
	return nil
}

// place is where the bytes of a segment lie, and how many there are.
func (c *Collection) place(ctx context.Context, name string) (place, error) {
	if err := segmentName(name); err != nil {
		return place{}, err
	}
	info, err := c.Store.Stat(ctx, warc.Key(name))
	if err == nil {
		return place{key: warc.Key(name), bytes: info.Size}, nil
	}
	if salvor.ClassOf(err) != salvor.NotFound {
		return place{}, err
	}
	c.places.mu.Lock()
	defer c.places.mu.Unlock()
	if p, ok := c.places.joined[name]; ok {
		return p, nil
	}
	if time.Since(c.places.asked) > rejoinedAfter {
		if err := c.readJoins(ctx); err != nil {
			return place{}, err
		}
	}
	if p, ok := c.places.joined[name]; ok {
		return p, nil
	}
	return place{}, salvor.Errorf(salvor.NotFound, "the WARC file %s is not in the store", name).
		WithHint("restore it from a copy; salvor verify lists what is missing")
}

// readJoins reads what was joined. c.places.mu is held.
func (c *Collection) readJoins(ctx context.Context) error {
	all := map[string]place{}
	for info, err := range c.Store.List(ctx, "joined/", "") {
		if err != nil {
			return err
		}
		j, err := warc.ReadJoined(ctx, c.Store, info.Key)
		if err != nil {
			return err
		}
		for _, m := range j.Members {
			all[m.Name] = place{j.Object, m.Base, m.Bytes}
		}
	}
	c.places.joined, c.places.asked = all, time.Now()
	return nil
}

// OpenSegment opens n bytes of a segment from an offset; a negative n means to its
// end. It says how long the segment is.
func (c *Collection) OpenSegment(ctx context.Context, name string, off, n int64) (io.ReadCloser, int64, error) {
	p, err := c.place(ctx, name)
	if err != nil {
		return nil, 0, err
	}
	if off < 0 || off > p.bytes {
		return nil, p.bytes, salvor.Errorf(salvor.Invalid, "%s has %d bytes, and byte %d was asked for", name, p.bytes, off)
	}
	if left := p.bytes - off; n < 0 || n > left {
		n = left
	}
	r, err := c.Store.Range(ctx, p.key, p.base+off, n)
	return r, p.bytes, err
}
