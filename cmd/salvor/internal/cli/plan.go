package cli

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/value"
)

// plan is what a run will do: the command line on top of what the archive
// remembers.
type plan struct {
	dir      string
	settings job.Settings
	previous *job.Settings // nil: a new archive
	seeds    []job.Seed
	status   archive.Status // before this run
	round    int
	again    bool     // a new round begins
	changes  []string // for state/changes.log
	notes    []string // for the operator
}

// newestUnfinished is the value of --resume without DIR. No path is a NUL.
const newestUnfinished = "\x00"

// where finds the directory, and whether it must be an archive already.
func (w *world) where(a *asked, seeds []job.Seed, now time.Time) (dir string, must bool, err error) {
	switch {
	case a.resume == "" && slices.Contains(a.changed, "resume"):
		return "", false, salvor.Errorf(salvor.Invalid, "--resume: it is empty").WithHint("name the archive: --resume DIR")
	case a.resume == newestUnfinished && a.dir != "":
		return a.dir, true, nil
	case a.resume == newestUnfinished:
		dir, err = archive.Unfinished(".")
		if salvor.ClassOf(err) == salvor.NotFound && a.settings.Store != "" {
			return storeDir(a.settings.Store, now), true, nil
		}
		return dir, true, err
	case a.resume != "" && a.dir != "" && filepath.Clean(a.dir) != filepath.Clean(a.resume):
		return "", false, salvor.Errorf(salvor.Invalid, "--dir and --resume name different directories").WithHint("leave --dir out")
	case a.resume != "":
		return a.resume, true, nil
	case a.dir != "":
		return a.dir, false, nil
	case len(a.gone) > 0: // there is no archive that could remember them
		return "", false, a.gone[0].err
	case len(seeds) == 0 && a.settings.Store != "":
		return storeDir(a.settings.Store, now), false, nil
	case len(seeds) == 0:
		return "", false, noSeed()
	}
	return hostOf(seeds[0].URL) + "-" + now.UTC().Format("20060102150405"), false, nil
}

func noSeed() error {
	return salvor.Errorf(salvor.Invalid, "no URL to save").WithHint("name one: salvor save https://example.org/ (or a file of them with --seeds)")
}

// remembered is what an archive holds of earlier runs; nil in a new one.
type remembered struct {
	settings job.Settings
	seeds    []job.Seed
	status   archive.Status
}

func remember(d *archive.Dir) (m *remembered, err error) {
	m = new(remembered)
	if err := d.LoadSettings(&m.settings); err != nil {
		return nil, err
	}
	if err := d.LoadSecrets(newSecretsFile(&m.settings.Secrets)); err != nil {
		return nil, err
	}
	if m.seeds, err = archive.LoadSeeds[job.Seed](d); err != nil {
		return nil, err
	}
	m.status, err = d.Status()
	return m, err
}

// look reads an archive without locking it.
func look(dir string, must bool) (*remembered, error) {
	d, err := archive.OpenRead(dir)
	if err != nil {
		if salvor.ClassOf(err) == salvor.NotFound && !must {
			return nil, nil
		}
		return nil, err
	}
	return remember(d)
}

// makePlan merges and checks. It changes nothing.
func (w *world) makePlan(a *asked, m *remembered, dir string, seeds []job.Seed, now time.Time) (*plan, error) {
	notes, err := a.restore(m)
	if err != nil {
		return nil, err
	}
	p := &plan{dir: dir, settings: a.settings, round: 1, notes: notes}
	if m == nil {
		p.seeds = distinct(nil, seeds)
	} else {
		p.resume(a, m, seeds)
	}
	if len(p.seeds) == 0 {
		return nil, noSeed()
	}
	if err := p.deadline(a, m, now); err != nil {
		return nil, err
	}
	p.complete(w.Version)
	if m != nil {
		p.changes = append(p.changes, differences(m.settings, p.settings)...)
	}
	return p, p.check(a, m)
}

// resume puts the flags that were given on top of what they said before.
func (p *plan) resume(a *asked, m *remembered, seeds []job.Seed) {
	p.settings = m.settings
	for _, g := range a.groups() {
		for _, o := range g.options {
			if o.carry != nil && slices.Contains(a.changed, o.name) {
				o.carry(&p.settings, &a.settings)
			}
		}
	}
	if slices.Contains(a.changed, "contact") && !slices.Contains(a.changed, "user-agent") && m.settings.RobotsAgent == robotsName {
		p.settings.UserAgent = "" // ours names the contact: complete writes it anew
	}
	previous := m.settings
	p.previous, p.status = &previous, m.status
	p.seeds = distinct(m.seeds, seeds)
	for _, s := range p.seeds[len(m.seeds):] {
		p.changes = append(p.changes, fmt.Sprintf("seed: added %s (%s)", s.URL, s.Source))
	}
	p.round = max(1, m.status.Round)
	switch {
	case a.again && m.status.Final:
		p.round++
		p.again = true
		p.changes = append(p.changes, fmt.Sprintf("again: round %d begins", p.round))
	case a.again:
		p.notes = append(p.notes, "the crawl is not finished: it is resumed; --again begins a new round once it is")
	case m.status.Final && len(a.retry) == 0 && len(p.seeds) == len(m.seeds):
		p.notes = append(p.notes, "the crawl was finished before; --again crawls it anew, --retry failed tries again what failed")
	}
	if len(a.retry) > 0 {
		p.changes = append(p.changes, "retry: "+outcomeNames(a.retry))
	}
}

// distinct appends the seeds that are not there yet. One that is there takes a
// value that is given now.
func distinct(have, more []job.Seed) []job.Seed {
	out := slices.Clone(have)
	at := make(map[string]int, len(have)+len(more))
	for i := range out {
		out[i].New = false
		at[out[i].URL] = i
	}
	for _, s := range more {
		i, ok := at[s.URL]
		if !ok {
			at[s.URL] = len(out)
			out = append(out, s)
		} else if s.Value != 0 {
			out[i].Value = s.Value
		}
	}
	return out
}

// deadline makes a duration absolute once a round, and refuses a time that
// has passed. A deadline that passes between two runs stays: the second run
// then ends at once, with its exit code.
func (p *plan) deadline(a *asked, m *remembered, now time.Time) error {
	spec := p.settings.DeadlineSpec
	if spec == "" {
		return nil
	}
	at, relative, err := value.Deadline(spec, now)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "--deadline: %w", err).WithHint("%s", salvor.HintOf(err))
	}
	if m != nil && spec == m.settings.DeadlineSpec && !m.settings.Deadline.IsZero() && !(p.again && relative) {
		at = m.settings.Deadline
		if !p.again {
			p.settings.Deadline = at
			return nil
		}
	}
	if !at.IsZero() && !at.After(now) {
		return salvor.Errorf(salvor.Invalid, "the deadline %q passed %s ago", spec, progress.Span(now.Sub(at))).
			WithHint("give a later --deadline, or --deadline none")
	}
	p.settings.Deadline = at
	return nil
}

// complete fills in what depends on other settings.
func (p *plan) complete(version string) {
	s := &p.settings
	if s.Name == "" {
		s.Name = filepath.Base(filepath.Clean(p.dir))
	}
	if s.WARCPrefix == "" {
		s.WARCPrefix = hostOf(p.seeds[0].URL)
	}
	if s.UserAgent == "" {
		s.UserAgent, s.RobotsAgent = userAgent(version, s.Contact), robotsName
	}
}

// check refuses what makes no sense together.
func (p *plan) check(a *asked, m *remembered) error {
	s := &p.settings
	switch {
	case s.Scope == "any" && s.MaxHops == job.NoLimit && s.LimitURLs == 0 && s.LimitBytes == 0 && s.Deadline.IsZero():
		return salvor.Errorf(salvor.Invalid, "--scope any has no end").
			WithHint("add a limit: --max-hops, --limit-urls, --limit-bytes or --deadline")
	case a.again && m == nil:
		return salvor.Errorf(salvor.Invalid, "--again needs an archive, and %s is none yet", p.dir).WithHint("leave --again out")
	case len(a.retry) > 0 && m == nil:
		return salvor.Errorf(salvor.Invalid, "--retry needs an archive, and %s is none yet", p.dir).WithHint("leave --retry out")
	case len(a.retry) > 0 && p.again:
		return salvor.Errorf(salvor.Invalid, "--again crawls everything anew, --retry a part").WithHint("leave one of them out")
	}
	if err := sameStore(m, s); err != nil {
		return err
	}
	if err := copiesMakeSense(s); err != nil {
		return err
	}
	return bindable(s.BindAddress)
}

// bindable refuses an address that this machine cannot connect from: every
// request would fail.
func bindable(a netip.Addr) error {
	if !a.IsValid() {
		return nil
	}
	l, err := net.Listen("tcp", netip.AddrPortFrom(a, 0).String())
	if err == nil {
		return l.Close()
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		err = e.Err
	}
	return salvor.Errorf(salvor.Invalid, "--bind-address: cannot connect from %s: %w", a, err).
		WithHint("give an address of this machine; ip address lists them")
}

// persist writes the plan into a locked directory. The settings go last: a
// directory is an archive when they are there.
func (p *plan) persist(d *archive.Dir, version string, now time.Time) error {
	status := archive.Status{State: archive.Running, Round: p.round, Started: p.status.Started, Updated: now.UTC()}
	if status.Started.IsZero() || p.again {
		status.Started = status.Updated
	}
	err := d.LogChange(now, p.changes...)
	for _, step := range []func() error{
		func() error { return d.SaveSecrets(newSecretsFile(&p.settings.Secrets)) },
		func() error { return archive.SaveSeeds(d, p.seeds) },
		func() error { return d.SetStatus(status) },
		func() error { return d.SaveSettings("salvor "+version, p.settings) },
	} {
		if err == nil {
			err = step()
		}
	}
	p.status = status
	return err
}

// openPlanned locks the directory and plans again: between the first look and
// the lock another run may have ended there.
func (w *world) openPlanned(a *asked, first *plan, seeds []job.Seed, must bool, now time.Time) (*archive.Dir, *plan, error) {
	d, fresh, err := lock(first.dir, must)
	if err != nil {
		return nil, nil, err
	}
	p := first
	if !fresh {
		m, err := remember(d)
		if err == nil {
			p, err = w.makePlan(a, m, first.dir, seeds, now)
		}
		if err != nil {
			return nil, nil, errors.Join(err, d.Close())
		}
	}
	if err := p.persist(d, w.Version, now); err != nil {
		return nil, nil, errors.Join(err, d.Close())
	}
	return d, p, nil
}

func lock(dir string, must bool) (d *archive.Dir, fresh bool, err error) {
	if must {
		d, err = archive.Open(dir)
		return d, false, err
	}
	return archive.OpenOrCreate(dir)
}

func outcomeNames(os []salvor.Outcome) string {
	var names []string
	for _, o := range os {
		names = append(names, o.String())
	}
	return strings.Join(names, ", ")
}
