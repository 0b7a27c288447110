package rescue

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/progress"
	"salvor/coordinator/risk"
	"salvor/coordinator/risk/probe"
)

// probeEvery is the distance of two looks for what is to be probed now.
const probeEvery = 30 * time.Second

// keepProbes looks at the sites of the seeds meanwhile, with --probe, and tells what
// it sees of their end. Without it nothing is asked but what is crawled.
func (r *rescue) keepProbes(ctx context.Context) error {
	if !r.job.Settings.Probe {
		return nil
	}
	allow := r.job.Settings.AllowNet
	var d net.Dialer
	lookers, err := probe.Kit{
		Vantage: risk.Vantage{Node: "this machine"}, Third: true, DNS: d.DialContext,
		Dial: outfit.ProbeDial(func() []netip.Prefix { return allow }),
	}.Lookers()
	if err != nil { // the crawl goes on without
		r.notice(progress.Error, "probe", "", fmt.Sprintf("nothing can be probed: %v", err))
		return nil
	}
	seen := &sightings{tell: func(host, text string) { r.notice(progress.Note, "site", host, text) }}
	s := probe.Schedule{Lookers: lookers, Recorder: seen, Logger: slog.New(slog.DiscardHandler), Now: time.Now, AtOnce: true}
	targets := targetsOf(r.seedURLs())
	for {
		s.Round(ctx, targets)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(probeEvery):
		}
	}
}

func (r *rescue) seedURLs() (out []string) {
	for _, s := range r.job.Seeds {
		out = append(out, s.URL)
	}
	return out
}

// targetsOf are the hosts of seeds, each once.
func targetsOf(seeds []string) (out []probe.Target) {
	have := map[string]bool{}
	for _, s := range seeds {
		u, err := url.Parse(s)
		if err != nil || u.Host == "" || len(out) == probe.MostTargets {
			continue
		}
		host := strings.ToLower(u.Host)
		if have[host] {
			continue
		}
		have[host] = true
		out = append(out, probe.Target{Site: risk.SiteOf(u.Hostname()), Host: host, TLS: u.Scheme == "https"})
	}
	return out
}

// sightings tell of each signal when it is seen first, and when it is gone.
type sightings struct {
	tell func(host, text string)

	mu   sync.Mutex
	have map[[2]string]bool // host and signal
}

// Observe implements probe.Recorder.
func (s *sightings) Observe(_ context.Context, seen []risk.Observation) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.have == nil {
		s.have = map[[2]string]bool{}
	}
	for _, o := range seen {
		k := [2]string{o.Subject, o.Signal}
		x, ok := risk.Default().Signal(o.Signal)
		if !ok || o.Signal == risk.SigHealthy || o.Signal == risk.SigCertFresh || s.have[k] == !o.Absent {
			continue
		}
		s.have[k] = !o.Absent
		switch {
		case o.Absent:
			s.tell(o.Subject, fmt.Sprintf("%s: no more: %s", o.Subject, x.Text))
		case o.Detail != "":
			s.tell(o.Subject, fmt.Sprintf("%s: %s: %s", o.Subject, x.Text, o.Detail))
		default:
			s.tell(o.Subject, fmt.Sprintf("%s: %s", o.Subject, x.Text))
		}
	}
	return nil
}
