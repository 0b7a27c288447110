package rescue

import (
	"context"
	"time"

	"salvor/api"
	"salvor/cmd/salvor/internal/job"
)

// count sums up the archive's segments.
func (r *rescue) count(ctx context.Context, res *job.Result) error {
	segs, err := r.node.Segments(ctx)
	for _, s := range segs {
		if s.State >= api.SegmentSealed {
			res.Segments++
			res.Bytes += s.Bytes
		}
	}
	return err
}

// maxSamples bounds the report's plot; when it is full every other one goes.
const maxSamples = 2000

// addSample remembers the counters, durably: the plot and the times of a run
// that is killed must not be lost.
func (r *rescue) addSample(t api.Totals) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeSample(t.Captures, t.Bytes)
	r.memory.LogOffset = r.worker.LogMark(r.logMark) // the mark before last: what it covers was reported
	r.logMark = r.log.Offset()
	return r.memory.save(r.job.Dir)
}

func (r *rescue) takeSample(urls, bytes int64) {
	m := &r.memory
	if len(m.Samples) >= maxSamples {
		kept := m.Samples[:0]
		for i := 0; i < len(m.Samples); i += 2 {
			kept = append(kept, m.Samples[i])
		}
		m.Samples = kept
	}
	m.Samples = append(m.Samples, sample{At: time.Now(), URLs: urls, Bytes: bytes})
	m.Runs[len(m.Runs)-1].Seen = time.Now()
}

// stoppedNow remembers where a run ended that was stopped at once: the next
// report plots it. What the counters said last must do, and the log counts as
// reported no further than before.
func (r *rescue) stoppedNow() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeSample(r.shown.Captures, r.shown.Bytes)
	run := &r.memory.Runs[len(r.memory.Runs)-1]
	run.End, run.Why = time.Now(), string(job.Interrupted)
	return r.memory.save(r.job.Dir)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
