package coordinator

import (
	"io"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// tcp is a real network transport, which has the fast path; the in-memory one
// never had it and cannot show #695.
func tcp(t *testing.T) *raft.NetworkTransport {
	t.Helper()
	n, err := raft.NewTCPTransport("127.0.0.1:0", nil, 1, time.Second, io.Discard)
	must(t, err)
	t.Cleanup(func() { n.Close() })
	return n
}

func TestHeartbeatsTakeTheMainLoop(t *testing.T) {
	to := tcp(t)
	newLink(to, systemClock{}).SetHeartbeatHandler(func(raft.RPC) {
		t.Error("a heartbeat was handled beside the main loop (hashicorp/raft#695)")
	})
	go func() {
		rpc := <-to.Consumer()
		rpc.Respond(&raft.AppendEntriesResponse{Success: true}, nil)
	}()
	beat := raft.AppendEntriesRequest{
		RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte("x"), Addr: []byte("y")}, Term: 1,
	}
	var resp raft.AppendEntriesResponse
	must(t, tcp(t).AppendEntries("to", to.LocalAddr(), &beat, &resp))
	if !resp.Success {
		t.Error("the main loop's answer did not come back")
	}
}

// handlerSpy fails the test if Raft reaches the transport's own method.
type handlerSpy struct {
	*raft.InmemTransport
	t *testing.T
}

func (h handlerSpy) SetHeartbeatHandler(func(raft.RPC)) {
	h.t.Error("raft was given the transport without its wrapper")
}

func TestGroupWrapsTransport(t *testing.T) {
	c := soloConfig(t, t.TempDir())
	c.Net = handlerSpy{loopback("one"), t}
	g := startSolo(t, c)
	must(t, g.rebuild())
	awaitLead(t, g) // the old one's end
	awaitLead(t, g)
	proposeAll(t, g, 0, 1)
	must(t, g.close())
}

// Connections in the pool may be dead by the time of the next election.
func TestVotesSurviveDeadConnections(t *testing.T) {
	from, to := tcp(t), tcp(t)
	addr := to.LocalAddr()
	l := newLink(from, systemClock{})
	answer := func(n *raft.NetworkTransport) {
		for rpc := range n.Consumer() {
			rpc.Respond(&raft.RequestVoteResponse{Granted: true}, nil)
		}
	}
	go answer(to)
	ask := func() error {
		var resp raft.RequestVoteResponse
		err := l.RequestVote("to", addr, &raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}, &resp)
		if err == nil && !resp.Granted {
			t.Error("not granted")
		}
		return err
	}
	must(t, ask())
	to.Close()
	to.CloseStreams()
	var again *raft.NetworkTransport
	for range 100 {
		var err error
		if again, err = raft.NewTCPTransport(string(addr), nil, 1, time.Second, io.Discard); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Cleanup(func() { again.Close() })
	go answer(again)
	must(t, ask())
}
