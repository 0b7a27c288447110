package coordinator

import (
	"time"

	"github.com/hashicorp/raft"
)

// transport is what a group needs of a raft transport: messages and pre-votes.
type transport interface {
	raft.Transport
	raft.WithPreVote
}

// slowHeartbeats takes a transport's heartbeat fast path away.
//
// On that path a heartbeat is handled on the transport's goroutine and may
// raise the term between two steps of a leader, which then writes entries
// under a term it does not lead (hashicorp/raft#695, open). Without a handler
// heartbeats go through the main loop like every other message; the price is
// that they wait for a log write, which the limit on entry sizes bounds.
//
// The wrapper has no Close: Raft must not close what outlives a rebuilt Raft.
type slowHeartbeats struct{ transport }

// SetHeartbeatHandler implements raft.Transport and forgets the handler.
func (slowHeartbeats) SetHeartbeatHandler(func(raft.RPC)) {}

var _ transport = slowHeartbeats{}

// loopback carries messages of a group with one voter: to itself, in process,
// without a socket. The address is real all the same, it stands in the
// replicated configuration and is changed when voters join.
func loopback(addr raft.ServerAddress) *raft.InmemTransport {
	_, t := raft.NewInmemTransportWithTimeout(addr, time.Second)
	t.Connect(addr, t)
	return t
}
