package frontier

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"salvor"
	"salvor/api"
)

// generator makes random commands out of what a model holds, some of them
// nonsense.
type generator struct {
	*rand.Rand
	m       *model
	now     int64
	session salvor.SessionID
	place   int64
	request uint64
	sent    []Envelope // that may come again
}

var testHosts = []string{"a.example", "b.example", "c.example"}

func (g *generator) host() string          { return testHosts[g.IntN(len(testHosts))] }
func (g *generator) key() salvor.Key       { return salvor.Key{byte(g.IntN(60)), 0xa5} }
func (g *generator) crawl() salvor.CrawlID { return salvor.CrawlID(1 + g.IntN(len(g.m.crawls))) }

// next is a new command, or one that was sent before and comes again, or late.
func (g *generator) next() Envelope {
	g.now += g.Int64N(2000)
	if len(g.sent) > 0 && g.IntN(12) == 0 {
		e := g.sent[g.IntN(len(g.sent))]
		e.Now = g.now
		return e
	}
	g.request++
	e := Envelope{Now: g.now, Session: g.session, Request: g.request}
	if g.IntN(20) == 0 {
		e.Session = salvor.SessionID(g.IntN(int(g.session) + 2))
	}
	e.Command = g.command(e.Session)
	if _, ok := e.Command.(*Settle); ok && g.IntN(8) == 0 {
		e.Session, e.Request = 0, 0 // who starts, before it has a session
	}
	e.Level = LevelOf(e.Command)
	g.sent = append(g.sent, e)
	g.sent = g.sent[max(0, len(g.sent)-300):]
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
		return g.end(s)
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
		if g.IntN(4) == 0 {
			return g.group()
		}
		return g.budget()
	case n < 93:
		return g.reopen()
	case n < 95:
		if g.IntN(2) == 0 {
			return g.rank()
		}
		return g.exclude()
	case n < 97:
		return g.setCrawl()
	case n < 98:
		return &Close{g.crawl()}
	case n < 99:
		return g.record()
	}
	if g.IntN(2) == 0 {
		return g.adopt()
	}
	return &Tick{}
}

// end ends a session, or would if it were silent.
func (g *generator) end(s salvor.SessionID) Command {
	if g.IntN(2) == 0 {
		return &End{Session: s}
	}
	s = salvor.SessionID(g.IntN(int(g.session) + 2))
	e := &EndIdle{Session: s}
	if x := g.m.sessions[s]; x != nil {
		e.Answers = x.n - uint64(g.IntN(2))
	}
	return e
}

// group merges hosts, some of which nobody knows, or takes them apart.
func (g *generator) group() Command {
	name := fmt.Sprint("g", g.IntN(2))
	share := salvor.Pace(max(0, g.IntN(6)-3) * 1000)
	if g.IntN(3) == 0 {
		return &SetShare{Name: name, Share: share}
	}
	c := &SetGroup{Crawl: g.crawl(), Name: name, Share: share}
	for _, h := range append(slices.Clone(testHosts), "late.example") {
		if g.IntN(2) == 0 {
			c.Hosts = append(c.Hosts, h)
		}
	}
	return c
}

func (g *generator) record() Command {
	x := api.Record{Table: "nodes", Key: fmt.Sprint("n", g.IntN(3)), Value: []byte(fmt.Sprint(g.now))}
	x.Version = g.m.records[x.Key].Version
	switch g.IntN(5) {
	case 0:
		x.Value = nil
	case 1:
		x.Version = g.Uint64N(g.m.index + 1)
	}
	return &SetRecord{x}
}

// adopt is a copy of a crawl as its source may have it, perhaps one that is not
// known here.
func (g *generator) adopt() Command {
	id := salvor.CrawlID(1 + g.IntN(3))
	c := api.Crawl{ID: id, Name: "three", Start: 2500, Ceiling: 4000, HashKey: salvor.HashKey{3}}
	if x := g.m.crawls[id]; x != nil {
		c = *x
	}
	c.State = []salvor.CrawlState{salvor.CrawlRunning, salvor.CrawlRunning, salvor.CrawlPaused, salvor.CrawlFinished}[g.IntN(4)]
	c.Version += g.Uint64N(4)
	if g.IntN(8) == 0 {
		c.HashKey[5]++
	}
	if g.IntN(3) == 0 {
		c.Scope++
	}
	return &AdoptCrawl{c}
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
		c.Hosts = append(c.Hosts, GrantHost{Crawl: g.crawl(), Host: g.host(), Items: g.IntN(6), Pace: salvor.Pace(max(0, g.IntN(4000)-1000))})
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

func (g *generator) rank() Command {
	c := &Rank{Crawl: g.crawl()}
	for range g.IntN(6) {
		band := []salvor.Band{salvor.BandSeed, salvor.BandPage, salvor.BandPage + 3, salvor.BandSpeculative}[g.IntN(4)]
		c.Items = append(c.Items, api.Ranked{HostKey: api.HostKey{Host: g.host(), Key: g.key()}, Band: band})
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
	switch g.IntN(4) {
	case 0: // as it was read: another change came first
	case 1:
		c.Version = 0
	default:
		c.Version++
	}
	return &SetCrawl{c}
}
