package api

import (
	"context"
	"fmt"

	"salvor"
)

// Group is what one Raft group answers: a Coordinator for the hosts it owns.
// Only the group's leader serves it; the others answer Unavailable, and name
// the leader where they know it (NotLeader). A router makes one Coordinator of
// all groups of a cluster.
type Group interface {
	Coordinator
	Registry
	// RegisterAs is Register with a session that the caller drew, so that all
	// groups know a worker's run by one number. Repeating it is harmless.
	RegisterAs(ctx context.Context, worker string, s salvor.SessionID) error
	// AdoptCrawl brings this group's copy of a crawl up to group 0's, which is
	// the source. A copy of the same or a later version is left as it is.
	AdoptCrawl(ctx context.Context, c Crawl) error
	// CloseCrawl finishes a crawl in this group; Conflict while it has open
	// items (protocol 7).
	CloseCrawl(ctx context.Context, id salvor.CrawlID) error
}

// NotLeader is the error, of class Unavailable, of a node that was asked for
// what only the leader of a group answers.
type NotLeader struct {
	Group  int
	Leader string // host:port of the leader's API; "" not known
}

func (e *NotLeader) Error() string {
	if e.Leader == "" {
		return fmt.Sprintf("group %d has no leader now", e.Group)
	}
	return fmt.Sprintf("the leader of group %d is %s", e.Group, e.Leader)
}

// Registry is the replicated table of small records that group 0 keeps of the
// cluster itself: nodes, keys, join tokens, settings. Values are opaque to it.
type Registry interface {
	// Records lists a table in the order of its keys. The read is linearizable.
	Records(ctx context.Context, table string) ([]Record, error)
	// SetRecord puts a record in the place of the one with version r.Version;
	// 0 says that there is none. Conflict when that is not so. An empty value
	// removes the record. It returns the new version. After Unavailable read
	// the record again: the change may have been made.
	SetRecord(ctx context.Context, r Record) (version uint64, err error)
}

// Record is one row of the Registry.
type Record struct {
	Table   string // at most 32 bytes, not empty
	Key     string // at most 255 bytes, not empty
	Value   []byte // at most MaxRecord
	Version uint64 // of the row; rises with each change
}

// MaxRecord is the largest value of a Record, in bytes.
const MaxRecord = 64 << 10

// MaxGroups is how many groups a cluster may have.
const MaxGroups = 16

// GroupOf is the group that owns a host: the partition key of the frontier,
// fixed for good. It is FNV-1a, 64 bits, of the host's name, modulo groups.
func GroupOf(host string, groups int) int {
	h := uint64(14695981039346656037)
	for i := range len(host) {
		h = (h ^ uint64(host[i])) * 1099511628211
	}
	return int(h % uint64(groups))
}

// Role is what a node does, or what the holder of a key may do.
type Role string

const (
	RoleCoordinator Role = "coordinator" // a node that holds the frontier and votes
	RoleWorker      Role = "worker"      // a node that fetches
	RoleAccess      Role = "access"      // a node that researchers talk to
	RoleAdmin       Role = "admin"       // a person who may do everything, keys and members included
	RoleOperator    Role = "operator"    // a person who seeds and steers crawls
	RoleResearcher  Role = "researcher"  // a person who reads
)

// Tables of the Registry. Values are JSON of the type named.
const (
	TableCluster = "cluster" // one row, key "settings": ClusterSettings
	TableNodes   = "nodes"   // by node id: Node
	TableKeys    = "keys"    // by key id: the trust package's
	TableTokens  = "tokens"  // by token id: the trust package's
	TableBudgets = "budgets" // by name: the merge package's
	TableSites   = "sites"   // by site: risk.Site's
	TableSeen    = "seen"    // by site: risk.History's
	TableAudit   = "audit"   // pages of lines: the audit package's
)

// SettingsKey is the key of the one row of TableCluster.
const SettingsKey = "settings"

// ClusterSettings are fixed when the cluster is made, but for the level.
type ClusterSettings struct {
	ID      string `json:"id"`      // drawn at creation; names the cluster in certificates
	Groups  int    `json:"groups"`  // 1 to MaxGroups
	Level   uint16 `json:"level"`   // feature level in force; rises when every coordinator has it
	Created int64  `json:"created"` // Unix ms
	Store   string `json:"store"`   // URL without credentials; "" is the first node's directory
}

// Node is a machine of the cluster. Name is its pseudonym: what stands in file
// names, WARC and exports. Address and Host stay in this table, which only
// admins read.
type Node struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Roles   []Role    `json:"roles"`
	Address string    `json:"address,omitempty"` // host:port of its API; a worker that is no coordinator has none
	Host    string    `json:"host,omitempty"`    // the machine's real name
	Level   uint16    `json:"level"`             // the newest feature level it can run at
	Version string    `json:"version"`           // of its program
	Joined  int64     `json:"joined"`            // Unix ms
	State   NodeState `json:"state"`
}

// NodeState is what an admin wants of a node.
type NodeState string

const (
	NodeActive   NodeState = "active"
	NodeDraining NodeState = "draining" // it takes no new work, and leads nothing if another can
	NodeRemoved  NodeState = "removed"  // its certificate is refused
)
