// Package drill rehearses a rescue on one machine without any network: synthetic
// platforms on loopback addresses, a real cluster of this program's processes,
// and a score.
//
// It is for salvor drill. It guarantees that what it calls saved lies in the
// cluster's Store with the bytes the platform had, that every policy of a drill
// meets the same platforms under the same conditions, and that nothing it
// started is left when it returns.
package drill

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/drill/platform"
	"salvor/storage/durable"
)

// Options say how a scenario is played.
type Options struct {
	Binary  string // this program; "" is os.Executable
	Dir     string // where the nodes live; "" a temporary directory, removed at the end
	Workers int
	// Tell hears how far a drill is, about every second; may be nil.
	Tell func(Progress)
}

// Progress is how far a drill is.
type Progress struct {
	Policy string
	Phase  string // starting, running, storing
	At     time.Duration
	Served int     // pages that the platforms gave out whole
	Value  float64 // of these
}

// Result is what came of a scenario under one policy.
type Result struct {
	Policy string        `json:"policy"`
	Value  float64       `json:"value"` // of all there was
	Saved  float64       `json:"value_saved"`
	Pages  int           `json:"pages_saved"`
	Took   time.Duration `json:"took"` // until nothing was fetched any more
	Sites  []SiteScore   `json:"sites"`
	Curve  []Point       `json:"curve"`
}

// Run plays a scenario under one policy.
func Run(ctx context.Context, s Scenario, p Policy, o Options) (res Result, err error) {
	if err := s.Check(); err != nil {
		return res, err
	}
	if len(s.Lost) >= o.Workers {
		return res, salvor.Errorf(salvor.Invalid, "scenario %s loses %d of %d workers", s.Name, len(s.Lost), o.Workers).WithHint("play it with more: --workers %d", len(s.Lost)+1)
	}
	if o.Binary == "" {
		if o.Binary, err = os.Executable(); err != nil {
			return res, salvor.Errorf(salvor.Internal, "find this program: %w", err)
		}
	}
	dir, remove, err := workDir(o.Dir, p.Name)
	if err != nil {
		return res, err
	}
	defer func() {
		if ctx.Err() != nil { // whatever came of it
			err = stopped(ctx)
		}
		err = errors.Join(err, remove())
	}()
	d := &drill{s: s, p: p, o: o, dir: dir}
	connections, latency := slots(s.Capacity, o.Workers)
	specs := s.specs()
	for i := range specs {
		specs[i].Manner.Latency = latency
	}
	if d.set, err = platform.Start(ctx, "127.73.1", s.Seed, specs); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, d.set.Close()) }()
	return d.run(ctx, connections)
}

// workDir is a directory of a run, and what removes it.
func workDir(dir, policy string) (path string, remove func() error, err error) {
	if dir != "" {
		path = filepath.Join(dir, policy)
		return path, func() error { return nil }, durable.MkdirAll(path)
	}
	if path, err = os.MkdirTemp("", "salvor-drill-"); err != nil {
		return "", nil, durable.Error(err, "make a directory in", os.TempDir())
	}
	return path, func() error { return os.RemoveAll(path) }, nil
}

const (
	// leastSlots lets the workers have all platforms of a usual drill under way.
	leastSlots = 8
	// quickest is the least time that an answer takes: below it, what the machine
	// does beside would decide how much is fetched.
	quickest = 100 * time.Millisecond
	// beside is what a worker needs for a request beside the answer; measured.
	beside = 15 * time.Millisecond
)

// slots are the connections of each worker and how long each answer takes, so
// that all workers together make so many requests a second and no more.
func slots(capacity float64, workers int) (connections int, latency time.Duration) {
	connections = max(leastSlots, int(capacity*quickest.Seconds()/float64(workers))+1)
	return connections, time.Duration(float64(workers*connections)/capacity*float64(time.Second)) - beside
}

// drill is one run.
type drill struct {
	s   Scenario
	p   Policy
	o   Options
	dir string
	set *platform.Set
	c   *cluster
}

func (d *drill) run(ctx context.Context, connections int) (res Result, err error) {
	d.tell("starting")
	args := append([]string{"--connections", strconv.Itoa(connections)}, d.p.Args...)
	if d.c, err = startCluster(ctx, d.o.Binary, d.dir, "127.73.0.1", d.o.Workers, args); err != nil {
		return res, err
	}
	defer d.c.kill()
	r, err := newRescue(ctx, d.c.Cluster, &d.s, d.set, d.settings(connections))
	if err != nil {
		return res, err
	}
	if err := d.begin(ctx, r); err != nil {
		return res, err
	}
	if err := d.play(ctx, r); err != nil {
		return res, err
	}
	took := d.set.Now()
	d.tell("storing")
	if err := d.c.stop(); err != nil {
		return res, err
	}
	return d.result(took)
}

// begin waits for the workers, seeds what is known from the beginning, and starts the
// clock with the first request: how soon a worker hears of a new crawl is not what is
// drilled.
func (d *drill) begin(ctx context.Context, r *rescue) error {
	if err := d.manned(ctx, r); err != nil {
		return err
	}
	if _, err := r.hear(ctx, 0); err != nil {
		return err
	}
	if r.known() > 0 {
		select {
		case <-d.set.First():
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(startWithin):
			return salvor.Errorf(salvor.Internal, "the workers ask for nothing: %w", errors.Join(d.c.failed(), errors.New(d.c.nodes[0].lastWords())))
		}
	}
	d.set.Begin(time.Now())
	return nil
}

// manned returns when all workers are at work on the crawl.
func (d *drill) manned(ctx context.Context, r *rescue) error {
	for end := time.Now().Add(startWithin); ; {
		st, err := d.c.Status(ctx)
		if err == nil && working(st, r.crawl.ID) >= d.o.Workers {
			return nil
		}
		if time.Now().After(end) {
			return salvor.Errorf(salvor.Internal, "not all workers are at work on the crawl: %w", errors.Join(err, d.c.failed(), errors.New(d.c.nodes[0].lastWords())))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(mannedEvery):
		}
	}
}

// mannedEvery is how often the workers are looked at before the clock starts.
const mannedEvery = 200 * time.Millisecond

// working is how many workers say that they work on a crawl.
func working(st api.Status, id salvor.CrawlID) (n int) {
	for _, node := range st.Nodes {
		for _, k := range node.Work {
			if k.Crawl == id && k.State != "ended" {
				n++
			}
		}
	}
	return n
}

func stopped(ctx context.Context) error {
	return salvor.Errorf(salvor.Interrupted, "the drill was stopped: %w", ctx.Err())
}

// play lets time pass until the scenario is over, or nothing is left to save.
func (d *drill) play(ctx context.Context, r *rescue) error {
	g := &governor{policy: d.p, capacity: d.s.Capacity, c: r.c, crawl: r.crawl.ID, sites: r.sites, meters: map[string]*meter{}}
	tick := time.NewTicker(governEvery)
	defer tick.Stop()
	lost := 0
	for at := d.set.Now(); at < d.s.Length; at = d.set.Now() {
		for ; lost < len(d.s.Lost) && at >= d.s.Lost[lost]; lost++ {
			d.c.lose()
			g.capacity -= d.s.Capacity / float64(d.o.Workers)
		}
		next, err := r.hear(ctx, at)
		if err == nil {
			err = r.record(ctx, at)
		}
		if err == nil {
			err = g.govern(ctx, at)
		}
		if err = errors.Join(err, d.c.failed()); err != nil {
			return err
		}
		d.tell("running")
		if over, err := r.over(ctx); err != nil || over && next == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		case <-time.After(d.s.Length - at):
		}
	}
	return nil
}

func (d *drill) result(took time.Duration) (Result, error) {
	a, err := readArchive(d.c.store())
	if err != nil {
		return Result{}, err
	}
	res := Result{Policy: d.p.Name, Took: took}
	res.Sites, res.Curve = score(a, &d.s, d.set)
	for _, x := range res.Sites {
		res.Value += x.Value
		res.Saved += x.Got
		res.Pages += x.Saved
	}
	return res, nil
}

func (d *drill) tell(phase string) {
	if d.o.Tell == nil {
		return
	}
	p := Progress{Policy: d.p.Name, Phase: phase, At: d.set.Now()}
	for _, x := range d.set.Sites {
		n, v := x.Progress()
		p.Served += n
		p.Value += v
	}
	d.o.Tell(p)
}
