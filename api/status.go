package api

import "salvor"

// Status is a cluster at one moment, as one of its coordinators sees it. It is
// what GET /v1/status answers as JSON. Nothing in it went through Raft.
type Status struct {
	At      int64           `json:"at"` // Unix ms
	Cluster ClusterSettings `json:"cluster"`
	Nodes   []NodeStatus    `json:"nodes"` // by name
}

// NodeStatus is what a node said of itself last.
type NodeStatus struct {
	Node    Node          `json:"node"`
	At      int64         `json:"at,omitempty"`      // Unix ms of what follows; 0: never heard of
	Run     string        `json:"run,omitempty"`     // a name that each of its processes draws
	Began   int64         `json:"began,omitempty"`   // Unix ms, when this one did
	Silent  string        `json:"silent,omitempty"`  // why nothing newer is known
	Ready   bool          `json:"ready"`             // as /readyz says
	Reasons []string      `json:"reasons,omitempty"` // why it is not
	Groups  []GroupStatus `json:"groups,omitempty"`  // a coordinator's
	Work    []Work        `json:"work,omitempty"`    // a worker's, a row a crawl
	Load    *Load         `json:"load,omitempty"`    // a worker's
}

// Load is how much of what a worker has is in use, each as a share of 0 to 1,
// over the last seconds.
type Load struct {
	Rate        float64 `json:"rate"`        // requests a second, of all crawls
	Connections float64 `json:"connections"` // under way, of those it may have
	CPU         float64 `json:"cpu"`         // of the machine's processors, by this process
	Requests    float64 `json:"requests"`    // of the requests a second it may make; 0 without a bound
	Egress      float64 `json:"egress"`      // of the bytes a second it may receive; 0 without a bound
	Spool       float64 `json:"spool"`       // of the room for segments that wait for the Store
}

// Use is the share of what is used most: a worker does Rate / Use at most.
func (l Load) Use() float64 { return max(l.Connections, l.CPU, l.Requests, l.Egress) }

// GroupStatus is one Raft group as one node sees it.
type GroupStatus struct {
	Group       int      `json:"group"`
	State       string   `json:"state"`            // leader, follower, candidate, stopped
	Leader      string   `json:"leader,omitempty"` // node id
	Address     string   `json:"address,omitempty"`
	Term        uint64   `json:"term"`
	Commit      uint64   `json:"commit"`
	Applied     uint64   `json:"applied"`
	LastContact int64    `json:"last_contact_ms"` // ms since the leader was heard of; -1 never
	LogBytes    int64    `json:"log_bytes"`       // since the newest snapshot
	Voters      []string `json:"voters,omitempty"`
	Nonvoters   []string `json:"nonvoters,omitempty"`
}

// Work is what a worker does for one crawl.
type Work struct {
	Crawl    salvor.CrawlID `json:"crawl"`
	Name     string         `json:"name"`
	State    string         `json:"state"`             // starting, running, paused, draining, failed, ended
	Requests int64          `json:"requests"`          // of this run of the worker
	Captures int64          `json:"captures"`          // the same
	Bytes    int64          `json:"bytes"`             // received, the same
	Errors   int64          `json:"errors"`            // time-outs, resets
	Rate     float64        `json:"rate"`              // requests a second lately
	Held     int64          `json:"held"`              // captures that wait for the Store
	Spooled  int64          `json:"spooled"`           // bytes of segments that wait for it
	Why      string         `json:"why,omitempty"`     // nothing starts, and why
	Error    string         `json:"error,omitempty"`   // the last thing that went wrong
	Refused  string         `json:"refused,omitempty"` // a segment that can never be stored, and why
}
