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
	own    map[string]place // segments that are objects of their own, as they were found
	joined map[string]place
	asked  time.Time
}

// mostPlaces bounds how many are remembered.
const mostPlaces = 100_000

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
	if p, ok := c.places.known(name); ok {
		return p, nil
	}
	info, err := c.Store.Stat(ctx, warc.Key(name))
	if err == nil {
		return c.places.found(name, place{key: warc.Key(name), bytes: info.Size}), nil
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

func (p *places) known(name string) (place, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x, ok := p.own[name]
	return x, ok
}

func (p *places) found(name string, at place) place {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own == nil || len(p.own) >= mostPlaces {
		p.own = map[string]place{}
	}
	p.own[name] = at
	return at
}

// lost forgets where a segment was: it was joined with others, perhaps.
func (p *places) lost(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.own, name)
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
	for again := false; ; again = true {
		r, size, err := c.openAt(ctx, name, off, n)
		// It may have been joined, or have become longer: it is looked for once more.
		if class := salvor.ClassOf(err); err == nil || again || class != salvor.NotFound && class != salvor.Invalid {
			return r, size, err
		}
		c.places.lost(name)
	}
}

func (c *Collection) openAt(ctx context.Context, name string, off, n int64) (io.ReadCloser, int64, error) {
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
