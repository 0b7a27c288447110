package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"salvor"
	"salvor/api"
	"salvor/storage/durable"
)

// reform tells the registry of a restored cluster who is there no more: the
// other coordinators, and without the old authority everybody else and all keys
// and tokens, which nothing could verify any more.
func (n *node) reform(ctx context.Context) error {
	path := n.c.path(restoredFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return durable.Error(err, "read", path)
	}
	var r restoredCluster
	if err := json.Unmarshal(b, &r); err != nil {
		return salvor.Errorf(salvor.Internal, "read %s: %w", path, err)
	}
	for i := range n.coord.Groups() {
		if err := n.coord.Group(i).EndSessions(ctx); err != nil {
			return err
		}
	}
	if err := n.unite(ctx); err != nil {
		return err
	}
	if err := n.removeOthers(ctx, r.Authority); err != nil {
		return err
	}
	if !r.Authority {
		if err := n.dropCredentials(ctx, r.At); err != nil {
			return err
		}
	}
	return nil
}

// caughtUp is an error of class Unavailable while a restored cluster does not
// know all that is in its Store.
func (n *node) caughtUp(ctx context.Context) error {
	path := n.c.path(restoredFile)
	if !fileExists(path) {
		return nil
	}
	crawls, err := n.router.Crawls(ctx)
	if err != nil {
		return err
	}
	var running []salvor.CrawlID
	for _, c := range crawls {
		if c.State == salvor.CrawlRunning {
			running = append(running, c.ID)
		}
	}
	f := n.workers()
	if f == nil {
		return salvor.Errorf(salvor.Unavailable, "the worker of the restored cluster has not begun")
	}
	if ok, err := f.Caught(running); err != nil || !ok {
		return errors.Join(err, salvor.Errorf(salvor.Unavailable, "what was stored after the copy is being reported again"))
	}
	if err := os.Remove(path); err != nil {
		return durable.Error(err, "remove", path)
	}
	n.log.Info("the cluster was brought back from its store, and knows what is there")
	return durable.SyncDir(n.c.Dir)
}

// unite brings the crawls of all groups together.
func (n *node) unite(ctx context.Context) error {
	groups := make([]api.Group, n.coord.Groups())
	for i := range groups {
		groups[i] = n.coord.Group(i)
	}
	return errors.Join(unite(ctx, groups), leapSegments(ctx, groups[0]))
}

// leapSegments makes the numbers of new segments begin beyond those that workers
// got after the copies: what they and the other groups cite is theirs.
func leapSegments(ctx context.Context, group api.Group) error {
	all, err := group.Segments(ctx)
	if err != nil {
		return err
	}
	var last salvor.SegmentID
	for _, s := range all {
		last = max(last, s.ID)
	}
	mark := api.Segment{ID: last + leap, Name: fmt.Sprintf("restored-%d", last+leap), State: api.SegmentStored}
	return group.SetSegment(ctx, mark)
}

// leap is by how much versions and scopes rise with a restore: beyond what anybody
// may have seen after the copies.
const leap = 1 << 16

// unite makes group 0 the source of all crawls again. The copies of the groups are
// of different moments: another group may know a crawl whose number group 0 would
// give away again, or a version or a scope that group 0 has yet to come to. And
// workers that live know what was there after all copies.
func unite(ctx context.Context, groups []api.Group) error {
	newest := map[salvor.CrawlID]api.Crawl{}
	for g := range groups {
		list, err := groups[g].Crawls(ctx)
		if err != nil {
			return err
		}
		for _, c := range list {
			was, ok := newest[c.ID]
			if ok && (c.HashKey != was.HashKey || c.Version <= was.Version) {
				continue
			}
			if g > 0 && c.State == salvor.CrawlFinished {
				c.State = salvor.CrawlRunning // group 0 may have open items yet
			}
			newest[c.ID] = c
		}
	}
	for _, id := range slices.Sorted(maps.Keys(newest)) {
		c := newest[id]
		c.Version += leap
		c.Scope += leap
		if err := groups[0].AdoptCrawl(ctx, c); err != nil { // the steward brings it to the others
			return err
		}
	}
	return nil
}

// removeOthers marks lost nodes as removed.
func (n *node) removeOthers(ctx context.Context, onlyCoordinators bool) error {
	records, err := n.router.Records(ctx, api.TableNodes)
	if err != nil {
		return err
	}
	for _, rec := range records {
		var row api.Node
		if err := json.Unmarshal(rec.Value, &row); err != nil {
			return salvor.Errorf(salvor.Internal, "read a node's row: %w", err)
		}
		lost := !onlyCoordinators || slices.Contains(row.Roles, api.RoleCoordinator)
		if row.ID == n.id.ID() || row.State == api.NodeRemoved || !lost {
			continue
		}
		row.State = api.NodeRemoved
		if rec.Value, err = json.Marshal(row); err != nil {
			return err
		}
		if _, err := n.router.SetRecord(ctx, rec); err != nil {
			return err
		}
	}
	return nil
}

// dropCredentials removes keys and tokens that pin the old authority: those
// made before the copy.
func (n *node) dropCredentials(ctx context.Context, before time.Time) error {
	for _, table := range []string{api.TableKeys, api.TableTokens} {
		records, err := n.router.Records(ctx, table)
		if err != nil {
			return err
		}
		for _, rec := range records {
			var made struct {
				Created int64 `json:"created"`
			}
			if err := json.Unmarshal(rec.Value, &made); err == nil && made.Created > before.UnixMilli() {
				continue
			}
			rec.Value = nil
			if _, err := n.router.SetRecord(ctx, rec); err != nil {
				return err
			}
		}
	}
	return nil
}
