package coordinator

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// hearing is what a group's messages told of the other servers.
type hearing struct {
	clock Clock

	mu     sync.Mutex
	peers  map[raft.ServerID]*peer
	commit uint64 // the newest commit index a leader told this node
}

// peer is what is known of one of them.
type peer struct {
	last    uint64    // index of the last entry of its log
	at      time.Time // of its last answer; zero: none
	sending int       // snapshots on their way to it
	blank   bool      // it said that it lost its log
}

func newHearing(c Clock) *hearing { return &hearing{clock: c, peers: map[raft.ServerID]*peer{}} }

// of finds or makes a peer. h.mu is held.
func (h *hearing) of(id raft.ServerID) *peer {
	p := h.peers[id]
	if p == nil {
		p = &peer{}
		h.peers[id] = p
	}
	return p
}

// get is what is known of a server now.
func (h *hearing) get(id raft.ServerID) peer {
	h.mu.Lock()
	defer h.mu.Unlock()
	return *h.of(id)
}

// answer notes that a server answered.
func (h *hearing) answer(id raft.ServerID, last uint64) {
	now := h.clock.Now()
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.of(id)
	p.last, p.at, p.blank = last, now, false
}

// blank notes that a server refused because its directory is new.
func (h *hearing) blank(id raft.ServerID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of(id).blank = true
}

// sending notes that a snapshot is on its way, until done is called.
func (h *hearing) sending(id raft.ServerID) (done func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.of(id).sending++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.of(id).sending--
	}
}

// order notes a leader's commit index; heartbeats have none.
func (h *hearing) order(commit uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commit = max(h.commit, commit)
}

// told is the newest commit index that a leader told.
func (h *hearing) told() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.commit
}
