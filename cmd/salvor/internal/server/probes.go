package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/coordinator/risk"
	"salvor/coordinator/risk/probe"
	"salvor/storage/durable"
)

// How much is probed: --probe.
const (
	ProbeNone   = "none"
	ProbeDirect = "direct" // the sites themselves, their names at the usual server
	ProbeAll    = "all"    // registries of domains and further name servers too
)

// probes looks at the sites that the cluster saves.
type probes struct {
	asn      *probe.ASN // nil: none was given
	schedule probe.Schedule
	lookers  []probe.Looker
	allow    atomic.Pointer[[]netip.Prefix] // that running crawls may dial
}

func (n *node) openProbes(context.Context) error {
	if n.coord == nil {
		return nil
	}
	p := &probes{}
	p.allow.Store(&[]netip.Prefix{})
	if n.c.ProbeASN != "" {
		var err error
		if p.asn, err = probe.OpenASN(n.c.ProbeASN); err != nil {
			return err
		}
	}
	if n.c.Probe != ProbeNone {
		boot, err := readBootstrap(n.c.ProbeRegistries)
		if err != nil {
			return err
		}
		var d net.Dialer
		p.lookers, err = probe.Kit{
			Vantage: risk.Vantage{Node: n.id.Peer().Name}, Dial: outfit.ProbeDial(func() []netip.Prefix { return *p.allow.Load() }), DNS: d.DialContext,
			Third: n.c.Probe == ProbeAll, Resolvers: n.c.ProbeResolvers, Bootstrap: boot, ASN: p.asn,
		}.Lookers()
		if err != nil {
			return err
		}
	}
	p.schedule = probe.Schedule{Lookers: p.lookers, Recorder: n.sites, Logger: n.log, Now: time.Now}
	n.probes = p
	return nil
}

func readBootstrap(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	return b, durable.Error(err, "read", file)
}

// probeEvery is the distance of two looks for whom to probe.
const probeEvery = 30 * time.Second

// probeLoop probes while this node leads.
func (n *node) probeLoop(ctx context.Context) {
	if len(n.probes.lookers) == 0 {
		return
	}
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !n.leads() {
			continue
		}
		targets, err := n.targets(ctx)
		if err != nil {
			if ctx.Err() == nil {
				n.log.Info("whom to probe is not known", "error", err)
			}
			continue
		}
		n.probes.schedule.Round(ctx, targets)
	}
}

// targets are the hosts of the running crawls' seeds, and those that people
// recorded something of.
func (n *node) targets(ctx context.Context) ([]probe.Target, error) {
	crawls, err := n.groups[0].Crawls(ctx)
	if err != nil {
		return nil, err
	}
	known, err := n.sites.All(ctx)
	if err != nil {
		return nil, err
	}
	of := map[string]string{} // by host: the site that names it
	for _, k := range known {
		for _, h := range k.Site.Hosts {
			of[h] = k.Site.Name
		}
	}
	var out []probe.Target
	var allow []netip.Prefix
	have := map[string]bool{}
	add := func(u *url.URL) {
		host := strings.ToLower(u.Host)
		if host == "" || have[host] {
			return
		}
		have[host] = true
		site, ok := of[u.Hostname()]
		if !ok {
			site = risk.SiteOf(u.Hostname())
		}
		out = append(out, probe.Target{Site: site, Host: host, TLS: u.Scheme == "https"})
	}
	for _, c := range crawls {
		if c.State != salvor.CrawlRunning {
			continue
		}
		x, err := outfit.SpecOf(c)
		if err != nil {
			continue // its worker says so
		}
		allow = append(allow, x.Settings.AllowNet...)
		for _, s := range x.Seeds {
			if u, err := url.Parse(s); err == nil {
				add(u)
			}
		}
	}
	for _, k := range known {
		hosts := k.Site.Hosts
		if len(hosts) == 0 && !slices.ContainsFunc(out, func(t probe.Target) bool { return t.Site == k.Site.Name }) {
			hosts = []string{k.Site.Name}
		}
		for _, h := range hosts {
			if strings.Contains(h, ".") {
				add(&url.URL{Scheme: "https", Host: h})
			}
		}
	}
	n.probes.allow.Store(&allow)
	return out, nil
}

// probeSite looks at a site once, now, keeps what was seen and returns it.
func (n *node) probeSite(ctx context.Context, site string) ([]risk.Observation, error) {
	if len(n.probes.lookers) == 0 {
		return nil, salvor.Errorf(salvor.Conflict, "this node does not probe").WithHint("ask another coordinator, or run it with --probe direct or all")
	}
	targets, err := n.targets(ctx)
	if err != nil {
		return nil, err
	}
	targets = slices.DeleteFunc(targets, func(t probe.Target) bool { return t.Site != site })
	if len(targets) == 0 {
		if !strings.Contains(site, ".") {
			return nil, salvor.Errorf(salvor.NotFound, "no host of %q is known", site).WithHint("say which it has: salvor site define %s --host HOST", site)
		}
		targets = []probe.Target{{Site: site, Host: site, TLS: true}}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var seen []risk.Observation
	for _, t := range targets[:min(len(targets), 5)] {
		o, lerr := probe.All(ctx, n.probes.lookers, t)
		seen, err = append(seen, o...), errors.Join(err, lerr)
	}
	if len(seen) == 0 {
		return nil, errors.Join(err, salvor.Errorf(salvor.Unavailable, "nothing could be seen of %s", site))
	}
	return seen, n.sites.Observe(ctx, seen)
}
