package coordinator

import (
	"errors"
	"io"
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

// link is the transport as a replica's Raft sees it: no fast path, and what the
// messages tell of the other servers is noted on the way.
type link struct {
	slowHeartbeats
	heard *hearing
	in    chan raft.RPC
}

func newLink(t transport, c Clock) *link {
	return &link{slowHeartbeats: slowHeartbeats{t}, heard: newHearing(c), in: make(chan raft.RPC)}
}

// Consumer implements raft.Transport.
func (l *link) Consumer() <-chan raft.RPC { return l.in }

// carry passes on what arrives until ended is closed.
func (l *link) carry(ended <-chan struct{}) {
	from := l.slowHeartbeats.Consumer()
	for {
		select {
		case rpc := <-from:
			if a, ok := rpc.Command.(*raft.AppendEntriesRequest); ok {
				l.heard.order(a.LeaderCommitIndex)
			}
			select {
			case l.in <- rpc:
			case <-ended:
				rpc.Respond(nil, raft.ErrRaftShutdown)
				return
			}
		case <-ended:
			return
		}
	}
}

// AppendEntries implements raft.Transport. Heartbeats come this way even while
// entries go through a pipeline, so the answers tell how far a follower is.
func (l *link) AppendEntries(id raft.ServerID, to raft.ServerAddress, req *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	err := l.slowHeartbeats.AppendEntries(id, to, req, resp)
	if err == nil {
		l.heard.answer(id, resp.LastLog)
	} else if errors.Is(err, errBlank) {
		l.heard.blank(id)
	}
	return err
}

// InstallSnapshot implements raft.Transport.
func (l *link) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, req *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	defer l.heard.sending(id)()
	return l.slowHeartbeats.InstallSnapshot(id, to, req, resp, data)
}

// RequestVote implements raft.Transport.
func (l *link) RequestVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	return l.ask(func() error { return l.slowHeartbeats.RequestVote(id, to, req, resp) })
}

// RequestPreVote implements raft.WithPreVote.
func (l *link) RequestPreVote(id raft.ServerID, to raft.ServerAddress, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	return l.ask(func() error { return l.slowHeartbeats.RequestPreVote(id, to, req, resp) })
}

// TimeoutNow implements raft.Transport.
func (l *link) TimeoutNow(id raft.ServerID, to raft.ServerAddress, req *raft.TimeoutNowRequest, resp *raft.TimeoutNowResponse) error {
	return l.ask(func() error { return l.slowHeartbeats.TimeoutNow(id, to, req, resp) })
}

// quickly is how fast a message fails on a connection that was dead already.
const quickly = 200 * time.Millisecond

// ask repeats a message that is harmless twice as long as it fails at once:
// connections wait in a pool for the next election, perhaps for days, and the
// other side may have been started anew meanwhile. An election that fails for
// that takes a whole time-out more.
func (l *link) ask(send func() error) error {
	began := l.heard.clock.Now()
	var err error
	for range connPool + 1 {
		if err = send(); err == nil || l.heard.clock.Now().Sub(began) > quickly {
			return err
		}
	}
	return err
}

// nudge gives this server the message by which a leader hands over. It does not
// wait for long: without it the election only comes later.
func (l *link) nudge(self raft.Server) {
	rpc := raft.RPC{RespChan: make(chan raft.RPCResponse, 1), Command: &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(self.ID), Addr: []byte(self.Address),
	}}}
	late, stop := l.heard.clock.After(quickly)
	defer stop()
	select {
	case l.in <- rpc:
	case <-late:
	}
}
