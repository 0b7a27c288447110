package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"

	"salvor/storage/durable"
)

// A server that lost its disk comes back under its old id with an empty log.
// The others still count it as a voter: with its vote they could elect a leader
// that never had what this server once helped to commit. So a directory that
// begins empty, in a group that exists already, is marked blank: as long as it
// is, only those may talk to it who know it as a non-voter. The leader hears so
// and takes its vote away (members.go); the mark goes when a committed
// configuration here says that it has none. From then on it is a newcomer like
// any other.
const (
	blankFile  = "blank"
	blankEvery = 100 * time.Millisecond
)

// markBlank reads the mark, or makes it before anything else is written.
func (g *replica[M]) markBlank() error {
	if !g.c.Joins {
		return nil
	}
	path := filepath.Join(g.c.Dir, blankFile)
	_, err := os.Stat(path)
	if err == nil {
		g.blank.Store(true)
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return durable.Error(err, "read", path)
	}
	old, err := raft.HasExistingState(g.wal, g.wal, g.snaps)
	if err != nil {
		return durable.Error(err, "start raft in", g.c.Dir)
	}
	if old {
		return nil
	}
	g.blank.Store(true)
	return durable.WriteFile(path, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, "This server takes part once the leader has taken it in as one without a vote.")
		return err
	})
}

// admit is the answer to a server that wants to talk Raft and knows this one so.
func (g *replica[M]) admit(as byte) byte {
	if g.blank.Load() && as != asNonvoter {
		return isBlank
	}
	return welcome
}

// knows is how the configuration here knows an address.
func (g *replica[M]) knows(a raft.ServerAddress) byte {
	for _, s := range g.servers() {
		if s.Address == a && s.Suffrage == raft.Voter {
			return asVoter
		}
		if s.Address == a {
			return asNonvoter
		}
	}
	return asOther
}

// blankLoop takes the mark away when it may go: once everything is committed
// that was in the log when the configuration was first seen to have this server
// without a vote.
func (g *replica[M]) blankLoop(ctx context.Context) {
	var last uint64 // 0: not seen
	for g.blank.Load() && wait(ctx, g.c.Clock, blankEvery) {
		r := g.newest.Load()
		switch {
		case !g.voteless():
			last = 0
			continue
		case last == 0:
			last = r.LastIndex()
		}
		if r.CommitIndex() < last {
			continue
		}
		path := filepath.Join(g.c.Dir, blankFile)
		if err := errors.Join(os.Remove(path), durable.SyncDir(g.c.Dir)); err != nil {
			g.log.Warn("still blank", "error", err)
			continue
		}
		g.blank.Store(false)
	}
}

// voteless says that the configuration has this server, without a vote.
func (g *replica[M]) voteless() bool {
	for _, s := range g.servers() {
		if s.ID == g.c.ID {
			return s.Suffrage != raft.Voter
		}
	}
	return false
}
