package frontier

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"salvor"
	"salvor/api"
)

// command builds the command of the log that a directive asks for; nil if it
// reads.
func (s *script) command() Command {
	crawl := salvor.CrawlID(s.number("crawl", 1))
	switch s.d.Cmd {
	case "create-crawl":
		return &CreateCrawl{s.crawlArgs(api.Crawl{ID: crawl, Name: s.arg("name"), State: salvor.CrawlRunning})}
	case "set-crawl":
		c, err := s.m.Crawl(crawl)
		if err != nil {
			c.ID = crawl
		}
		return &SetCrawl{s.crawlArgs(c)}
	case "adopt-crawl":
		return &AdoptCrawl{s.crawlArgs(api.Crawl{ID: crawl, Name: s.arg("name"), State: salvor.CrawlRunning})}
	case "set-record":
		return &SetRecord{api.Record{Table: s.arg("table"), Key: s.arg("key"), Value: []byte(s.arg("value")), Version: uint64(s.number("version", 0))}}
	case "end-idle":
		return s.endIdle()
	case "merge":
		g := &SetGroup{Crawl: crawl, Name: s.arg("name"), Share: salvor.PerSecond(s.number("share", 0))}
		for _, w := range s.rows() {
			g.Hosts = append(g.Hosts, w[0])
		}
		return g
	case "share":
		return &SetShare{Name: s.arg("name"), Share: salvor.PerSecond(s.number("share", 0))}
	case "register":
		return &Register{Worker: s.arg("worker"), Session: s.session()}
	case "end":
		return &End{Session: s.session()}
	case "discover":
		return s.discover(crawl)
	case "no-robots":
		return s.noRobots(crawl)
	case "grant":
		return s.grant(crawl)
	case "extend":
		return s.extend()
	case "expire":
		return s.expire()
	case "settle":
		return s.settle(crawl)
	case "budget":
		b := &SetBudget{Crawl: crawl, Host: s.arg("host"), Ceiling: s.pace("ceiling"), Rate: s.pace("rate")}
		if s.has("blocked") {
			b.Blocked = ptr(int64(s.number("blocked", 0) * 1000))
		}
		if s.has("note") {
			b.Note = ptr(s.arg("note"))
		}
		return b
	case "reopen":
		return s.reopen(crawl)
	case "exclude":
		return s.exclude(crawl)
	case "rank":
		return s.rank(crawl)
	case "close":
		return &Close{Crawl: crawl}
	case "tick":
		return &Tick{}
	case "open-segment":
		return &OpenSegment{Name: s.arg("name")}
	case "set-segment":
		return &SetSegment{api.Segment{
			ID: salvor.SegmentID(s.number("id", 0)), Name: s.arg("name"), Object: s.arg("object"),
			State: api.SegmentState(s.number("state", 0)), Bytes: int64(s.number("bytes", 0)),
		}}
	}
	return nil
}

func (s *script) crawlArgs(c api.Crawl) api.Crawl {
	set(&c.Start, s.pace("start"))
	set(&c.Ceiling, s.pace("ceiling"))
	c.Scope = uint32(s.number("scope", float64(c.Scope)))
	c.Version = uint64(s.number("version", 0))
	c.HashKey[0] = byte(s.number("key", float64(c.HashKey[0])))
	c.Deadline = int64(s.number("deadline", float64(c.Deadline)/1000) * 1000)
	if v := s.arg("state"); v != "" {
		for i := salvor.CrawlDraft; i <= salvor.CrawlDeleted; i++ {
			if i.String() == v {
				c.State = i
			}
		}
	}
	return c
}

// discover reads rows of "host/path class=... hops=... band=... excluded=...".
func (s *script) discover(crawl salvor.CrawlID) Command {
	d := api.Discovery{Crawl: crawl, Scope: uint32(s.number("scope", 0))}
	for _, w := range s.rows() {
		o := options(w[1:])
		host, k := s.item(w[0])
		x := api.Offer{Excluded: o["excluded"], Item: salvor.Item{
			Key: k, Host: host, Origin: "http://" + host, URL: "http://" + w[0], Via: o["via"], Class: salvor.ClassPage, Band: salvor.BandPage,
		}}
		if strings.HasPrefix(w[0], "https://") {
			x.Origin, x.URL = "https://"+host, w[0]
		}
		for c := salvor.ClassSeed; c <= salvor.ClassSpeculative; c++ {
			if c.String() == o["class"] {
				x.Class = c
			}
		}
		if v := o["hops"]; v != "" {
			x.Hop.Links = uint16(s.parse(v))
		}
		if v := o["band"]; v != "" {
			x.Band = bandNames[v]
		}
		d.Items = append(d.Items, x)
	}
	return &Discover{d}
}

// noRobots makes the robots.txt of hosts known and excluded, so that a script
// about something else meets no gate.
func (s *script) noRobots(crawl salvor.CrawlID) Command {
	d := s.discover(crawl).(*Discover)
	for i := range d.Discovery.Items {
		o := &d.Discovery.Items[i]
		o.URL = o.Origin + robotsPath
		_, o.Key = s.item(o.Host + robotsPath)
		o.Class, o.Band, o.Excluded = salvor.ClassRobots, salvor.BandRobots, "none"
	}
	return d
}

// grant reads rows of "host items=... pace=...".
func (s *script) grant(crawl salvor.CrawlID) Command {
	g := &Grant{Session: s.session()}
	for _, w := range s.rows() {
		o := options(w[1:])
		h := GrantHost{Crawl: crawl, Host: w[0], Items: 10, Pace: 1000}
		if v := o["items"]; v != "" {
			h.Items = int(s.parse(v))
		}
		if v := o["pace"]; v != "" {
			h.Pace = salvor.PerSecond(s.parse(v))
		}
		g.Hosts = append(g.Hosts, h)
	}
	return g
}

// extend reads rows of "lease pace".
func (s *script) extend() Command {
	e := &Extend{Session: s.session(), Before: salvor.LeaseID(len(s.log)+1) << 16}
	if s.has("seen") {
		e.Before = s.lease(s.arg("seen")) + 1
	}
	for _, w := range s.rows() {
		e.Held = append(e.Held, api.Extension{Lease: s.lease(w[0]), Pace: salvor.PerSecond(s.parse(w[1]))})
	}
	return e
}

// expire names the lease's latest renewal, or with "stale" the one before.
func (s *script) expire() Command {
	e := &Expire{Lease: s.lease(s.arg("lease"))}
	for _, l := range s.m.Leases() {
		if l.ID == e.Lease {
			e.Renewal = l.Renewal
		}
	}
	if s.has("stale") {
		e.Renewal--
	}
	return e
}

// endIdle takes the answers a session has now for those it had, or with "stale"
// one less.
func (s *script) endIdle() Command {
	e := &EndIdle{Session: s.session()}
	for _, x := range s.m.Sessions() {
		if x.ID == e.Session {
			e.Answers = x.Answers
		}
	}
	if s.has("stale") {
		e.Answers--
	}
	return e
}

// settle reads rows of "host/path verb lease=... place=segment:offset ...",
// where the verb is an outcome, retry, postpone or hold, and of "robots origin rules".
func (s *script) settle(crawl salvor.CrawlID) Command {
	c := api.Settlement{Crawl: crawl}
	for _, w := range s.rows() {
		o := options(w[1:])
		if w[0] == "robots" {
			c.Robots = append(c.Robots, api.Robots{Origin: w[1], Rules: []byte(o["rules"]), Fetched: int64(len(s.log))})
			continue
		}
		host, k := s.item(w[0])
		e := api.Entry{Key: k, Host: host, Lease: s.lease(o["lease"]), Round: uint32(s.parse(orZero(o["round"]))), Reason: o["reason"], Type: o["type"]}
		e.Status, e.Bytes, e.At = int(s.parse(orZero(o["status"]))), int64(s.parse(orZero(o["bytes"]))), int64(s.parse(orZero(o["at"]))*1000)
		e.Retry = int64(s.parse(orZero(o["until"])) * 1000)
		switch w[1] {
		case "retry":
			e.Verb = api.VerbRetry
		case "hold":
			e.Verb = api.VerbHold
		case "postpone":
			e.Verb = api.VerbPostpone
		default:
			e.Outcome, _ = salvor.ParseOutcome(w[1])
		}
		if seg, off, ok := strings.Cut(o["place"], ":"); ok {
			e.Place = salvor.Place{Segment: salvor.SegmentID(s.parse(seg)), Offset: int64(s.parse(off)), Length: 100}
		}
		c.Entries = append(c.Entries, e)
	}
	return &Settle{c}
}

func orZero(v string) string {
	if v == "" {
		return "0"
	}
	return v
}

func (s *script) outcomes() (list []salvor.Outcome) {
	for v := range strings.SplitSeq(s.arg("outcomes"), ",") {
		if o, ok := salvor.ParseOutcome(v); ok {
			list = append(list, o)
		} else if v == "open" {
			list = append(list, salvor.Open)
		}
	}
	return list
}

// reopen goes on where the last piece of a reopening ended if after is given.
func (s *script) reopen(crawl salvor.CrawlID) Command {
	return &Reopen{
		Reopen: api.Reopen{Crawl: crawl, Host: s.arg("host"), Outcomes: s.outcomes(), Reason: s.arg("reason")},
		Limit:  int(s.number("limit", 0)),
	}
}

func (s *script) exclude(crawl salvor.CrawlID) Command {
	c := &Exclude{Crawl: crawl, Rule: s.arg("rule")}
	for _, w := range s.rows() {
		host, k := s.item(w[0])
		c.Items = append(c.Items, api.HostKey{Host: host, Key: k})
	}
	return c
}

var bandNames = map[string]salvor.Band{
	"robots": salvor.BandRobots, "seed": salvor.BandSeed, "requisite": salvor.BandRequisite, "page": salvor.BandPage,
	"later": salvor.BandPage + 5, "extra": salvor.BandExtra,
}

// rank reads rows of "host/path band=...".
func (s *script) rank(crawl salvor.CrawlID) Command {
	c := &Rank{Crawl: crawl}
	for _, w := range s.rows() {
		host, k := s.item(w[0])
		c.Items = append(c.Items, api.Ranked{HostKey: api.HostKey{Host: host, Key: k}, Band: bandNames[options(w[1:])["band"]]})
	}
	return c
}

func (s *script) totals(crawl salvor.CrawlID) string {
	if h := s.arg("host"); h != "" {
		x, err := s.m.Host(crawl, h)
		return totalsText(x.Totals) + errorText(err)
	}
	t, err := s.m.Totals(crawl)
	c, _ := s.m.Crawl(crawl)
	return fmt.Sprintf("%v: %s%s", c.State, totalsText(t), errorText(err))
}

func (s *script) lookup(crawl salvor.CrawlID) string {
	return lines(s.rows(), func(w []string) string {
		host, k := s.item(w[0])
		x, err := s.m.Lookup(crawl, host, k)
		if err != nil {
			return errorText(err)
		}
		return s.known(x)
	})
}

func (s *script) known(x api.Known) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", s.keys[x.Key], [...]string{"queued", "waiting", "leased", "settled"}[x.State])
	if x.State == api.StateWaiting {
		fmt.Fprintf(&b, " until %d", x.Retry/1000)
	}
	if x.State == api.StateSettled {
		fmt.Fprintf(&b, " as %v", x.Outcome)
	}
	fmt.Fprintf(&b, " %v hops=%d", x.Class, x.Hop.Links)
	for _, f := range []struct {
		name string
		v    any
		show bool
	}{
		{"round", x.Round, x.Round > 0}, {"tries", x.Attempts, x.Attempts > 0}, {"reason", x.Reason, x.Reason != ""}, {"status", x.Status, x.Status != 0},
		{"place", fmt.Sprintf("%d:%d", x.Place.Segment, x.Place.Offset), x.Place.Segment > 0}, {"url", x.URL, true}, {"via", x.Via, x.Via != ""},
	} {
		if f.show {
			fmt.Fprintf(&b, " %s=%v", f.name, f.v)
		}
	}
	return b.String()
}

func (s *script) ready() string {
	q := Search{Crawl: salvor.CrawlID(s.number("crawl", 0)), Now: int64(s.number("at", float64(s.now)/1000) * 1000), Limit: int(s.number("limit", 0))}
	list, booked := s.m.Ready(q)
	if s.has("booked") {
		list = booked
	}
	slices.SortFunc(list, func(a, b ReadyHost) int { return strings.Compare(a.Host, b.Host) })
	return lines(list, func(r ReadyHost) string {
		return fmt.Sprintf("%s of crawl %d: queued=%d leases=%d budget=%v free=%v robots=%v", r.Host, r.Crawl, r.Queued, r.Leases, perSecond(r.Budget), perSecond(r.Free), r.Robots)
	})
}

func (s *script) leases() string {
	return lines(s.m.Leases(), func(l LeaseInfo) string {
		return fmt.Sprintf("%s session=%d host=%s pace=%v items=%d", s.leaseText(l.ID), l.Session, l.Host, perSecond(l.Pace), l.Items)
	})
}

func (s *script) counts(crawl salvor.CrawlID) string {
	var list []string
	types, _ := s.m.Types(crawl)
	for k, n := range types {
		list = append(list, fmt.Sprintf("type %s urls=%d bytes=%d", k, n.URLs, n.Bytes))
	}
	codes, _ := s.m.Codes(crawl)
	for k, n := range codes {
		list = append(list, fmt.Sprintf("status %d urls=%d bytes=%d", k, n.URLs, n.Bytes))
	}
	reasons, _ := s.m.Reasons(crawl)
	for k, n := range reasons {
		list = append(list, fmt.Sprintf("%v because %q urls=%d", k.Outcome, k.Text, n))
	}
	slices.Sort(list)
	return lines(list, func(v string) string { return v })
}

func (s *script) walk(crawl salvor.CrawlID) string {
	var list []string
	err := s.m.Walk(context.Background(), crawl, s.outcomes(), func(k api.Known) error {
		list = append(list, s.known(k))
		return nil
	})
	slices.Sort(list)
	return lines(list, func(v string) string { return v }) + errorText(err)
}

func (s *script) openItems(crawl salvor.CrawlID) string {
	var list []string
	var after []byte
	for {
		items, next, err := s.m.OpenItems(crawl, after, int(s.number("limit", 0)))
		if err != nil {
			return errorText(err)
		}
		list = append(list, lines(items, func(k api.Known) string { return s.known(k) }))
		if after = next; next == nil {
			return strings.Join(list, "--\n")
		}
	}
}
