package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// samples are a page of metrics, by name with labels.
type samples map[string]float64

// scrape reads a node's metrics.
func scrape(ctx context.Context, addr string) (samples, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	return parseSamples(string(b)), nil
}

// parseSamples reads the text format of Prometheus as far as we need it.
func parseSamples(text string) samples {
	s := samples{}
	for line := range strings.Lines(text) {
		i := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		if i < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(strings.TrimSpace(line[i:]), 64); err == nil {
			s[line[:i]] = v
		}
	}
	return s
}

// sum adds up a metric over its labels.
func (s samples) sum(name string) (sum float64) {
	for k, v := range s {
		if k == name || strings.HasPrefix(k, name+"{") {
			sum += v
		}
	}
	return sum
}

// logMeter counts the entries that a node applies and the bytes by which its
// logs grow. The gauge of the bytes falls at each snapshot, so it is looked at
// often, and what came between the last look and a snapshot is not counted: at
// most lookEvery of 60 s, or of the time in which 64 MB of log come.
type logMeter struct {
	addr  string
	first samples
	last  samples
	bytes float64
}

const lookEvery = time.Second

func startLogMeter(ctx context.Context, addr string) (*logMeter, error) {
	s, err := scrape(ctx, addr)
	return &logMeter{addr: addr, first: s, last: s}, err
}

func (m *logMeter) look(ctx context.Context) error {
	s, err := scrape(ctx, m.addr)
	if err != nil {
		return err
	}
	for k, v := range s {
		if !strings.HasPrefix(k, "salvor_group_log_bytes{") {
			continue
		}
		if was := m.last[k]; v >= was {
			m.bytes += v - was
		} else {
			m.bytes += v
		}
	}
	m.last = s
	return nil
}

// run looks until ctx ends.
func (m *logMeter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery):
		}
		_ = m.look(ctx) // the last look, which is checked, makes up for it
	}
}

// entries is how many were applied since the start.
func (m *logMeter) entries() float64 {
	const name = "salvor_group_applied_index"
	return m.last.sum(name) - m.first.sum(name)
}

// leads says whether the node leads all groups.
func (s samples) leads() bool {
	for k, v := range s {
		if strings.HasPrefix(k, "salvor_group_leader{") && v != 1 {
			return false
		}
	}
	return true
}

// await returns when a node's metrics satisfy a condition.
func await(ctx context.Context, addr string, ok func(samples) bool) error {
	for {
		s, err := scrape(ctx, addr)
		if err == nil && ok(s) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node with metrics on %s: %w", addr, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}
