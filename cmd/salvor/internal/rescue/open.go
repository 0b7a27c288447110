package rescue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/remote"
	"salvor/coordinator"
	"salvor/crawler"
	"salvor/crawler/canon"
	"salvor/crawler/crawllog"
	"salvor/crawler/fetch"
	"salvor/crawler/scope"
	"salvor/storage"
	"salvor/storage/file"
	"salvor/storage/mirror"
	"salvor/warc"
	"salvor/warc/cdx"
)

// rescue is one crawl's open archive. Its fields are set in the order in
// which open opens them and released in reverse by close.
type rescue struct {
	job      job.Job
	store    storage.Store
	claim    remote.Claim  // on a Store elsewhere
	away     bool          // it did not answer when this run began
	second   storage.Store // filled behind the first; nil: none
	copied   mirror.Done   // what the second holds; guarded by mu
	node     *coordinator.Group
	crawl    api.Crawl
	memory   memory // what the state directory remembers beside the frontier
	moves    *moves
	scope    *scope.Scope
	area     *scope.Scope // of the seeds alone
	chores   *chores
	log      *crawllog.Writer
	client   *fetch.Client
	pool     *warc.Pool
	recovery warc.Recovery
	worker   *crawler.Worker

	// mu guards memory, moves, scope and crawl once the worker runs. Its goroutines
	// move seeds, and chores remember what they did; all else that changes them is
	// done by the goroutine that watches.
	mu      sync.Mutex
	begun   time.Time
	phase   progress.Phase
	shown   progress.Snapshot
	rates   map[string]salvor.Pace
	refused map[string]string // address by host, for the remedy
	logMark int64             // crawl.log's length at the sample before
	detail  string
	before  int64 // bytes of earlier runs
	widened int   // how often the scope grew in this run

	unscoped    int // targets of seeds' redirects that are not in scope yet
	compiled    time.Time
	compileTook time.Duration
	missing     map[string]string // what is wrong with a stored segment, by its key
	unknown     int               // of these, whose URLs cannot be found out
}

// open opens or makes everything the job needs. Nothing is left open when it
// fails.
func open(ctx context.Context, j job.Job) (r *rescue, err error) {
	r = &rescue{job: j, begun: time.Now(), phase: progress.Starting, refused: map[string]string{}, chores: newChores()}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close(context.WithoutCancel(ctx), false))
		}
	}()
	r.show(progress.Starting)
	for _, step := range []func(context.Context) error{
		r.openStore, r.openNode, r.openCrawl, r.openCarried, r.checkStored, r.openLog, r.openClient, r.openPool, r.openWorker,
	} {
		if err := step(ctx); err != nil {
			return r, err
		}
	}
	return r, nil
}

// close lets go of everything; clean says that the coordinator may take its
// last snapshot.
func (r *rescue) close(ctx context.Context, clean bool) (err error) {
	if r.pool != nil {
		err = errors.Join(err, r.pool.Close(ctx))
	}
	if r.client != nil {
		err = errors.Join(err, r.client.Close())
	}
	if r.log != nil {
		err = errors.Join(err, r.log.Close())
	}
	if r.moves != nil {
		err = errors.Join(err, r.moves.close())
	}
	if r.node != nil && clean {
		err = errors.Join(err, r.node.Close(ctx))
	}
	return err
}

func (r *rescue) openStore(ctx context.Context) (err error) {
	if r.elsewhere() {
		return r.openRemote(ctx)
	}
	r.store, err = file.Open(r.job.Dir.Path())
	return err
}

func (r *rescue) openNode(ctx context.Context) (err error) {
	r.node, err = coordinator.Start(ctx, coordinator.Config{
		Dir: r.job.Dir.State("coordinator"), Logger: r.job.Logger,
	})
	return err
}

// openCrawl finds the round's crawl or creates it, and compiles its scope.
func (r *rescue) openCrawl(ctx context.Context) (err error) {
	if err := r.memory.load(r.job.Dir); err != nil {
		return err
	}
	if r.moves, err = openMoves(r.job.Dir, r.memory.Moved); err != nil {
		return err
	}
	r.memory.Moved = nil
	r.memory.Widened = r.memory.Widened || r.moves.widen(r.memory.Judged)
	r.memory.Runs = append(r.memory.Runs, span{Begin: r.begun, Seen: r.begun})
	s := &r.job.Settings
	c := api.Crawl{
		Name: roundName(r.job.Round), State: salvor.CrawlRunning, Canon: canon.Version, Scope: 1,
		Ceiling: s.Pace(), Start: startPace(s), Tries: uint16(s.Tries), Created: time.Now().UnixMilli(),
	}
	if c.Settings, err = json.Marshal(s); err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	if r.job.Round > 1 {
		c.Basis = salvor.CrawlID(r.job.Round - 1)
	}
	found, err := r.node.CreateCrawl(ctx, c)
	if err != nil {
		return err
	}
	was := r.memory.Excludes
	if !r.job.Orders.ExcludeUnread {
		r.memory.setExcludes(textsOf(r.job.Orders.Exclude))
	}
	if err := r.compile(); err != nil {
		return err
	}
	if err := r.tellEnded(without(was, r.memory.Excludes)); err != nil {
		return err
	}
	return r.adopt(ctx, found, c, !slices.Equal(was, r.memory.Excludes))
}

func roundName(n int) string { return fmt.Sprintf("round-%d", n) }

// startPace is what a host begins with: two requests a second, less where the
// ceiling is lower.
func startPace(s *job.Settings) salvor.Pace {
	if s.Pace() >= salvor.Unlimited {
		return salvor.Unlimited
	}
	return min(salvor.PerSecond(2), s.Pace())
}

// tellEnded says which live rules ended while nothing ran: nobody saw them go.
func (r *rescue) tellEnded(rules []string) error {
	var what []string
	for _, x := range rules {
		what = append(what, "exclude: removed "+x)
		r.notice(progress.Note, "control", "", "control: exclude: removed "+x)
	}
	return r.job.Dir.LogChange(time.Now(), what...)
}

// adopt brings a crawl that was found up to this run's settings. A scope that
// differs from the stored one, by its live rules too, gets a new version, so
// that everybody judges anew.
func (r *rescue) adopt(ctx context.Context, found, want api.Crawl, live bool) error {
	want.ID, want.HashKey, want.Created, want.Scope = found.ID, found.HashKey, found.Created, found.Scope
	if !r.job.Settings.Deadline.IsZero() {
		want.Deadline = r.job.Settings.Deadline.UnixMilli()
	}
	print := r.scopePrint()
	other := print != r.memory.Scope
	switch {
	case r.memory.Scope == "": // the first run: nothing is known yet
		r.memory.Narrowed, r.memory.Loosened = false, false
	case other || live:
		want.Scope++
		r.memory.Widened = r.memory.Widened || other
		r.memory.Narrowed = r.memory.Narrowed || other
	}
	r.crawl = want
	if err := r.node.SetCrawl(ctx, want); err != nil {
		return err
	}
	r.memory.Scope = print
	return r.memory.save(r.job.Dir)
}

func (r *rescue) openLog(context.Context) (err error) {
	r.log, err = crawllog.Open(r.job.Dir.Path("crawl.log"))
	return err
}

func (r *rescue) openClient(context.Context) (err error) {
	spool := r.job.Dir.Spool("bodies")
	if err := os.MkdirAll(spool, 0o755); err != nil {
		return err
	}
	r.client, err = fetch.New(fetchConfig(&r.job.Settings, r.job.Seeds, spool))
	return err
}

// openPool mends what a crash left open and reads which payloads are known.
func (r *rescue) openPool(ctx context.Context) (err error) {
	r.show(progress.Mending)
	s := &r.job.Settings
	c := warc.PoolConfig{
		Dir: r.job.Dir.Spool("segments"), Store: r.store, Writers: writers, MaxSize: s.WARCMaxSize,
		MaxAge: segmentAge, Prefix: filePrefix(s.WARCPrefix), Node: "local", Info: r.warcinfo,
		OpenSegment: func(ctx context.Context, name string) (salvor.SegmentID, error) {
			return r.node.OpenSegment(ctx, api.Call{}, name)
		},
		OnSealed: r.node.SetSegment, OnStored: r.node.SetSegment,
		OnError: r.segmentTrouble,
	}
	if r.elsewhere() {
		c.MaxSize, c.MaxAge = min(c.MaxSize, remoteSize), remoteAge
		c.MinSize, c.SmallAge, c.MaxExchanges, c.Journals = remoteSmall, remoteSmallAge, remoteExchanges, true
		c.Node = fmt.Sprintf("e%d", r.claim.Epoch)
	}
	r.pool, r.recovery, err = warc.Open(ctx, c)
	for _, m := range r.recovery.Segments {
		r.memory.Mended = append(r.memory.Mended, mended{Segment: m.Name, Cut: m.Cut, Records: int64(m.Entries)})
		if m.Cut > 0 || m.Lost > 0 {
			r.notice(progress.Note, "segment_mended", "", fmt.Sprintf("mended %s: %s of incomplete records cut off", m.Name, progress.Counted(m.Cut, "byte")))
		}
	}
	return err
}

// segmentTrouble tells of the first of several errors: a Store that is away
// fails for all segments that wait.
func (r *rescue) segmentTrouble(err error) {
	text, more, _ := strings.Cut(err.Error(), "\n")
	if more != "" {
		text += fmt.Sprintf(" (and %d more)", strings.Count(more, "\n")+1)
	}
	r.job.Progress.Notice(progress.Notice{Level: progress.Error, At: time.Now(), Code: "segment", Text: text, Hint: salvor.HintOf(err)})
}

// filePrefix keeps letters, digits, - and _ of a segment's prefix: a host's
// name has dots, and file names are taken apart at them.
func filePrefix(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z' {
			return r
		}
		return '-'
	}, s)
	if clean = strings.TrimLeft(clean, "-"); clean == "" {
		return "salvor"
	}
	return clean[:min(len(clean), 80)]
}

const (
	// writers is how many segments are open at once: two keep two cores busy.
	writers = 2
	// segmentAge seals a segment: what a lost disk can take with it that was not
	// copied elsewhere stays below an hour's work.
	segmentAge = time.Hour
)

func (r *rescue) openWorker(ctx context.Context) error {
	originals, err := r.originals(ctx)
	if err != nil {
		return err
	}
	s := &r.job.Settings
	r.worker = crawler.New(crawler.Config{
		Coordinator: r.node, Crawl: r.crawl, Name: "local", Fetch: r.client, Pool: r.pool,
		Recovery: r.recovery, Originals: originals, Log: r.log, LogOffset: r.memory.LogOffset, Scope: r.scope,
		Robots: robotsPolicy(s.Robots), RobotsAgents: []string{s.RobotsAgent},
		Tries: s.Tries, Connections: s.Connections, PerOrigin: s.PerOrigin, Outlinks: s.WARCOutlinks,
		CrawlDelay: !s.MaxRateGiven, Deadline: s.Deadline, Limit: s.LimitURLs, Logger: r.job.Logger,
		Hold: crawler.Hold{On: r.elsewhere(), MaxSpool: s.SpoolMax, Room: r.spoolRoom}, Restored: r.elsewhere(),
		SeedMoved: r.seedMoved, Notice: r.tell,
	})
	return nil
}

// originals are the payloads that revisits may point at: those of the CDXJ
// files beside stored segments, the newest last. While a Store elsewhere is away
// there are none: equal payloads are stored again then.
func (r *rescue) originals(ctx context.Context) (*cdx.Originals, error) {
	o := cdx.NewOriginals(originalsMax)
	if r.away {
		return o, nil
	}
	for info, err := range r.store.List(ctx, "warc/", "") {
		if err == nil && (!strings.HasSuffix(info.Key, ".cdxj") || !r.whole(info.Key)) {
			continue
		}
		if err == nil {
			err = r.loadOriginals(ctx, o, info.Key)
		}
		if r.elsewhere() && salvor.ClassOf(err) == salvor.Unavailable {
			return o, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read payload digests of %s: %w", info.Key, err)
		}
	}
	return o, nil
}

func (r *rescue) loadOriginals(ctx context.Context, o *cdx.Originals, key string) error {
	in, _, err := r.store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer in.Close()
	return o.Load(in)
}

// originalsMax bounds the table of payload digests: about 100 MB.
const originalsMax = 500_000

func robotsPolicy(s string) crawler.RobotsPolicy {
	switch s {
	case "strict":
		return crawler.RobotsStrict
	case "ignore":
		return crawler.RobotsIgnore
	}
	return crawler.RobotsObey
}
