package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/storage/durable"
	"salvor/warc"
)

// A cluster that was brought back from its Store knows what it knew when its
// state was copied. What was stored since is in the Store, with its journals:
// the first node's fleet reports it again, so that nothing is fetched twice.

const (
	carryFile   = "carry.json" // in the fleet's directory
	carriedFile = "carried"    // in a crawl's: its journals were taken over
	// carryMargin before the copy lie the segments whose captures it may not
	// know as settled: the oldest open segment, and a Store that was away.
	carryMargin = 2 * time.Hour
)

type carry struct {
	At       time.Time `json:"at"`       // of the oldest copy
	Restored time.Time `json:"restored"` // when the cluster was brought back
}

// Carry has a fleet in a directory take over what was stored after a time.
func Carry(dir string, at time.Time) error {
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, carryFile), func(w io.Writer) error { return json.NewEncoder(w).Encode(carry{at, time.Now()}) })
}

// carried tells of the copy that this fleet goes on from; false when there is none.
func (f *Fleet) carried() (c carry, ok bool, err error) {
	path := filepath.Join(f.c.Dir, carryFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, false, nil
	}
	if err != nil {
		return c, false, durable.Error(err, "read", path)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, false, salvor.Errorf(salvor.Internal, "read %s: %w", path, err)
	}
	return c, true, nil
}

// owes says that a crawl, in a directory, was there before the cluster was brought
// back, and that its journals were not taken over yet.
func (f *Fleet) owes(crawl api.Crawl, dir string) bool {
	c, ok, err := f.carried()
	if err != nil || !ok || crawl.Created > c.Restored.UnixMilli() {
		return false
	}
	_, err = os.Stat(filepath.Join(dir, carriedFile))
	return errors.Is(err, os.ErrNotExist)
}

// recovered says that the crew's worker has reported what an earlier run left,
// and what was taken over.
func (c *crew) recovered() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.settled = true
}

// Caught reports whether all that was stored after the copy of the state is
// reported again, so that others may be let to work; at once where there is no
// copy. crawls are those that are running.
func (f *Fleet) Caught(crawls []salvor.CrawlID) (bool, error) {
	if _, ok, err := f.carried(); err != nil || !ok {
		return err == nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range crawls {
		c := f.crews[id]
		if c == nil {
			return false, nil
		}
		c.mu.Lock()
		settled := c.settled
		c.mu.Unlock()
		if !settled {
			return false, nil
		}
	}
	return true, nil
}

// takeOver brings the journals of what was stored after the copy into the spool
// of a crawl that is older than the restored cluster. One that is younger than the
// copy is not younger than every group's. restored says that there is a copy.
func (t *tools) takeOver(ctx context.Context, crawl api.Crawl) (restored bool, err error) {
	c, ok, err := t.crew.f.carried()
	if err != nil || !ok || crawl.Created > c.Restored.UnixMilli() {
		return false, err
	}
	done := filepath.Join(t.crew.dir, carriedFile)
	if _, err := os.Stat(done); err == nil {
		return true, nil
	}
	n, err := t.journals(ctx, c.At.Add(-carryMargin))
	if err != nil {
		return true, fmt.Errorf("take over what is in the store: %w", err)
	}
	if n > 0 {
		t.crew.tell("carried", "", "", fmt.Sprintf("%d segments in the store are newer than the state: what they hold is reported again", n), false)
	}
	return true, durable.WriteFile(done, func(io.Writer) error { return nil })
}

// journals fetches those stored after a time.
func (t *tools) journals(ctx context.Context, since time.Time) (n int, err error) {
	for info, err := range t.store.List(ctx, "journals/", "") {
		if err != nil {
			return n, err
		}
		if !strings.HasSuffix(info.Key, ".journal.gz") || info.Modified.Before(since) {
			continue
		}
		if err := t.adopt(ctx, info.Key); err != nil {
			return n, fmt.Errorf("%s: %w", info.Key, err)
		}
		n++
	}
	return n, nil
}

func (t *tools) adopt(ctx context.Context, key string) error {
	in, _, err := t.store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer in.Close()
	coord := t.crew.f.c.Coordinator
	return warc.Adopt(filepath.Join(t.crew.dir, segmentsDir), in, func(c warc.Carried) (salvor.SegmentID, error) {
		id, err := coord.OpenSegment(ctx, api.Call{}, c.Name)
		if err != nil {
			return 0, err
		}
		return id, coord.SetSegment(ctx, api.Segment{
			ID: id, Name: c.Name, Object: outfit.Prefix(t.crew.name) + "/" + warc.Key(c.Name),
			Bytes: c.Bytes, SHA256: c.SHA256, State: api.SegmentStored,
		})
	})
}
