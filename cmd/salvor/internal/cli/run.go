package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/storage/durable"
)

// session is one run of the engine with all that listens and talks around it.
type session struct {
	*world
	asked    *asked
	plan     *plan
	dir      *archive.Dir
	logFile  *os.File
	log      *slog.Logger
	level    *slog.LevelVar
	reporter *progress.Reporter
	watcher  *control.Watcher
	orders   chan control.Change
	drain    chan struct{}
	drained  sync.Once
	begun    time.Time
}

// carryOut runs a plan on its locked directory, which it closes.
func (w *world) carryOut(ctx context.Context, a *asked, p *plan, d *archive.Dir) (err error) {
	defer func() { err = errors.Join(err, d.Close()) }()
	s := &session{world: w, asked: a, plan: p, dir: d, orders: make(chan control.Change), drain: make(chan struct{}), begun: w.Now()}
	if err := s.open(); err != nil {
		return err
	}
	defer s.logFile.Close()
	s.begin()
	res, err := s.run(ctx)
	s.reporter.Close()
	return s.end(res, err)
}

func (s *session) open() (err error) {
	s.logFile, err = os.OpenFile(s.dir.Log(), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return durable.Error(err, "open", s.dir.Log())
	}
	s.level = new(slog.LevelVar)
	if s.asked.verbose {
		s.level.Set(slog.LevelDebug)
	}
	s.log = slog.New(slog.NewTextHandler(s.logFile, &slog.HandlerOptions{Level: s.level}))
	s.watcher, err = control.Watch(s.dir.Control(), func(problem string) {
		s.notice(progress.Error, "control", problem, "see DIR/control/errors; docs/control.md has the form of each file")
	})
	if err != nil {
		return errors.Join(err, s.logFile.Close())
	}
	return nil
}

// begin says what starts, to people and to programs.
func (s *session) begin() {
	// A reader that goes away becomes an error of Write, from the first line on:
	// it must not end a crawl.
	signal.Ignore(syscall.SIGPIPE)
	p := s.plan
	o := progress.Options{Mode: s.mode(), Out: s.stderr, Size: s.size, Name: p.settings.Name, Verbose: s.asked.verbose, Deadline: p.settings.Deadline, Log: s.log}
	o.Color = o.Mode == progress.Live && s.env("NO_COLOR") == ""
	if o.Mode == progress.JSON {
		o.Out = s.stdout
		e := progress.StartEvent{Version: s.Version, Format: progress.JSONFormat, Dir: p.dir, Resumed: p.previous != nil, Round: p.round, Seeds: len(p.seeds), Settings: p.settings}
		if !p.settings.Deadline.IsZero() {
			e.Deadline = &p.settings.Deadline
		}
		// A reader that is gone is noticed with the first progress.
		_ = progress.WriteJSON(s.stdout, "start", s.begun, e)
	}
	s.log.Info("start", "version", s.Version, "dir", p.dir, "pid", os.Getpid(), "round", p.round, "resumed", p.previous != nil, "seeds", len(p.seeds), "settings", p.settings)
	s.reporter = progress.Start(o)
	if p.previous == nil {
		s.notice(progress.Note, "started", "saving into "+p.dir, "")
	} else {
		s.notice(progress.Note, "resumed", "resuming "+p.dir, "")
	}
	for _, c := range p.changes {
		s.notice(progress.Note, "changed", c, "")
	}
	for _, n := range p.notes {
		s.notice(progress.Note, "note", n, "")
	}
}

func (s *session) notice(l progress.Level, code, text, hint string) {
	if s.reporter == nil {
		s.log.Warn(text, "code", code)
		return
	}
	s.reporter.Notice(progress.Notice{Level: l, At: s.Now(), Text: text, Hint: hint, Code: code})
}

func (s *session) mode() progress.Mode {
	switch {
	case s.asked.json:
		return progress.JSON
	case s.asked.quiet:
		return progress.Silent
	case s.env("TERM") != "dumb" && isTerminal(s.stderr):
		return progress.Live
	}
	return progress.Plain
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// size is that of the terminal now; it may change at any time.
func (s *session) size() (width, height int) {
	if f, ok := s.stderr.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			return w, h
		}
	}
	return 80, 24
}

// run runs the engine, with the control directory and the signals as its
// reins. Everything it starts has ended when it returns.
func (s *session) run(ctx context.Context) (job.Result, error) {
	// Signals are heard until the engine has ended, also after a stop.
	listening, quit := context.WithCancel(context.WithoutCancel(ctx))
	ctx, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	defer quit()
	orders := s.watcher.State()
	wg.Go(func() { s.watcher.Run(listening) })
	wg.Go(func() { s.relay(listening) })
	signals, release := s.Signals()
	defer release()
	wg.Go(func() { s.listen(listening, signals, stop, release) })

	p := s.plan
	return s.Engine.Run(ctx, job.Job{
		Dir: s.dir, Settings: p.settings, Seeds: p.seeds, Resumed: p.previous != nil, Round: p.round, Again: p.again,
		Retry: s.asked.retry, Previous: p.previous,
		Orders: orders, Control: s.orders, Drain: s.drain, Progress: s.reporter, Logger: s.log, Version: s.Version, OpenStore: s.OpenStore,
	})
}

// relay tells and logs each change of DIR/control and hands it to the engine;
// while the engine is busy a newer state takes the place of an older one.
func (s *session) relay(ctx context.Context) {
	var next control.Change
	var out chan control.Change // nil while there is nothing to hand over
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-s.watcher.Changes():
			s.obey(c)
			next, out = c, s.orders
		case out <- next:
			out = nil
		}
	}
}

func (s *session) obey(c control.Change) {
	for _, what := range c.What {
		s.notice(progress.Note, "control", "control: "+what, "")
	}
	if err := s.dir.LogChange(s.Now(), c.What...); err != nil {
		s.notice(progress.Error, "control", err.Error(), salvor.HintOf(err))
	}
	if c.State.Stop {
		s.stopSoon()
	}
}

func (s *session) stopSoon() { s.drained.Do(func() { close(s.drain) }) }

// echo is how long a signal may come twice and mean once: timeout(1) signals
// its child and then the group its child is in.
const echo = 500 * time.Millisecond

// listen is what signals do: the first SIGINT or SIGTERM drains, the second
// stops at once, a third does what it does to any program. SIGHUP moves the
// lines into the log file.
func (s *session) listen(ctx context.Context, signals <-chan os.Signal, stop context.CancelFunc, release func()) {
	asked := 0
	var heard time.Time
	var free <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-free:
			release()
			return
		case sig := <-signals:
			if sig == syscall.SIGHUP {
				s.log.Info("hangup: going on with plain lines here")
				s.reporter.Move(s.logFile)
				continue
			}
			if free != nil || asked > 0 && time.Since(heard) < echo {
				continue
			}
			heard = time.Now() // not s.Now: it must move
			if asked++; asked == 1 {
				s.notice(progress.Note, "stopping", "stopping: finishing what is under way, sealing, reporting", "once more stops at once")
				s.stopSoon()
				continue
			}
			s.notice(progress.Note, "stopping", "stopping at once", "")
			stop()
			free = time.After(echo)
		}
	}
}
