package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"salvor/storage/durable"
)

const (
	// poll is how often the directory is looked at. A file counts once two
	// looks in a row found it the same, so that a half-written one is not
	// obeyed: at most two polls after the last write, well below 2 s.
	poll = 500 * time.Millisecond
	// fresh is how young a file is whose content may change without a change
	// of its time or size: it is read at every look.
	fresh = 3 * time.Second

	maxFile      = 1 << 20
	maxRate      = 1e6
	maxPerOrigin = 256
	maxWhat      = 1000 // words for the log kept for a reader that is slow
	errorsFile   = "errors"
)

// names of the files, in the order in which they are read and reported.
var names = []string{"exclude", "rate", "per-origin", "pause", "stop"}

// Watcher follows one control directory.
type Watcher struct {
	dir   string
	files map[string]*file
	state State
	out   chan Change
	// report is called with each problem, once for each content that has it.
	report func(string)
	told   string // the errors file's present content
}

// Watch prepares a watcher and reads the directory once, so that the crawl
// starts with the orders that are there. A stop order is not obeyed then: it
// was meant for a run that has ended, and is removed.
func Watch(dir string, report func(string)) (*Watcher, error) {
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	w := newWatcher(dir, report)
	if err := w.dropStop(); err != nil {
		return nil, err
	}
	w.look(time.Now())
	w.look(time.Now())
	w.skipWordless()
	return w, nil
}

func newWatcher(dir string, report func(string)) *Watcher {
	w := &Watcher{dir: dir, files: make(map[string]*file), out: make(chan Change, 1), report: report}
	w.state.ExcludeUnread = true
	for _, n := range names {
		w.files[n] = new(file)
	}
	return w
}

// Look is what a run would find in a directory, and the problems it would tell.
// It changes nothing.
func Look(dir string) (s State, problems []string) {
	w := newWatcher(dir, func(p string) { problems = append(problems, p) })
	for range 2 {
		w.state, _ = w.read(time.Now())
	}
	return w.state, problems
}

// skipWordless takes back a change that changes nothing: State tells it too.
func (w *Watcher) skipWordless() {
	select {
	case c := <-w.out:
		if len(c.What) > 0 {
			w.out <- c
		}
	default:
	}
}

// State is what the files asked for when the directory was read first, until
// Run begins.
func (w *Watcher) State() State { return w.state }

// Changes holds at most the newest state: who is slow misses nothing that
// still holds.
func (w *Watcher) Changes() <-chan Change { return w.out }

// Run polls until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	t := time.NewTicker(poll)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			w.look(now)
		}
	}
}

// read is the state of now, and what is new in it.
func (w *Watcher) read(now time.Time) (next State, changed []string) {
	next = w.state
	for _, n := range names {
		f := w.files[n]
		settled, err := f.look(filepath.Join(w.dir, n), now)
		if err != nil {
			f.refuse(w, n, []problem{{0, err.Error()}})
			continue
		}
		if !settled {
			continue
		}
		if what, bad := apply(&next, n, f); len(bad) > 0 {
			f.refuse(w, n, bad)
		} else {
			f.bad = nil
			changed = append(changed, what...)
		}
	}
	return next, changed
}

// look reads what changed and publishes a new state when there is one.
func (w *Watcher) look(now time.Time) {
	next, changed := w.read(now)
	w.writeErrors()
	if len(changed) == 0 && next.ExcludeUnread == w.state.ExcludeUnread {
		return
	}
	if next.Stop && !w.state.Stop {
		w.obeyed()
	}
	w.state = next
	w.publish(Change{State: next, What: changed})
}

// refuse keeps what held before and tells the operator, once for a content.
func (f *file) refuse(w *Watcher, name string, bad []problem) {
	var texts []string
	for _, p := range bad {
		at := name
		if p.line > 0 {
			at = fmt.Sprintf("%s:%d", name, p.line)
		}
		texts = append(texts, fmt.Sprintf("control/%s: %s", at, p.text))
	}
	if slices.Equal(texts, f.bad) {
		return
	}
	f.bad = texts
	for _, t := range texts {
		w.report(t + "; the file changes nothing")
	}
}

// writeErrors keeps control/errors equal to the problems there are now.
func (w *Watcher) writeErrors() {
	var b strings.Builder
	for _, n := range names {
		for _, t := range w.files[n].bad {
			b.WriteString(t + "\n")
		}
	}
	if b.String() == w.told {
		return
	}
	w.told = b.String()
	path := filepath.Join(w.dir, errorsFile)
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if w.told != "" {
		err = durable.WriteFile(path, func(out io.Writer) error {
			_, err := io.WriteString(out, w.told)
			return err
		})
	}
	if err != nil {
		w.report(fmt.Sprintf("control/%s: %v", errorsFile, err))
	}
}

// publish replaces a change that nobody took yet: the states are whole, only
// the words have to be joined.
func (w *Watcher) publish(c Change) {
	select {
	case old := <-w.out:
		c.What = append(old.What, c.What...)
		c.What = c.What[max(0, len(c.What)-maxWhat):]
	default:
	}
	w.out <- c
}

// obeyed removes the stop order, so that a resume goes on.
func (w *Watcher) obeyed() {
	if err := w.dropStop(); err != nil {
		w.report(fmt.Sprintf("control/stop: %v", err))
	}
}

func (w *Watcher) dropStop() error {
	path := filepath.Join(w.dir, "stop")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return durable.Error(err, "remove", path)
	}
	return nil
}
