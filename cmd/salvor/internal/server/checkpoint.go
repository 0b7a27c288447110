package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/coordinator"
	"salvor/storage"
	"salvor/storage/durable"
)

// Copies of the groups' states lie in the Store under cluster/, for the case
// that a majority of the coordinators is lost for good (protocol 10).

const (
	checkpointDir   = "cluster/checkpoints/"
	checkpointsKept = 3
	// checkpointLook is how often it is asked whether one is due: a new leader
	// begins soon.
	checkpointLook = 5 * time.Second
	// checkpointSoon is when one that could not be made is tried again.
	checkpointSoon = 30 * time.Second
)

// stampForm is how a copy's name begins: names sort as times do.
const stampForm = "20060102T150405.000Z"

// groupDir is where a group's checkpoints lie.
func groupDir(group int) string { return fmt.Sprintf("%sgroup-%02d/", checkpointDir, group) }

// checkpointLoop puts a copy of each group that this node leads into the Store,
// when it begins to lead and every so often.
func (n *node) checkpointLoop(ctx context.Context) {
	if n.store == nil || n.direct { // the directory lies on the same disk as the state
		return
	}
	next, copied := make([]time.Time, n.coord.Groups()), make([]string, n.coord.Groups())
	for wait(ctx, checkpointLook) {
		for i := range next {
			g := n.coord.Group(i)
			if !g.Leads() {
				next[i] = time.Time{}
				continue
			}
			crawls := crawlsOf(ctx, g)
			if time.Now().Before(next[i]) && crawls == copied[i] {
				continue
			}
			copied[i] = crawls
			next[i] = time.Now().Add(n.c.Checkpoint)
			err := n.checkpoint(ctx, i, g)
			switch {
			case err == nil:
				continue
			case salvor.ClassOf(err) == salvor.NotFound: // nothing happened in the group yet
			case ctx.Err() == nil:
				n.log.Warn("no copy of the state could be put into the store", "group", i, "error", err)
			}
			next[i] = time.Now().Add(min(checkpointSoon, n.c.Checkpoint))
		}
	}
}

// crawlsOf tells the crawls of a group and their versions: a copy without the
// newest is made anew at once, since what is saved of it lies in the Store
// already.
func crawlsOf(ctx context.Context, g *coordinator.Group) string {
	list, err := g.Crawls(ctx)
	if err != nil {
		return ""
	}
	var b strings.Builder
	for _, c := range list {
		fmt.Fprintf(&b, "%d.%d.%d ", c.ID, c.Version, c.State)
	}
	return b.String()
}

// checkpoint puts one copy, by way of a file: an object's length and digest
// come first.
func (n *node) checkpoint(ctx context.Context, i int, g *coordinator.Group) error {
	f, err := os.CreateTemp(n.c.Dir, ".checkpoint-*"+durable.TempSuffix)
	if err != nil {
		return durable.Error(err, "create file in", n.c.Dir)
	}
	defer os.Remove(f.Name())
	if err := g.Checkpoint(ctx, f); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return durable.Error(err, "write", f.Name())
	}
	b, err := storage.ReadFileBlob(f.Name())
	if err != nil {
		return err
	}
	key := groupDir(i) + time.Now().UTC().Format(stampForm) + "-" + n.id.Peer().Name + ".tar"
	if _, err := n.store.Put(ctx, key, b, storage.PutOptions{Type: "application/x-tar"}); err != nil {
		return err
	}
	return prune(ctx, n.store, i)
}

// checkpoints are the keys of a group's copies, oldest first.
func checkpoints(ctx context.Context, s storage.Store, group int) (keys []string, err error) {
	for info, err := range s.List(ctx, groupDir(group), "") {
		if err != nil {
			return nil, err
		}
		if strings.HasSuffix(info.Key, ".tar") {
			keys = append(keys, info.Key)
		}
	}
	slices.Sort(keys)
	return keys, nil
}

// prune removes all but the newest copies. What cannot be removed, as under a
// retention, stays.
func prune(ctx context.Context, s storage.Store, group int) error {
	keys, err := checkpoints(ctx, s, group)
	if err != nil {
		return err
	}
	for _, k := range keys[:max(0, len(keys)-checkpointsKept)] {
		if err := s.Delete(ctx, k); err != nil && salvor.ClassOf(err) == salvor.Unavailable {
			return err
		}
	}
	return nil
}
