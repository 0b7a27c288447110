package crawler

import (
	"slices"
	"time"

	"salvor"
	"salvor/api"
)

// feedback is how a host answered since the last report.
type feedback struct {
	requests, errors, throttled int64
	latencies                   []time.Duration // at most maxLatencies, the newest
	retryAfter                  int64
	crawlDelay                  time.Duration
	limited, slowed             bool
}

const maxLatencies = 64

func (f *feedback) empty() bool {
	return f.requests == 0 && f.errors == 0 && f.throttled == 0 && f.retryAfter == 0 && f.crawlDelay == 0
}

func (f *feedback) latency(d time.Duration) {
	if len(f.latencies) < maxLatencies {
		f.latencies = append(f.latencies, d)
		return
	}
	f.latencies[f.requests%maxLatencies] = d
}

func (f *feedback) median() time.Duration {
	if len(f.latencies) == 0 {
		return 0
	}
	slices.Sort(f.latencies)
	return f.latencies[len(f.latencies)/2]
}

// observe notes one answer, and keeps the host still at once when it asked for it.
func (s *schedule) observe(x task, v verdict, firstByte time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &x.host.report
	f.requests++
	switch {
	case v.throttled:
		f.throttled++
		s.urgent = true
		kick(s.hands)
		s.refuse(x)
		f.retryAfter = max(f.retryAfter, v.retryAfter)
	case v.unanswered:
		f.errors++
	default:
		f.latency(firstByte)
		s.answered(x, firstByte)
	}
	if v.retryAfter > 0 {
		s.block(x.host.purse, time.UnixMilli(v.retryAfter))
	}
}

// pressed reports, once, that a host asked for less.
func (s *schedule) pressed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	urgent := s.urgent
	s.urgent = false
	return urgent
}

// slow notes an origin's Crawl-delay.
func (s *schedule) slow(x task, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := x.host
	h.report.crawlDelay = max(h.report.crawlDelay, d)
	h.purse.delay = max(h.purse.delay, d)
	s.postpone(h.purse, time.Now().Add(d))
}

// reports takes every host's feedback.
func (s *schedule) reports(crawl salvor.CrawlID) []api.HostFeedback {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []api.HostFeedback
	for _, h := range s.hosts {
		f := &h.report
		if f.empty() {
			s.forget(h)
			continue
		}
		out = append(out, api.HostFeedback{
			Crawl: crawl, Host: h.name, Requests: f.requests, Errors: f.errors, Throttled: f.throttled,
			Latency: f.median(), RetryAfter: f.retryAfter, CrawlDelay: f.crawlDelay, Limited: f.limited, Slowed: f.slowed,
		})
		h.report = feedback{}
		s.forget(h)
	}
	return out
}

// untold takes back feedback that nobody took.
func (s *schedule) untold(fs []api.HostFeedback) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range fs {
		f := &s.host(x.Host).report
		f.requests, f.errors, f.throttled = f.requests+x.Requests, f.errors+x.Errors, f.throttled+x.Throttled
		if x.Latency > 0 && len(f.latencies) < maxLatencies {
			f.latencies = append(f.latencies, x.Latency)
		}
		f.retryAfter, f.crawlDelay = max(f.retryAfter, x.RetryAfter), max(f.crawlDelay, x.CrawlDelay)
		f.limited, f.slowed = f.limited || x.Limited, f.slowed || x.Slowed
	}
}
