package frontier

import (
	"fmt"

	"salvor"
	"salvor/api"
)

// formatVersion is the first byte of every entry in the log. testdata/golden
// holds one entry of every command as every version wrote it.
const formatVersion = 1

const newerHint = "Use a newer salvor on this directory."

// Encode is the form of a command in the log. A zero Version means the
// current one.
func Encode(e Envelope) []byte {
	w := writer{b: make([]byte, 0, 256)}
	w.byte(formatVersion)
	w.uint(uint64(e.Level))
	w.uint(uint64(e.Session))
	w.uint(e.Request)
	w.int(e.Now)
	w.byte(byte(e.Command.kind()))
	e.Command.encode(&w)
	return w.b
}

// Decode reads what Encode wrote. Its errors are of class TooNew for a format,
// level or command this code does not know, and Invalid for anything else; a
// node that meets either in its log must stop (protocol 9).
func Decode(data []byte) (Envelope, error) {
	r := reader{s: string(data)}
	e := Envelope{Version: r.byte()}
	if e.Version != formatVersion {
		return Envelope{}, salvor.Errorf(salvor.TooNew, "decode command: format version %d, this program knows %d", e.Version, formatVersion).
			WithHint(newerHint)
	}
	e.Level = uint16(r.small(1<<16 - 1))
	e.Session = salvor.SessionID(r.uint())
	e.Request = r.uint()
	e.Now = r.int()
	k := kind(r.byte())
	if r.bad {
		return Envelope{}, salvor.Errorf(salvor.Invalid, "decode command: cut short in its frame")
	}
	c := newCommand(k)
	if c == nil || e.Level > Level {
		return Envelope{}, salvor.Errorf(salvor.TooNew, "decode command: type %d of level %d is not known", k, e.Level).
			WithHint(newerHint)
	}
	c.decode(&r)
	if !r.end() {
		return Envelope{}, salvor.Errorf(salvor.Invalid, "decode command: malformed %s", name(c))
	}
	e.Command = c
	return e, nil
}

// name is a command's type without its package.
func name(c Command) string { return fmt.Sprintf("%T", c)[len("*frontier."):] }

func newCommand(k kind) Command {
	switch k {
	case kindCreateCrawl:
		return new(CreateCrawl)
	case kindSetCrawl:
		return new(SetCrawl)
	case kindRegister:
		return new(Register)
	case kindEnd:
		return new(End)
	case kindDiscover:
		return new(Discover)
	case kindGrant:
		return new(Grant)
	case kindExtend:
		return new(Extend)
	case kindExpire:
		return new(Expire)
	case kindSettle:
		return new(Settle)
	case kindSetBudget:
		return new(SetBudget)
	case kindOpenSegment:
		return new(OpenSegment)
	case kindSetSegment:
		return new(SetSegment)
	case kindReopen:
		return new(Reopen)
	case kindExclude:
		return new(Exclude)
	case kindClose:
		return new(Close)
	case kindTick:
		return new(Tick)
	case kindSetRecord:
		return new(SetRecord)
	case kindAdoptCrawl:
		return new(AdoptCrawl)
	case kindEndIdle:
		return new(EndIdle)
	case kindSetGroup:
		return new(SetGroup)
	case kindSetShare:
		return new(SetShare)
	case kindRank:
		return new(Rank)
	}
	return nil
}

func (c *CreateCrawl) encode(w *writer) { putCrawlCommand(w, &c.Crawl) }
func (c *CreateCrawl) decode(r *reader) { getCrawlCommand(r, &c.Crawl) }
func (c *SetCrawl) encode(w *writer)    { putCrawlCommand(w, &c.Crawl) }
func (c *SetCrawl) decode(r *reader)    { getCrawlCommand(r, &c.Crawl) }
func (c *AdoptCrawl) encode(w *writer)  { putCrawlCommand(w, &c.Crawl) }
func (c *AdoptCrawl) decode(r *reader)  { getCrawlCommand(r, &c.Crawl) }

// putCrawlCommand writes the version only where it says something, so that a
// command without one is as it was before there were any.
func putCrawlCommand(w *writer, c *api.Crawl) {
	putCrawl(w, c)
	if c.Version != 0 {
		w.uint(c.Version)
	}
}

func getCrawlCommand(r *reader, c *api.Crawl) {
	getCrawl(r, c)
	if len(r.s) == 0 {
		return
	}
	if c.Version = r.uint(); c.Version == 0 {
		r.fail() // one form only
	}
}

func putCrawl(w *writer, c *api.Crawl) {
	w.uint(uint64(c.ID))
	w.string(c.Name)
	w.byte(byte(c.State))
	w.raw(c.HashKey[:])
	w.uint(uint64(c.Canon))
	w.uint(uint64(c.Scope))
	w.int(c.Deadline)
	w.uint(uint64(c.Ceiling))
	w.uint(uint64(c.Start))
	w.uint(uint64(c.Tries))
	w.bytes(c.Settings)
	w.uint(uint64(c.Basis))
	w.int(c.Created)
}

func getCrawl(r *reader, c *api.Crawl) {
	c.ID = salvor.CrawlID(r.small(1<<32 - 1))
	c.Name = r.string()
	c.State = salvor.CrawlState(r.byte())
	r.fill(c.HashKey[:])
	c.Canon = uint16(r.small(1<<16 - 1))
	c.Scope = uint32(r.small(1<<32 - 1))
	c.Deadline = r.int()
	c.Ceiling = salvor.Pace(r.uint())
	c.Start = salvor.Pace(r.uint())
	c.Tries = uint16(r.small(1<<16 - 1))
	c.Settings = r.bytes()
	c.Basis = salvor.CrawlID(r.small(1<<32 - 1))
	c.Created = r.int()
}

func (c *Register) encode(w *writer) { w.string(c.Worker); w.uint(uint64(c.Session)) }
func (c *Register) decode(r *reader) {
	c.Worker = r.string()
	c.Session = salvor.SessionID(r.uint())
}

func (c *End) encode(w *writer) { w.uint(uint64(c.Session)) }
func (c *End) decode(r *reader) { c.Session = salvor.SessionID(r.uint()) }

func (c *Close) encode(w *writer) { w.uint(uint64(c.Crawl)) }
func (c *Close) decode(r *reader) { c.Crawl = salvor.CrawlID(r.small(1<<32 - 1)) }

func (*Tick) encode(*writer) {}
func (*Tick) decode(*reader) {}

func (c *SetRecord) encode(w *writer) {
	w.string(c.Record.Table)
	w.string(c.Record.Key)
	w.bytes(c.Record.Value)
	w.uint(c.Record.Version)
}

func (c *SetRecord) decode(r *reader) {
	c.Record.Table = r.string()
	c.Record.Key = r.string()
	c.Record.Value = r.bytes()
	c.Record.Version = r.uint()
}

func (c *EndIdle) encode(w *writer) { w.uint(uint64(c.Session)); w.uint(c.Answers) }
func (c *EndIdle) decode(r *reader) {
	c.Session = salvor.SessionID(r.uint())
	c.Answers = r.uint()
}

func (c *OpenSegment) encode(w *writer) { w.string(c.Name) }
func (c *OpenSegment) decode(r *reader) { c.Name = r.string() }

func (c *SetSegment) encode(w *writer) { putSegment(w, &c.Segment) }
func (c *SetSegment) decode(r *reader) { getSegment(r, &c.Segment) }

func putSegment(w *writer, s *api.Segment) {
	w.uint(uint64(s.ID))
	w.string(s.Name)
	w.string(s.Object)
	w.int(s.Base)
	w.int(s.Bytes)
	w.raw(s.SHA256[:])
	w.byte(byte(s.State))
}

func getSegment(r *reader, s *api.Segment) {
	s.ID = salvor.SegmentID(r.small(1<<32 - 1))
	s.Name = r.string()
	s.Object = r.string()
	s.Base = r.int()
	s.Bytes = r.int()
	r.fill(s.SHA256[:])
	s.State = api.SegmentState(r.byte())
}
