package progress

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Mode is how a Reporter prints.
type Mode uint8

const (
	Silent Mode = iota // only errors
	Live               // a block of lines that is painted anew, on a terminal
	Plain              // a line every 10 s and on events
	JSON               // docs/json.md
)

var interval = [...]time.Duration{Silent: time.Hour, Live: 250 * time.Millisecond, Plain: 10 * time.Second, JSON: time.Second}

const (
	maxNotices = 256             // waiting to be printed
	closeWait  = 2 * time.Second // for an output that does not take our last words
)

// Options say where and how to print.
type Options struct {
	Mode     Mode
	Out      io.Writer                  // progress and notices
	Size     func() (width, height int) // of the terminal; Live only
	Color    bool
	Verbose  bool
	Name     string // of the crawl, in the first line of the block
	Deadline time.Time
	Log      *slog.Logger // every notice goes there too; may be nil
}

// Reporter prints how a crawl goes. One goroutine writes; nobody waits for it.
type Reporter struct {
	o       Options
	model   model
	paint   painter
	phase   Phase
	notices chan Notice
	lost    atomic.Int64
	moved   chan io.Writer
	cancel  context.CancelFunc
	done    chan struct{}

	mu     sync.Mutex
	next   *update
	latest Snapshot
}

type update struct {
	at time.Time
	s  Snapshot
}

// Start begins to print.
func Start(o Options) *Reporter {
	ctx, cancel := context.WithCancel(context.Background())
	r := &Reporter{
		o: o, notices: make(chan Notice, maxNotices), moved: make(chan io.Writer, 1), cancel: cancel, done: make(chan struct{}),
		model: model{started: time.Now(), deadline: o.Deadline},
		paint: painter{out: o.Out, size: o.Size, color: o.Color},
	}
	go r.run(ctx)
	return r
}

// Update implements Sink.
func (r *Reporter) Update(s Snapshot) {
	u := &update{time.Now(), clone(s)}
	r.mu.Lock()
	r.next = u
	if s.Known >= r.latest.Known { // an engine that stops may have nothing left to count with
		r.latest = u.s
	}
	r.mu.Unlock()
}

// Last is the newest snapshot that was handed in.
func (r *Reporter) Last() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return clone(r.latest)
}

// Notice implements Sink.
func (r *Reporter) Notice(n Notice) {
	if n.At.IsZero() {
		n.At = time.Now()
	}
	select {
	case r.notices <- n:
	default:
		r.lost.Add(1)
	}
}

// Move goes on with plain lines in w: the terminal is gone.
func (r *Reporter) Move(w io.Writer) {
	select {
	case r.moved <- w:
	default:
	}
}

// Close prints what is left, removes the live block and ends. An output that
// takes nothing any more (a stopped terminal) is given up after 2 s.
func (r *Reporter) Close() {
	r.cancel()
	select {
	case <-r.done:
	case <-time.After(closeWait):
	}
}

func (r *Reporter) run(ctx context.Context) {
	defer close(r.done)
	t := time.NewTicker(interval[r.o.Mode])
	defer t.Stop()
	soon := time.NewTicker(spacing)
	defer soon.Stop()
	for {
		select {
		case <-ctx.Done():
			r.last()
			return
		case w := <-r.moved:
			r.o.Mode, r.o.Out = Plain, w
			r.paint.shown = nil
			t.Reset(interval[Plain])
		case n := <-r.notices:
			r.tell(n)
		case <-soon.C:
			r.take()
		case now := <-t.C:
			if !r.take() {
				r.show(now)
			}
		}
	}
}

// last empties what waits.
func (r *Reporter) last() {
	for {
		select {
		case n := <-r.notices:
			r.tell(n)
			continue
		default:
		}
		break
	}
	r.take()
	switch r.o.Mode {
	case Live:
		r.write(r.paint.paint(nil, nil))
	case JSON:
		r.show(time.Now())
	}
}

// take feeds the newest snapshot to the model, and shows a new phase at once.
// It reports whether it did show it.
func (r *Reporter) take() (shown bool) {
	r.mu.Lock()
	u := r.next
	r.next = nil
	r.mu.Unlock()
	if u == nil {
		return false
	}
	r.model.feed(u.at, u.s)
	if u.s.Phase != r.phase {
		r.phase = u.s.Phase
		if shown = r.o.Mode != Live; shown {
			r.show(u.at)
		}
	}
	if n := r.lost.Swap(0); n > 0 {
		r.tell(Notice{Level: Note, At: u.at, Text: Counted(n, "more notice") + " not printed", Code: "notices_dropped"})
	}
	return shown
}

func (r *Reporter) show(now time.Time) {
	if r.model.first == nil && r.o.Mode != Live {
		return
	}
	v := r.model.view(now)
	switch r.o.Mode {
	case Live:
		w, h := r.o.Size()
		r.write(r.paint.paint(nil, frame(v, r.o.Name, w, h)))
	case Plain:
		r.print(stamp(now) + plain(v))
	case JSON:
		r.write(WriteJSON(r.o.Out, "progress", now, progressOf(v)))
	}
}

func (r *Reporter) tell(n Notice) {
	r.log(n)
	if n.Level == Info && !r.o.Verbose || r.o.Mode == Silent && n.Level < Error {
		return
	}
	switch r.o.Mode {
	case JSON:
		r.write(WriteJSON(r.o.Out, "notice", n.At, noticeOf(n)))
	case Live:
		r.write(r.paint.paint([]string{noticeLine(n, r.o.Color)}, r.paint.shown))
	case Plain:
		r.print(stamp(n.At) + noticeLine(n, false))
	case Silent:
		r.print("salvor: " + noticeLine(n, r.o.Color))
	}
}

func (r *Reporter) print(line string) {
	_, err := io.WriteString(r.o.Out, line+"\n")
	r.write(err)
}

// write goes silent when the output is gone: the crawl goes on.
func (r *Reporter) write(err error) {
	if err == nil {
		return
	}
	r.o.Mode = Silent
	r.o.Out = io.Discard
	if r.o.Log != nil {
		r.o.Log.Warn("progress output is gone", "err", err)
	}
}

func (r *Reporter) log(n Notice) {
	if r.o.Log == nil {
		return
	}
	level := [...]slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError}[min(n.Level, Error)]
	var attrs []slog.Attr
	for _, a := range [...]struct{ k, v string }{{"code", n.Code}, {"host", n.Host}, {"url", n.URL}, {"hint", n.Hint}} {
		if a.v != "" {
			attrs = append(attrs, slog.String(a.k, a.v))
		}
	}
	r.o.Log.LogAttrs(context.Background(), level, n.Text, attrs...)
}
