package coordinator

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"salvor"
	"salvor/api"
)

// depose makes the leader step down; alone it is elected again soon.
func depose(t testing.TB, n *Group) {
	t.Helper()
	req := raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{
		ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(n.self.ID), Addr: []byte(n.self.Address),
	}}
	must(t, n.net.TimeoutNow(n.self.ID, n.self.Address, &req, &raft.TimeoutNowResponse{}))
}

// The nudge for an early election may come after the election.
func TestLateNudgeDeposesNobody(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	term := func() (term uint64) {
		must(t, r.replica.use(func(r *raft.Raft) error { term = r.CurrentTerm(); return nil }))
		return term
	}
	before := term()
	r.candidate()
	r.discover("a.example", 0, 1)
	if now := term(); now != before {
		t.Errorf("term %d after the nudge, %d before", now, before)
	}
}

func TestCallsOutliveALostLead(t *testing.T) {
	r := newRescue(t, startNode(t, t.TempDir()))
	r.discover("a.example", 0, 100)
	l := r.lease(api.Want{Hosts: 1, Items: 10})[0]
	until := time.Now().Add(2 * time.Second)
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for time.Now().Before(until) {
			depose(t, r.Group)
			time.Sleep(300 * time.Millisecond)
		}
		close(stop)
	}()
	defer func() { <-ended }()
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		default:
		}
		r.discover("a.example", 100+i, 101+i)
		r.totals()
		_, err := r.OpenSegment(t.Context(), r.call(), "seg")
		must(t, err)
		must(t, r.SetCeiling(t.Context(), r.crawl.ID, "a.example", salvor.Pace(1000+i%7)))
		must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: "a.example", Requests: 5, Limited: true}}))
		_, err = r.Extend(t.Context(), r.call(), api.Holdings{Seen: l.ID, Leases: []api.Extension{{Lease: l.ID, Pace: l.Pace}}})
		must(t, err)
		_, err = r.Register(t.Context(), "another")
		must(t, err)
	}
}

// What may have been applied is not repeated unless that is harmless.
func TestInsist(t *testing.T) {
	n := startNode(t, t.TempDir())
	for _, c := range []struct {
		err      error
		harmless bool
		tries    int
	}{
		{raft.ErrNotLeader, false, 3},
		{raft.ErrLeadershipLost, true, 3},
		{raft.ErrLeadershipLost, false, 1},
		{raft.ErrRaftShutdown, true, 1},
		{errors.New("boom"), true, 1},
	} {
		tries := 0
		_, err := insist(t.Context(), n, c.harmless, func() (int, error) {
			if tries++; tries == 3 {
				return 0, nil
			}
			return 0, raftError(c.err)
		})
		if tries != c.tries || (err == nil) != (c.tries == 3) {
			t.Errorf("%v, harmless %t: %d tries, %v", c.err, c.harmless, tries, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := insist(ctx, n, true, func() (int, error) { return 0, raftError(raft.ErrNotLeader) })
	if salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("at the end of its time: %v", err)
	}
	n.fail(errClosed)
	_, err = insist(t.Context(), n, true, func() (int, error) { return 0, raftError(raft.ErrNotLeader) })
	if !errors.Is(err, errClosed) {
		t.Errorf("of a closed node: %v", err)
	}
}

// A reign begins though its first barrier fails, as long as Raft leads.
func TestAccessionIsRetried(t *testing.T) {
	n := startNode(t, t.TempDir())
	tries := 0
	once := func() error {
		if tries++; tries < 3 {
			return raftError(raft.ErrEnqueueTimeout)
		}
		return nil
	}
	must(t, n.patiently(t.Context(), func() bool { return true }, once))
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}
	tries = 0
	if err := n.patiently(t.Context(), func() bool { return false }, once); err == nil || tries != 1 {
		t.Errorf("without the lead: %d tries, %v", tries, err)
	}
}
