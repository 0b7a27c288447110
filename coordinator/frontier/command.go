package frontier

import (
	"slices"

	"salvor"
	"salvor/api"
)

// Envelope frames every command in the log (protocol 9). Version is the
// format's; an unknown version or type stops the node, it is never skipped.
type Envelope struct {
	Version uint8
	Level   uint16 // feature level the command needs
	Session salvor.SessionID
	Request uint64
	Now     int64 // the leader's time, Unix ms; feeds the group clock
	Command Command
}

// Command is one change of the state. Commands hold the results of all
// parsing and matching: Apply calls no URL, pattern or text library.
type Command interface {
	kind() kind
	encode(*writer)
	decode(*reader)
}

type kind uint8

const (
	kindCreateCrawl kind = iota + 1
	kindSetCrawl
	kindRegister
	kindEnd
	kindDiscover
	kindGrant
	kindExtend
	kindExpire
	kindSettle
	kindSetBudget
	kindOpenSegment
	kindSetSegment
	kindReopen
	kindExclude
	kindClose
	kindTick
	kindSetRecord
	kindAdoptCrawl
	kindEndIdle
	kindSetGroup
	kindSetShare
	kindRank
)

// Level is the newest feature level this program knows. A node that runs at a
// lower one knows what that one had, and no more.
//
//	1  the first
//	2  EndIdle, SetGroup, SetShare
//	3  Rank; a Grant without a pace
const Level = 3

// LevelOf is the feature level a command needs: it is proposed only where the
// cluster runs at that level or a newer one.
func LevelOf(c Command) uint16 {
	switch c := c.(type) {
	case *EndIdle, *SetGroup, *SetShare:
		return 2
	case *Rank:
		return 3
	case *Grant:
		if slices.ContainsFunc(c.Hosts, func(h GrantHost) bool { return h.Pace == 0 }) {
			return 3
		}
	}
	return 1
}

type (
	// CreateCrawl makes a crawl; its HashKey and ID were drawn by the proposer.
	CreateCrawl struct{ Crawl api.Crawl }
	// SetCrawl replaces a crawl's mutable fields.
	SetCrawl struct{ Crawl api.Crawl }
	// Register opens a session and ends the worker's earlier ones.
	Register struct {
		Worker  string
		Session salvor.SessionID
	}
	// End ends a session.
	End struct{ Session salvor.SessionID }
	// Discover offers items.
	Discover struct{ Discovery api.Discovery }
	// Grant names hosts and counts; which items these are follows from the state.
	Grant struct {
		Session salvor.SessionID
		Hosts   []GrantHost
	}
	// GrantHost asks for at most Items of a host at Pace. Without a pace they join
	// those that the session has of the host, at the pace it has for it.
	GrantHost struct {
		Crawl salvor.CrawlID
		Host  string
		Items int
		Pace  salvor.Pace
	}
	// Extend lists all leases of a session, or all in a range: a session may
	// hold more than fit in a command.
	Extend struct {
		Session salvor.SessionID
		From    salvor.LeaseID // leases granted before this are not judged
		Before  salvor.LeaseID // nor those granted at or after this
		Held    []api.Extension
	}
	// Expire ends a lease unless it was renewed since Renewal.
	Expire struct {
		Lease   salvor.LeaseID
		Renewal uint64
	}
	// Settle reports outcomes.
	Settle struct{ Settlement api.Settlement }
	// SetBudget changes a budget group (by default: a host).
	SetBudget struct {
		Crawl   salvor.CrawlID // whose default ceiling, when Host is ""
		Host    string
		Ceiling *salvor.Pace // operator's; nil leaves it
		Rate    *salvor.Pace // adaptive; nil leaves it
		Blocked *int64       // Unix ms; nil leaves it
		Note    *string      // why the host is slow or stopped
	}
	// OpenSegment numbers a segment name.
	OpenSegment struct{ Name string }
	// SetSegment updates the segment table.
	SetSegment struct{ Segment api.Segment }
	// Reopen raises the round of up to Limit settled items, from a position
	// of the outcome index on.
	Reopen struct {
		api.Reopen
		After []byte
		Limit int
	}
	// Exclude settles queued or waiting items as excluded; at most 1,000.
	Exclude struct {
		Crawl salvor.CrawlID
		Rule  string
		Items []api.HostKey
	}
	// Close finishes a crawl; refused while anything is open.
	Close struct{ Crawl salvor.CrawlID }
	// Tick moves the group clock, so that waiting items come due.
	Tick struct{}
	// SetRecord puts a record of the registry in the place of its version.
	SetRecord struct{ Record api.Record }
	// AdoptCrawl brings this group's copy of a crawl up to a newer version.
	AdoptCrawl struct{ Crawl api.Crawl }
	// EndIdle ends a session that holds nothing, unless it got more answers
	// than when its silence began.
	EndIdle struct {
		Session salvor.SessionID
		Answers uint64 // as in SessionInfo
	}
	// SetGroup merges hosts into one budget group, or with none dissolves it.
	SetGroup struct {
		Crawl salvor.CrawlID // where a host that nobody offered yet begins
		Name  string
		Hosts []string
		Share salvor.Pace
	}
	// SetShare says what part of a budget this Raft group may book.
	SetShare struct {
		Name  string
		Share salvor.Pace // 0 all
	}
	// Rank moves open items to other bands; at most 1,000.
	Rank struct {
		Crawl salvor.CrawlID
		Items []api.Ranked
	}
)

func (*CreateCrawl) kind() kind { return kindCreateCrawl }
func (*SetCrawl) kind() kind    { return kindSetCrawl }
func (*Register) kind() kind    { return kindRegister }
func (*End) kind() kind         { return kindEnd }
func (*Discover) kind() kind    { return kindDiscover }
func (*Grant) kind() kind       { return kindGrant }
func (*Extend) kind() kind      { return kindExtend }
func (*Expire) kind() kind      { return kindExpire }
func (*Settle) kind() kind      { return kindSettle }
func (*SetBudget) kind() kind   { return kindSetBudget }
func (*OpenSegment) kind() kind { return kindOpenSegment }
func (*SetSegment) kind() kind  { return kindSetSegment }
func (*Reopen) kind() kind      { return kindReopen }
func (*Exclude) kind() kind     { return kindExclude }
func (*Close) kind() kind       { return kindClose }
func (*Tick) kind() kind        { return kindTick }
func (*SetRecord) kind() kind   { return kindSetRecord }
func (*AdoptCrawl) kind() kind  { return kindAdoptCrawl }
func (*EndIdle) kind() kind     { return kindEndIdle }
func (*SetGroup) kind() kind    { return kindSetGroup }
func (*SetShare) kind() kind    { return kindSetShare }
func (*Rank) kind() kind        { return kindRank }
