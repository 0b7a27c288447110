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
	"salvor/cmd/salvor/internal/outfit"
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
		Ceiling: s.Pace(), Start: outfit.StartPace(s), Tries: uint16(s.Tries), Created: time.Now().UnixMilli(),
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
	values := r.valuePrint()
	r.memory.Unranked = r.memory.Scope != "" && (r.memory.Unranked || values != r.memory.Values)
	r.crawl = want
	if err := r.node.SetCrawl(ctx, want); err != nil {
		return err
	}
	r.memory.Scope, r.memory.Values = print, values
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
	r.client, err = fetch.New(outfit.FetchConfig(&r.job.Settings, urlsOf(r.job.Seeds), spool))
	return err
}

// openPool mends what a crash left open and reads which payloads are known.
func (r *rescue) openPool(ctx context.Context) (err error) {
	r.show(progress.Mending)
	c := outfit.PoolConfig(&r.job.Settings, r.elsewhere())
	c.Dir, c.Store, c.Node, c.Info = r.job.Dir.Spool("segments"), r.store, "local", r.warcinfo
	c.OpenSegment = func(ctx context.Context, name string) (salvor.SegmentID, error) {
		return r.node.OpenSegment(ctx, api.Call{}, name)
	}
	c.OnSealed, c.OnStored, c.OnError = r.node.SetSegment, r.node.SetSegment, r.segmentTrouble
	if r.elsewhere() {
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

func (r *rescue) openWorker(ctx context.Context) error {
	originals, err := r.originals(ctx)
	if err != nil {
		return err
	}
	c := outfit.WorkerConfig(&r.job.Settings)
	c.Coordinator, c.Crawl, c.Name, c.Fetch, c.Pool = r.node, r.crawl, "local", r.client, r.pool
	c.Recovery, c.Restored, c.Originals = r.recovery, r.elsewhere(), originals
	c.Log, c.LogOffset, c.Logger = r.log, r.memory.LogOffset, r.job.Logger
	c.Scope, c.SeedMoved, c.Notice = r.scope, r.seedMoved, r.tell
	if r.elsewhere() {
		c.Hold = crawler.Hold{On: true, MaxSpool: r.job.Settings.SpoolMax, Room: r.spoolRoom}
	}
	r.worker = crawler.New(c)
	return nil
}

// originals are the payloads that revisits may point at: those of the CDXJ
// files beside stored segments. While a Store elsewhere is away there are none:
// equal payloads are stored again then.
func (r *rescue) originals(ctx context.Context) (*cdx.Originals, error) {
	o := outfit.NewOriginals()
	if r.away {
		return o, nil
	}
	err := outfit.LoadOriginals(ctx, o, r.store, r.whole)
	if r.elsewhere() && salvor.ClassOf(err) == salvor.Unavailable {
		return o, nil
	}
	return o, err
}
