package api

import (
	"context"

	"salvor"
)

// HostGroup is a budget group of several hosts: what they share a rate, a
// ceiling and a block of, such as the hosts of one server (protocol 2).
type HostGroup struct {
	Name  string         // at most 255 bytes
	Hosts []string       // at most 500; a host is in one group at most
	Crawl salvor.CrawlID // whose start rate a host gets that nobody offered yet
	Share salvor.Pace    // the part of the budget that this Raft group may use; 0 all of it

	// What follows is told by HostGroups only.

	Rate    salvor.Pace // of the whole group, as this Raft group has it
	Ceiling salvor.Pace // the least that holds for its running crawls
	Blocked int64       // Unix ms until which nothing is granted; 0 not
	Note    string
	Open    int64 // items of running crawls that could be fetched or are
}

// GroupLimits is what another Raft group found out about the server of merged
// hosts. What is 0 or empty changes nothing.
type GroupLimits struct {
	Name string
	// Rate takes the place of a higher one. That of a lower one it takes only
	// where this is Was: it may have fallen meanwhile.
	Rate    salvor.Pace
	Was     salvor.Pace
	Ceiling salvor.Pace // an operator's
	Blocked int64       // Unix ms; a block that ends later stays
	Note    string      // why the rate is lower, or why there is a block
}

// Budgets merges hosts. A Raft group has those of its own hosts only; where a
// budget group spans several, their shares are set one by one, and raised only
// when what they are raised by was given up elsewhere a lease time ago.
type Budgets interface {
	// MergeHosts makes a group, or gives it other hosts; without hosts it is
	// dissolved. Who joins brings its limits if they are stricter, who leaves
	// keeps the group's.
	MergeHosts(ctx context.Context, g HostGroup) error
	// SetShare changes the Share of a group.
	SetShare(ctx context.Context, name string, share salvor.Pace) error
	// SetLimits tells a group what is known elsewhere of its server.
	SetLimits(ctx context.Context, l GroupLimits) error
	// HostGroups lists the groups by name.
	HostGroups(ctx context.Context) ([]HostGroup, error)
}
