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
	At time.Time `json:"at"`
}

// Carry has a fleet in a directory take over what was stored after a time.
func Carry(dir string, at time.Time) error {
	if err := durable.MkdirAll(dir); err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, carryFile), func(w io.Writer) error { return json.NewEncoder(w).Encode(carry{at}) })
}

// carried is when the state that this fleet goes on from was copied; false when
// it was not.
func (f *Fleet) carried() (at time.Time, ok bool, err error) {
	path := filepath.Join(f.c.Dir, carryFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return at, false, nil
	}
	if err != nil {
		return at, false, durable.Error(err, "read", path)
	}
	var c carry
	if err := json.Unmarshal(b, &c); err != nil {
		return at, false, salvor.Errorf(salvor.Internal, "read %s: %w", path, err)
	}
	return c.At, true, nil
}

// takeOver brings the journals of what was stored after the copy into the spool
// of a crawl that is older than the copy. restored says that there is a copy.
func (t *tools) takeOver(ctx context.Context, crawl api.Crawl) (restored bool, err error) {
	at, ok, err := t.crew.f.carried()
	if err != nil || !ok || crawl.Created > at.UnixMilli() {
		return false, err
	}
	done := filepath.Join(t.crew.dir, carriedFile)
	if _, err := os.Stat(done); err == nil {
		return true, nil
	}
	n, err := t.journals(ctx, at.Add(-carryMargin))
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
