// Package rpc carries api.Group between processes: connect over HTTP with TLS,
// messages in protobuf, or in JSON for scripts.
//
// NewHandler is for a coordinator, which serves its groups with it; Client is
// for a worker or a tool, to whom it is the api.Group of one group, wherever
// its leader is. It guarantees that
//   - errors arrive as they were sent: class, message, hint, api.NotLeader;
//   - the network's own troubles are of class Unavailable, an ended context is
//     Interrupted;
//   - a call whose outcome is unknown is repeated by a Client only where that
//     is harmless;
//   - nothing received is held without bound, and no call waits for ever for a
//     peer that is dead.
package rpc

import "time"

// GroupHeader names, in a request, the group that is meant, by its number.
const GroupHeader = "Salvor-Group"

const (
	// maxRequest is more than the largest batch of a worker: 256 offers with
	// URL and via of 32 KB each.
	maxRequest = 24 << 20
	// maxAnswer bounds what a client reads; aimAnswer is where an answer with
	// leases is cut, one lease having at most 1000 items.
	maxAnswer = 192 << 20
	aimAnswer = 64 << 20

	// walkBatch items, or walkEvery, whichever comes first, make a message of
	// a Walk; the client gives up after walkIdle without one.
	walkBatch = 512
	walkBytes = 256 << 10
	walkEvery = 2 * time.Second
	walkIdle  = 12 * time.Second
	// walkStall is how long a client may leave a message unread.
	walkStall = 30 * time.Second
)
