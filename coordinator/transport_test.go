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
	slowHeartbeats{to}.SetHeartbeatHandler(func(raft.RPC) {
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
