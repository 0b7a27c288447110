// Package sites keeps what a cluster knows of the sites that it saves: what people
// recorded of them, what probes saw, and what becomes of them by that.
//
// It is for the planner, which asks for the odds of a host, for probes, which tell
// what they saw, and for people. Records lie in the registry, so that a new leader
// knows them; every change is compared with what it replaces, and has a line in the
// audit log. What is assessed is kept for half a minute, or until a record changes.
package sites

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/audit"
	"salvor/coordinator/risk"
)

// Registry is where rows lie: group 0's.
type Registry interface {
	Records(ctx context.Context, table string) ([]api.Record, error)
	SetRecord(ctx context.Context, r api.Record) (version uint64, err error)
}

// Log takes a line for each change that a person made.
type Log interface {
	Append(ctx context.Context, e audit.Entry) error
}

// Sites are a cluster's. They are safe for concurrent use.
type Sites struct {
	reg Registry
	log Log
	now func() time.Time

	looking sync.Mutex // one refresh at a time

	mu    sync.Mutex
	read  time.Time // when the rows were
	rows  map[string]*row
	fresh map[string]*known // by site: what was assessed
}

// row is a site with the versions of its two records.
type row struct {
	site        risk.Site
	history     risk.History
	vSite, vSee uint64
}

type known struct {
	at time.Time
	a  risk.Assessment
}

const (
	// readEvery is how old what this node knows of the rows may be; with a look of
	// the planner it bounds how late a changed deadline tells.
	readEvery = 500 * time.Millisecond
	// assessEvery is how old an assessment may be whose rows did not change.
	assessEvery = 30 * time.Second
	// tries bounds how often a change is made again that somebody else was faster with.
	tries = 8
)

// New makes the sites of a registry. log may be nil.
func New(reg Registry, log Log, now func() time.Time) *Sites {
	if now == nil {
		now = time.Now
	}
	return &Sites{reg: reg, log: log, now: now, rows: map[string]*row{}, fresh: map[string]*known{}}
}

// refresh reads the rows again if they are older than some time.
func (s *Sites) refresh(ctx context.Context, older time.Duration) error {
	s.looking.Lock()
	defer s.looking.Unlock()
	s.mu.Lock()
	recent := !s.read.IsZero() && s.now().Sub(s.read) < older
	s.mu.Unlock()
	if recent {
		return nil
	}
	at := s.now()
	sites, err := s.reg.Records(ctx, api.TableSites)
	if err != nil {
		return err
	}
	seen, err := s.reg.Records(ctx, api.TableSeen)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var bad error
	next := make(map[string]*row, len(sites))
	for _, r := range sites {
		bad = errors.Join(bad, s.take(next, r, func(x *row) (err error) { x.site, err = risk.DecodeSite(r.Value); x.vSite = r.Version; return err },
			func(x *row) uint64 { return x.vSite }))
	}
	for _, r := range seen {
		bad = errors.Join(bad, s.take(next, r, func(x *row) (err error) { x.history, err = risk.DecodeHistory(r.Value); x.vSee = r.Version; return err },
			func(x *row) uint64 { return x.vSee }))
	}
	for name, x := range next {
		if old := s.rows[name]; old == nil || old.vSite != x.vSite || old.vSee != x.vSee {
			delete(s.fresh, name)
		}
	}
	for name := range s.rows {
		if next[name] == nil {
			delete(s.fresh, name)
		}
	}
	s.rows, s.read = next, at
	return bad
}

// take reads a record into the rows, unless this version of it is known.
func (s *Sites) take(next map[string]*row, r api.Record, decode func(*row) error, version func(*row) uint64) error {
	x := next[r.Key]
	if x == nil {
		x = &row{site: risk.Site{Name: r.Key}}
		next[r.Key] = x
	}
	if old := s.rows[r.Key]; old != nil && version(old) == r.Version {
		if r.Table == api.TableSites {
			x.site, x.vSite = old.site, old.vSite
		} else {
			x.history, x.vSee = old.history, old.vSee
		}
		return nil
	}
	if err := decode(x); err != nil {
		return fmt.Errorf("site %s: %w", r.Key, err)
	}
	return nil
}

// Info is a site, as it was when it was asked for.
type Info struct {
	Site       risk.Site
	Assessment risk.Assessment
}

// View is a site as people and scripts are told of it.
type View struct {
	Record risk.Site        `json:"record"`
	Risk   risk.Explanation `json:"risk"`
}

// View explains the assessment.
func (i Info) View() View { return View{i.Site, i.Assessment.Explain()} }

// All lists the sites that something is known of, in the order of their names.
func (s *Sites) All(ctx context.Context) ([]Info, error) {
	if err := s.refresh(ctx, 0); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Info, 0, len(s.rows))
	for name, x := range s.rows {
		out = append(out, Info{x.site, s.assess(name)})
	}
	slices.SortFunc(out, func(a, b Info) int { return strings.Compare(a.Site.Name, b.Site.Name) })
	return out, nil
}

// Get is one site; of one that nothing is known of, what holds for its class.
func (s *Sites) Get(ctx context.Context, name string) (Info, error) {
	if err := s.refresh(ctx, 0); err != nil {
		return Info{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.rows[name]
	if x == nil {
		x = &row{site: risk.Site{Name: name}}
	}
	return Info{x.site, s.assess(name)}, x.site.Check()
}

// assess is what may become of a site. s.mu is held.
func (s *Sites) assess(name string) risk.Assessment {
	now := s.now()
	if k := s.fresh[name]; k != nil && now.Sub(k.at) < assessEvery {
		return k.a
	}
	in := risk.Input{Site: risk.Site{Name: name}, Now: now}
	x := s.rows[name]
	if x != nil {
		in.Site, in.History = x.site, x.history
	}
	a := risk.Assess(in)
	if x != nil {
		s.fresh[name] = &known{now, a}
	}
	return a
}

// Change changes what people recorded of a site, and writes what change returns
// into the audit log, under the name by: records show only who that is by the id of
// a key, since more people read them. change may be called more than once.
func (s *Sites) Change(ctx context.Context, name, by string, change func(risk.Site) (risk.Site, risk.Entry, error)) (risk.Site, error) {
	for range tries {
		if err := s.refresh(ctx, 0); err != nil {
			return risk.Site{}, err
		}
		was, version := s.record(name)
		next, entry, err := change(was)
		if err != nil {
			return was, err
		}
		b, err := next.Encode()
		if err != nil {
			return was, err
		}
		if _, err = s.reg.SetRecord(ctx, api.Record{Table: api.TableSites, Key: name, Value: b, Version: version}); salvor.ClassOf(err) == salvor.Conflict {
			continue
		}
		s.stale()
		if err != nil || s.log == nil {
			return next, err
		}
		return next, s.log.Append(ctx, audit.Entry{At: entry.At, By: by, What: entry.What, Subject: entry.Site, Note: entry.Note, Change: entry.Change})
	}
	return risk.Site{}, salvor.Errorf(salvor.Conflict, "site %s is being changed by others again and again", name).WithHint("try again")
}

func (s *Sites) record(name string) (risk.Site, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.rows[name]; x != nil {
		return x.site, x.vSite
	}
	return risk.Site{Name: name}, 0
}

// stale has the rows read again by who asks next.
func (s *Sites) stale() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = time.Time{}
}

// Observe folds in what was seen. What can be kept of several sites is, before an
// error of one is returned.
func (s *Sites) Observe(ctx context.Context, list []risk.Observation) error {
	of := map[string][]risk.Observation{}
	var names []string
	for _, o := range list {
		if of[o.Site] == nil {
			names = append(names, o.Site)
		}
		of[o.Site] = append(of[o.Site], o)
	}
	if err := s.refresh(ctx, readEvery); err != nil {
		return err
	}
	var errs []error
	for _, n := range names {
		errs = append(errs, s.fold(ctx, n, of[n]))
	}
	return errors.Join(errs...)
}

func (s *Sites) fold(ctx context.Context, name string, list []risk.Observation) error {
	if err := (risk.Site{Name: name}).Check(); err != nil {
		return err
	}
	var bad error
	for range tries {
		h, version := s.seen(name)
		changed := false
		bad = nil
		for _, o := range list {
			did, err := h.Add(risk.Default(), o)
			changed, bad = changed || did, errors.Join(bad, err)
		}
		if !changed {
			return bad
		}
		b, err := h.Encode()
		if err != nil {
			return errors.Join(bad, err)
		}
		v, err := s.reg.SetRecord(ctx, api.Record{Table: api.TableSeen, Key: name, Value: b, Version: version})
		if salvor.ClassOf(err) == salvor.Conflict {
			if err := s.refresh(ctx, 0); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			s.keep(name, h, v)
		} else {
			s.stale()
		}
		return errors.Join(bad, err)
	}
	return errors.Join(bad, salvor.Errorf(salvor.Conflict, "what was seen of site %s is being changed by others again and again", name))
}

// seen is a copy of what was seen of a site.
func (s *Sites) seen(name string) (risk.History, uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.rows[name]
	if x == nil {
		return risk.History{}, 0
	}
	return risk.History{Tracks: slices.Clone(x.history.Tracks)}, x.vSee
}

func (s *Sites) keep(name string, h risk.History, version uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := row{site: risk.Site{Name: name}}
	if x := s.rows[name]; x != nil {
		next = *x
	}
	next.history, next.vSee = h, version
	s.rows[name] = &next
	delete(s.fresh, name)
}
