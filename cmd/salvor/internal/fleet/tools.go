package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/crawler"
	"salvor/crawler/crawllog"
	"salvor/crawler/fetch"
	"salvor/storage"
	"salvor/storage/durable"
	"salvor/warc"
)

const (
	segmentsDir = "segments"
	bodiesDir   = "bodies"
	logFile     = "crawl.log"

	// bodiesMemory is what bodies of one crawl take of memory while they come;
	// the others go through the disk. Many crawls may run here.
	bodiesMemory = 64 << 20
)

// tools are all that one worker needs, open.
type tools struct {
	crew   *crew
	spec   outfit.Spec // as they were opened with
	store  storage.Store
	client *fetch.Client
	known  *fetch.LastKnowns
	log    *crawllog.Writer
	mark   logMark
	pool   *warc.Pool
	worker *crawler.Worker

	reading sync.WaitGroup // of the table of originals
	readNo  context.CancelFunc
}

// open opens all, and mends what an earlier run left. On an error nothing is
// left open.
func (c *crew) open(ctx context.Context) (_ *tools, err error) {
	c.mu.Lock()
	crawl, spec, s, bad, share := c.crawl, c.spec, c.scope, c.invalid, c.share
	c.mu.Unlock()
	if bad != nil {
		return nil, bad
	}
	t := &tools{crew: c, spec: spec, store: storage.Under(c.f.c.Store, outfit.Prefix(c.name))}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.close(ctx))
		}
	}()
	for _, dir := range []string{c.dir, filepath.Join(c.dir, segmentsDir), filepath.Join(c.dir, bodiesDir)} {
		if err := durable.MkdirAll(dir); err != nil {
			return nil, err
		}
	}
	if t.client, err = fetch.New(t.fetchConfig()); err != nil {
		return nil, err
	}
	if err := t.openLog(); err != nil {
		return nil, err
	}
	restored, err := t.takeOver(ctx, crawl)
	if err != nil {
		return nil, err
	}
	var rec warc.Recovery
	if t.pool, rec, err = warc.Open(ctx, t.poolConfig()); err != nil {
		return nil, err
	}
	for _, m := range rec.Segments {
		if m.Cut > 0 || m.Lost > 0 {
			c.tell("segment_mended", "", "", fmt.Sprintf("mended %s: %d bytes of incomplete records cut off", m.Name, m.Cut), false)
		}
	}
	w := outfit.WorkerConfig(&spec.Settings)
	w.Coordinator, w.Crawl, w.Name, w.Fetch, w.Pool, w.Recovery = c.f.c.Coordinator, crawl, c.worker(), t.client, t.pool, rec
	w.Originals = outfit.NewOriginals()
	w.Log, w.LogOffset, w.Logger, w.Scope, w.Connections = t.log, t.mark.Offset, c.f.c.Logger, s, share
	w.Throttle = c.f.all
	w.SeedMoved, w.ScopeBehind = c.seedMoved, c.f.lookSoon
	w.Recovered = c.recovered
	w.Notice = func(code, host, url, text string) { c.tell(code, host, url, text, false) }
	// A coordinator that was brought back may not know what it acknowledged, and
	// does not say so: all links of what is reported now are sent again.
	w.Restored = restored || !c.f.c.Direct
	w.Hold = crawler.Hold{On: !c.f.c.Direct, Room: c.f.room.left, Idle: c.f.c.idle}
	t.worker = crawler.New(w)
	t.readOriginals(w)
	return t, nil
}

// worker is the worker's persistent id: a session is one crawl's.
func (c *crew) worker() string { return fmt.Sprintf("%s/%d", c.f.c.Node, c.id) }

func (t *tools) fetchConfig() fetch.Config {
	c := outfit.FetchConfig(&t.spec.Settings, t.spec.Seeds, filepath.Join(t.crew.dir, bodiesDir))
	c.Connections = t.crew.f.c.Connections // the worker keeps to its share
	c.Shared = t.crew.f.line
	c.SpoolMemory = bodiesMemory
	t.known = fetch.NewLastKnowns()
	t.known.Set(t.spec.LastKnown())
	c.Resolver = t.known
	return c
}

func (t *tools) poolConfig() warc.PoolConfig {
	f := &t.crew.f.c
	c := outfit.PoolConfig(&t.spec.Settings, !f.Direct)
	c.Dir, c.Store, c.FS = filepath.Join(t.crew.dir, segmentsDir), t.store, f.fs
	// Two crawls may share a prefix and draw one serial in one millisecond, but
	// the names of all segments of a cluster differ.
	c.Node = fmt.Sprintf("%s_%d", f.Node, t.crew.id)
	c.Info = t.warcinfo
	c.OpenSegment = func(ctx context.Context, name string) (salvor.SegmentID, error) {
		return f.Coordinator.OpenSegment(ctx, api.Call{}, name)
	}
	report := func(ctx context.Context, s api.Segment) error {
		if s.Object != "" {
			s.Object = outfit.Prefix(t.crew.name) + "/" + s.Object
		}
		return f.Coordinator.SetSegment(ctx, s)
	}
	c.OnSealed, c.OnStored, c.OnError = report, report, t.crew.segmentTrouble
	return c
}

// warcinfo is the first record of a segment.
func (t *tools) warcinfo(string) warc.Warcinfo {
	settings, _ := json.Marshal(t.spec.Settings) // what was read from JSON can be written
	return outfit.Warcinfo(&t.spec.Settings, settings, t.spec.Seeds, t.crew.f.c.Version)
}

// segmentTrouble tells of the first of several errors: a Store that is away
// fails for all segments that wait.
func (c *crew) segmentTrouble(err error) {
	text, more, _ := strings.Cut(err.Error(), "\n")
	if more != "" {
		text += fmt.Sprintf(" (and %d more)", strings.Count(more, "\n")+1)
	}
	c.trouble(err)
	if salvor.ClassOf(err) == salvor.Conflict {
		c.refuse(text)
	}
	c.tell("segment", "", "", text, true)
}

// refuse notes that the Store has another segment of the same name: two nodes sealed
// it, of which one is a copy of the other. It is tried again all the time, and told
// as long as it fails.
func (c *crew) refuse(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused, c.refusedAt = text, time.Now()
}

// refusedFor is longer than the pool pauses between two attempts.
const refusedFor = 2 * time.Minute

// refusal is a segment that cannot be stored, and why; c.mu is held.
func (c *crew) refusal() string {
	if time.Since(c.refusedAt) > refusedFor {
		return ""
	}
	return c.refused
}

// trouble notes what went wrong, and did not end the worker.
func (c *crew) trouble(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.lastAt = err, time.Now()
}

// originalsFor is how long the table of originals may take to read.
const originalsFor = 10 * time.Minute

// readOriginals fills the table of what revisits may point at while the worker
// works already. A Store that cannot be listed gives none: equal payloads are
// stored again then.
func (t *tools) readOriginals(w crawler.Config) {
	ctx, cancel := context.WithTimeout(context.Background(), originalsFor)
	t.readNo = cancel
	t.reading.Go(func() {
		if err := outfit.LoadOriginals(ctx, w.Originals, t.store, nil); err != nil && ctx.Err() == nil {
			t.crew.f.c.Logger.Info("payloads of earlier runs are not known", "crawl", t.crew.name, "error", err)
		}
	})
}

// close lets go of all. What was captured is durable then.
func (t *tools) close(ctx context.Context) (err error) {
	ctx = context.WithoutCancel(ctx)
	if t.readNo != nil {
		t.readNo()
		t.reading.Wait()
	}
	if t.pool != nil {
		err = errors.Join(err, t.pool.Close(ctx))
	}
	if t.client != nil {
		err = errors.Join(err, t.client.Close())
	}
	if t.log != nil {
		err = errors.Join(err, t.log.Close())
	}
	return errors.Join(err, durable.Error(os.RemoveAll(filepath.Join(t.crew.dir, bodiesDir)), "remove", bodiesDir))
}
