package frontier

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
)

// open opens a small machine.
func open(t testing.TB, fs vfs.FS) *Machine {
	t.Helper()
	m, err := Open("state", Options{FS: fs, CacheBytes: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func shut(t testing.TB, m *Machine) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// generator makes random commands out of what a model holds, some of them
// nonsense.
type generator struct {
	*rand.Rand
	m       *model
	now     int64
	session salvor.SessionID
	place   int64
	request uint64
}

var testHosts = []string{"a.example", "b.example", "c.example"}

func (g *generator) host() string          { return testHosts[g.IntN(len(testHosts))] }
func (g *generator) key() salvor.Key       { return salvor.Key{byte(g.IntN(60)), 0xa5} }
func (g *generator) crawl() salvor.CrawlID { return salvor.CrawlID(1 + g.IntN(2)) }

func (g *generator) next() Envelope {
	g.now += g.Int64N(2000)
	g.request++
	e := Envelope{Now: g.now, Session: g.session, Request: g.request}
	if g.IntN(20) == 0 {
		e.Session = salvor.SessionID(g.IntN(int(g.session) + 2))
	}
	e.Command = g.command(e.Session)
	return e
}

func (g *generator) command(s salvor.SessionID) Command {
	switch n := g.IntN(100); {
	case g.m.crawls[1] == nil:
		return &CreateCrawl{api.Crawl{ID: 1, Name: "one", State: salvor.CrawlRunning, Start: 3000, Ceiling: 5000, Deadline: 500_000, HashKey: salvor.HashKey{7}}}
	case g.m.crawls[2] == nil:
		return &CreateCrawl{api.Crawl{ID: 2, Name: "two", State: salvor.CrawlRunning, Start: 2000, Ceiling: salvor.Unlimited}}
	case g.session == 0 || n < 2:
		g.session++
		return &Register{Worker: fmt.Sprint("w", g.IntN(2)), Session: g.session}
	case n < 3:
		return &End{Session: s}
	case n < 35:
		return g.discover()
	case n < 55:
		return g.grant(s)
	case n < 65:
		return g.extend(s)
	case n < 68:
		return g.expire()
	case n < 88:
		return g.settle()
	case n < 91:
		return g.budget()
	case n < 93:
		return g.reopen()
	case n < 95:
		return g.exclude()
	case n < 97:
		return g.setCrawl()
	case n < 98:
		return &Close{g.crawl()}
	}
	return &Tick{}
}

func (g *generator) discover() Command {
	c := g.m.crawls[g.crawl()]
	d := api.Discovery{Crawl: c.ID, Scope: c.Scope}
	if g.IntN(20) == 0 {
		d.Scope = uint32(g.IntN(3))
	}
	for range 1 + g.IntN(8) {
		d.Items = append(d.Items, g.offer(c.ID))
	}
	return &Discover{d}
}

func (g *generator) offer(c salvor.CrawlID) api.Offer {
	h, k := g.host(), g.key()
	// One in three items lives on the host's other origin.
	origin := "https://" + h
	if k[0]%3 == 0 {
		origin = "http://" + h
	}
	url := fmt.Sprintf("%s/%d", origin, k[0])
	if g.IntN(12) == 0 { // somebody links to a robots.txt
		url = origin + "/robots.txt"
		k = salvor.ItemKey(g.m.crawls[c].HashKey, "", url, nil)
	}
	o := api.Offer{Item: salvor.Item{
		Key: k, Crawl: c, Host: h, Origin: origin, URL: url,
		Class: salvor.Class(g.IntN(6)), Via: fmt.Sprintf("https://%s/via/%d", h, g.IntN(9)),
		Hop: salvor.Hop{Links: uint16(g.IntN(4)), Embeds: uint8(g.IntN(2)), Extra: uint8(g.IntN(2)), Path: "LE"[:g.IntN(3)]},
	}}
	o.Band = []salvor.Band{salvor.BandSeed, salvor.BandRequisite, salvor.BandPage, salvor.BandPage + 3}[g.IntN(4)]
	if o.Class == salvor.ClassRobots && g.IntN(4) > 0 {
		o.Class = salvor.ClassPage
	}
	if g.IntN(4) == 0 {
		o.Excluded = "scope"
	}
	if g.IntN(8) == 0 {
		o.Round = uint32(g.IntN(3))
	}
	return o
}

func (g *generator) grant(s salvor.SessionID) Command {
	c := &Grant{Session: s}
	for range 1 + g.IntN(3) {
		c.Hosts = append(c.Hosts, GrantHost{Crawl: g.crawl(), Host: g.host(), Items: g.IntN(6), Pace: salvor.Pace(g.IntN(3000))})
	}
	return c
}

func (g *generator) extend(s salvor.SessionID) Command {
	e := &Extend{Session: s, Before: salvor.LeaseID(g.m.index+1) << 16}
	if g.IntN(3) == 0 {
		e.Before = salvor.LeaseID(g.Uint64N(g.m.index+1)) << 16
	}
	for _, id := range g.m.leasesOf(s) {
		if g.IntN(6) > 0 {
			e.Held = append(e.Held, api.Extension{Lease: id, Pace: salvor.Pace(g.IntN(4) * 1000)})
		}
	}
	if g.IntN(5) == 0 {
		e.Held = append(e.Held, api.Extension{Lease: 5, Pace: 1000})
	}
	return e
}

func (g *generator) anyLease() (salvor.LeaseID, *mLease) {
	var ids []salvor.LeaseID
	for id := range g.m.leases {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return 1, &mLease{crawl: 1, host: testHosts[0], keys: []salvor.Key{{1}}}
	}
	slices.Sort(ids)
	id := ids[g.IntN(len(ids))]
	return id, g.m.leases[id]
}

func (g *generator) expire() Command {
	id, l := g.anyLease()
	return &Expire{Lease: id, Renewal: l.renewal - uint64(g.IntN(2))}
}

func (g *generator) settle() Command {
	id, l := g.anyLease()
	s := api.Settlement{Crawl: l.crawl}
	for _, k := range l.keys {
		if g.IntN(3) > 0 {
			s.Entries = append(s.Entries, g.entry(id, l, k))
		}
	}
	if g.IntN(4) == 0 {
		s.Entries = append(s.Entries, g.entry(id, &mLease{host: g.host(), crawl: l.crawl}, g.key()))
	}
	return &Settle{s}
}

func (g *generator) entry(id salvor.LeaseID, l *mLease, k salvor.Key) api.Entry {
	e := api.Entry{
		Key: k, Host: l.host, Lease: id, Verb: api.Verb(g.IntN(4)), Status: 200 + g.IntN(3), At: g.now,
		Bytes: g.Int64N(1000), Type: []string{"", "text/html", "image/png"}[g.IntN(3)],
	}
	if it := g.m.items[mKey{l.crawl, l.host, k}]; it != nil {
		e.Round = it.Round
		if it.Round > 0 && g.IntN(4) == 0 {
			e.Round--
		}
	}
	if e.Verb != api.VerbSettle {
		e.Retry = g.now + g.Int64N(9000) - 1000
		e.Retry = max(e.Retry, 0)
		if g.IntN(2) == 0 {
			g.place += g.Int64N(3)
			e.Place = salvor.Place{Segment: 1, Offset: g.place, Length: 10}
		}
		return e
	}
	e.Outcome = []salvor.Outcome{salvor.Saved, salvor.Saved, salvor.Revisit, salvor.Gone, salvor.Failed, salvor.Excluded, salvor.TooBig}[g.IntN(7)]
	if e.Outcome != salvor.Failed && e.Outcome != salvor.Excluded {
		g.place += g.Int64N(3)
		e.Place = salvor.Place{Segment: 1, Offset: g.place, Length: 10}
	}
	if !e.Outcome.HasCapture() {
		e.Reason = []string{"", "timeout", "robots"}[g.IntN(3)]
	}
	return e
}

func (g *generator) budget() Command {
	c := &SetBudget{Crawl: g.crawl(), Host: g.host()}
	switch p := salvor.Pace(g.IntN(6) * 1000); g.IntN(4) {
	case 0:
		c.Ceiling = &p
	case 1:
		c.Rate = &p
	case 2:
		at := g.now + g.Int64N(5000) - 2000
		c.Blocked = &at
	case 3:
		p += 500
		c.Host, c.Ceiling = "", &p
	}
	return c
}

func (g *generator) reopen() Command {
	c := &Reopen{Reopen: api.Reopen{Crawl: g.crawl(), Outcomes: []salvor.Outcome{salvor.Failed, salvor.Gone}}, Limit: 1 + g.IntN(9)}
	if g.IntN(2) == 0 {
		c.Host, c.Outcomes = g.host(), []salvor.Outcome{salvor.Excluded, salvor.TooBig}
	}
	return c
}

func (g *generator) exclude() Command {
	c := &Exclude{Crawl: g.crawl(), Rule: "exclude:x"}
	for range g.IntN(5) {
		c.Items = append(c.Items, api.HostKey{Host: g.host(), Key: g.key()})
	}
	return c
}

func (g *generator) setCrawl() Command {
	c := *g.m.crawls[g.crawl()]
	switch g.IntN(5) {
	case 0:
		c.Scope++
	case 1:
		c.State = salvor.CrawlPaused
	default:
		c.State = salvor.CrawlRunning
	}
	return &SetCrawl{c}
}

// run drives a machine and a model with n random commands and compares every
// answer. It returns the log.
func run(t *testing.T, m *Machine, seed uint64, n int) []Entry {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1)), m: newModel()}
	var log []Entry
	for i := range n {
		env := g.next()
		e := Entry{Index: uint64(i + 1), Data: Encode(env)}
		log = append(log, e)
		out := m.ApplyBatch([]Entry{e})[0]
		decoded, err := Decode(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		want, werr := g.m.apply(e.Index, decoded)
		got := out.Result
		if r, ok := got.(ReopenResult); ok {
			r.Next = nil
			got = r
		}
		checkRobotsFirst(t, g.m, got)
		if (out.Err != nil) != (werr != nil) || out.Err == nil && !cmp.Equal(got, want) {
			t.Fatalf("seed %d command %d %T %+v:\ngot  %+v, %v\nwant %+v, %v\n%s", seed, i, env.Command, env.Command,
				got, out.Err, want, werr, cmp.Diff(want, got))
		}
		if i%50 == 0 || i == n-1 {
			compare(t, m, g.m)
			checkState(t, m)
		}
		if t.Failed() {
			t.Fatalf("seed %d command %d %T %+v", seed, i, env.Command, env.Command)
		}
	}
	return log
}

// checkRobotsFirst: whatever is granted, the robots.txt of its origin is known
// and has an outcome, or was captured, unless it is a robots.txt itself (protocol 4).
func checkRobotsFirst(t *testing.T, m *model, result any) {
	leases, _ := result.([]api.Lease)
	for _, l := range leases {
		for _, x := range l.Items {
			it := m.items[m.robotsOf(x.Crawl, &mItem{Known: api.Known{Item: x}})]
			if x.Band != salvor.BandRobots && (it == nil || it.State != api.StateSettled && !it.answered()) {
				t.Errorf("%s was granted, of its robots.txt is known %+v", x.URL, it)
			}
		}
	}
}

// compare looks every item and every total up.
func compare(t *testing.T, m *Machine, want *model) {
	for id, c := range want.crawls {
		got, err := m.Totals(id)
		if w := want.totals(id); err != nil || got != w {
			t.Errorf("totals of %d: %v %s", id, err, cmp.Diff(w, got))
		}
		if gc, _ := m.Crawl(id); gc.State != c.State || gc.Scope != c.Scope {
			t.Errorf("crawl %d: %+v, want %+v", id, gc, *c)
		}
	}
	for k, it := range want.items {
		got, err := m.Lookup(k.crawl, k.host, k.key)
		if err != nil {
			t.Fatal(err)
		}
		w := it.Known
		if w.Outcome.HasCapture() {
			w.URL, w.Via, w.Origin, w.Hop.Path = "", "", "", ""
		}
		if it.State == api.StateSettled {
			w.Reason, w.Status, w.Place, w.Digest, w.At = it.ans.reason, it.ans.status, it.ans.place, it.ans.digest, it.ans.at
		} else {
			got.Reason, got.Status, got.At = "", 0, 0
		}
		if !cmp.Equal(got, w) {
			t.Errorf("item %v: %s", k, cmp.Diff(w, got))
		}
	}
}

func TestAgainstModel(t *testing.T) {
	for seed := range uint64(12 / slower) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := open(t, vfs.NewMem())
			run(t, m, seed, 1500)
			shut(t, m)
		})
	}
}

// TestReplay: the same log gives the same bytes, however it is cut into
// batches, with restarts in between and without read-ahead.
func TestReplay(t *testing.T) {
	for seed := range uint64(4 / slower) {
		m := open(t, vfs.NewMem())
		log := run(t, m, 100+seed, 1500)
		want := dump(t, m)
		shut(t, m)
		for _, size := range []int{3, 40, len(log)} {
			fs := vfs.NewMem()
			m := open(t, fs)
			for i := 0; i < len(log); i += size {
				if size == 3 {
					m.readers = readersKept
				}
				m.ApplyBatch(log[max(0, i-2):min(i+size, len(log))]) // some again
				if size == 40 && i%400 == 0 {
					shut(t, m)
					m = open(t, fs)
				}
			}
			sameState(t, want, dump(t, m))
			checkState(t, m)
			shut(t, m)
		}
	}
}

// TestCrash: after a crash the state is that of some earlier entry, and the
// rest of the log leads to the same bytes.
func TestCrash(t *testing.T) {
	m := open(t, vfs.NewMem())
	log := run(t, m, 200, 1200)
	want := dump(t, m)
	shut(t, m)
	for seed := range uint64(8 / slower) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fs := vfs.NewCrashableMem()
		m := open(t, fs)
		cut, flushed := 100+rng.IntN(1000), uint64(0)
		for i := 0; i < cut; i += 7 {
			m.ApplyBatch(log[i:min(i+7, cut)])
			if rng.IntN(30) == 0 {
				flushed = m.AppliedIndex()
				if err := m.Flush(); err != nil {
					t.Fatal(err)
				}
			}
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		shut(t, m)
		m = open(t, crashed)
		if at := m.AppliedIndex(); at < flushed || at > uint64(cut) {
			t.Errorf("after the crash at entry %d; flushed was %d, applied %d", at, flushed, cut)
		}
		checkState(t, m)
		m.ApplyBatch(log)
		sameState(t, want, dump(t, m))
		shut(t, m)
	}
}
