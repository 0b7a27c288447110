package rescue

import (
	"context"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/progress"
)

// busiest is how many hosts a snapshot names.
const busiest = 20

// show tells the printer what the engine is at.
func (r *rescue) show(p progress.Phase) {
	r.phase = p
	r.shown.Phase = p
	r.job.Progress.Update(r.shown)
}

func (r *rescue) pausedNow(on bool) {
	switch {
	case on && r.phase == progress.Crawling:
		r.show(progress.Paused)
	case !on && r.phase == progress.Paused:
		r.show(progress.Crawling)
	}
}

// update hands the printer fresh counters.
func (r *rescue) update(ctx context.Context, t api.Totals) {
	r.shown = fromTotals(t)
	r.shown.Phase = r.phase
	if p, busy := r.chores.phase(); busy && r.phase == progress.Crawling {
		r.shown.Phase = p
	}
	if r.phase != progress.Ended {
		r.shown.Bytes = r.received(t)
	}
	r.shown.Errors = r.worker.Stats().Errors
	r.shown.Hosts = r.hosts(ctx)
	r.shown.Spool = r.pool.Spooled()
	r.shown.SpoolMax = r.spoolMax(r.shown.Spool)
	held, full := r.worker.Held()
	r.shown.Held, r.shown.Stopped = int64(held), full
	r.shown.Captures += r.shown.Held // they count as captured, not as saved
	if segs, err := r.node.Segments(ctx); err == nil {
		r.shown.Sealed = 0
		for _, s := range segs {
			if s.State >= api.SegmentSealed {
				r.shown.Sealed++
			}
		}
		r.shown.Open = len(segs) - r.shown.Sealed
	}
	r.job.Progress.Update(r.shown)
}

// received is how many bytes came in all runs, those of answers under way too:
// a film of an hour is progress before it is saved.
func (r *rescue) received(t api.Totals) int64 {
	return max(t.Bytes, r.before+r.client.Received())
}

// snapshot is the counters of now.
func (r *rescue) snapshot(ctx context.Context) progress.Snapshot {
	if t, err := r.node.Totals(ctx, r.crawl.ID); err == nil {
		r.update(ctx, t)
	}
	return r.shown
}

func fromTotals(t api.Totals) progress.Snapshot {
	o := t.Outcomes
	return progress.Snapshot{
		Saved: o[salvor.Saved], Revisits: o[salvor.Revisit], Gone: o[salvor.Gone], Refused: o[salvor.Refused],
		Failed: o[salvor.Failed], Excluded: o[salvor.Excluded], TooBig: o[salvor.TooBig],
		Known: t.Accepted, Queued: t.Queued, Waiting: t.Waiting, Leased: t.Leased,
		Captures: t.Captures, Bytes: t.Bytes,
	}
}

func (r *rescue) hosts(ctx context.Context) []progress.Host {
	hs, err := r.node.Hosts(ctx, r.crawl.ID, busiest)
	if err != nil {
		return nil
	}
	out := make([]progress.Host, 0, len(hs))
	for _, h := range hs {
		p := progress.Host{
			Name: h.Name, Open: h.Totals.Open(), Saved: h.Totals.Outcomes[salvor.Saved],
			Captures: h.Totals.Captures, Rate: allowed(h).PerSecond(), Why: h.Note,
		}
		if allowed(h) >= salvor.Unlimited {
			p.Rate = 0
		}
		if until := time.UnixMilli(h.Blocked); h.Blocked > 0 && until.After(time.Now()) && p.Why == "" {
			p.Why = "waits until " + until.Format("15:04:05")
		}
		out = append(out, p)
	}
	return out
}

// allowed is what a host may be asked now: a budget that stands above a new
// ceiling comes down only with the next answer.
func allowed(h api.Host) salvor.Pace {
	if h.Ceiling > 0 {
		return min(h.Rate, h.Ceiling)
	}
	return h.Rate
}

// notice tells the operator something.
func (r *rescue) notice(l progress.Level, code, host, text string) {
	r.job.Progress.Notice(progress.Notice{Level: l, At: time.Now(), Code: code, Host: host, Text: text})
}

// tell passes on what the worker noticed, and remembers which address a host
// was refused for: people must be told which to allow.
func (r *rescue) tell(code, host, url, text string) {
	if code == "refused_address" {
		if _, addr, ok := strings.Cut(text, "address "); ok {
			addr, _, _ = strings.Cut(addr, " ")
			r.mu.Lock()
			r.refused[host] = addr
			r.mu.Unlock()
		}
	}
	r.job.Progress.Notice(progress.Notice{Level: progress.Note, At: time.Now(), Code: code, Host: host, URL: url, Text: text})
}

func (r *rescue) refusedAt(host string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused[host]
}
