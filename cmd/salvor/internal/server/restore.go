package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/fleet"
	"salvor/cmd/salvor/internal/job"
	"salvor/coordinator"
	"salvor/coordinator/trust"
	"salvor/storage"
	"salvor/storage/durable"
)

// A cluster whose coordinators are lost for good is made anew from the bucket:
// the newest copy of each group, and then, by the worker of the first node, the
// journals of what was stored after it.

// settingsKey says whose Store it is, and what a restored cluster must keep.
const settingsKey = "cluster/cluster.json"

const (
	restoringFile = "restoring" // while a restore is under way
	restoredFile  = "restored.json"
)

// restoredCluster is the JSON of restoredFile: what is left to do in the
// registry of a restored cluster.
type restoredCluster struct {
	At        time.Time `json:"at"`        // of the oldest copy that was used
	Authority bool      `json:"authority"` // the old authority was there: its nodes and keys go on
}

// claimStore puts the cluster's settings into the Store, and refuses a Store
// that is another cluster's.
func claimStore(ctx context.Context, s storage.Store, c api.ClusterSettings) error {
	c.Level = 0
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	_, err = s.Put(ctx, settingsKey, storage.BytesBlob(append(b, '\n')), storage.PutOptions{Type: "application/json"})
	if salvor.ClassOf(err) == salvor.Conflict {
		return salvor.Errorf(salvor.Conflict, "the store belongs to another cluster").
			WithHint("name another prefix with --store; if that cluster is lost, bring it back: salvor cluster restore --store URL")
	}
	return err
}

// Restore makes the first node of a cluster that was lost, in a new directory,
// from the Store that c names. An authority that lies in the identity's
// directory already, from a backup, is kept, and with it nodes and keys are.
// A Restore that was broken off may be repeated.
//
// While the newest copy is young a coordinator may still run: then force is
// needed.
func Restore(ctx context.Context, c Config, version string, open job.OpenStore, force bool) (*trust.Identity, time.Time, error) {
	var oldest time.Time
	if !c.Has(api.RoleWorker) || !c.Has(api.RoleCoordinator) {
		return nil, oldest, salvor.Errorf(salvor.Invalid, "the first node of a restored cluster coordinates and works, and roles says %v", c.Roles).WithHint("leave roles out")
	}
	if c.Store == "" {
		return nil, oldest, salvor.Errorf(salvor.Invalid, "a cluster is brought back from its store, and none was named").WithHint("salvor cluster restore --store s3://BUCKET/PREFIX?endpoint=...")
	}
	s, err := open(ctx, job.StoreRequest{URL: c.Store})
	if err != nil {
		return nil, oldest, err
	}
	settings, err := storedSettings(ctx, s)
	if err != nil {
		return nil, oldest, err
	}
	if err := lookAlive(ctx, s, settings, force); err != nil {
		return nil, oldest, err
	}
	id, kept, err := refound(c, version, settings)
	if err != nil {
		return nil, oldest, err
	}
	if err := os.RemoveAll(c.path("coordinator")); err != nil { // of an attempt that was killed
		return nil, oldest, durable.Error(err, "remove", c.path("coordinator"))
	}
	for g := range settings.Groups {
		at, err := restoreGroup(ctx, c, s, g, id.ID())
		if err != nil {
			return nil, oldest, err
		}
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	return id, oldest, errors.Join(
		writeJSONFile(c.path(restoredFile), restoredCluster{oldest, kept}),
		fleet.Carry(c.path("worker"), oldest),
		os.Remove(c.path(restoringFile)),
	)
}

// aliveFor is how old the newest copy is, at most, while a coordinator makes one
// every ten minutes.
const aliveFor = 12 * time.Minute

// lookAlive refuses to take a cluster over that seems to be at work.
func lookAlive(ctx context.Context, s storage.Store, c api.ClusterSettings, force bool) error {
	if force {
		return nil
	}
	for g := range c.Groups {
		keys, err := checkpoints(ctx, s, g)
		if err != nil || len(keys) == 0 {
			return err
		}
		at, err := stampOf(g, keys[len(keys)-1])
		if age := time.Since(at); err == nil && age < aliveFor {
			return salvor.Errorf(salvor.Conflict, "a coordinator put a copy into the store %s ago: one may still run", age.Round(time.Second)).
				WithHint("two clusters in one store damage each other: make sure that all old coordinators are dead, then repeat with --force")
		}
	}
	return nil
}

// stampOf is the time in the name of a copy.
func stampOf(group int, key string) (time.Time, error) {
	name := strings.TrimPrefix(key, groupDir(group))
	at, err := time.Parse(stampForm, name[:min(len(stampForm), len(name))])
	if err != nil {
		return at, salvor.Errorf(salvor.Invalid, "the copy %s has no time in its name", key)
	}
	return at, nil
}

// storedSettings reads whose Store it is.
func storedSettings(ctx context.Context, s storage.Store) (c api.ClusterSettings, err error) {
	r, _, err := s.Get(ctx, settingsKey)
	if salvor.ClassOf(err) == salvor.NotFound {
		return c, salvor.Errorf(salvor.NotFound, "there is no cluster in the store").WithHint("name the URL that the cluster was made with")
	}
	if err != nil {
		return c, err
	}
	defer r.Close()
	if err := json.NewDecoder(io.LimitReader(r, 1<<20)).Decode(&c); err != nil || c.Groups < 1 || c.Groups > api.MaxGroups {
		return c, salvor.Errorf(salvor.Invalid, "%s in the store cannot be read", settingsKey)
	}
	return c, nil
}

// refound makes the identity of the first node, or takes that of an attempt
// which was broken off.
func refound(c Config, version string, settings api.ClusterSettings) (id *trust.Identity, kept bool, err error) {
	mark := c.path(restoringFile)
	if b, err := os.ReadFile(mark); err == nil {
		kept = string(b) == "kept\n"
	} else {
		kept = fileExists(c.path("identity", "ca.key"))
		if ok, err := trust.Member(c.identityDir()); err != nil || ok {
			return nil, false, errors.Join(err, salvor.Errorf(salvor.Conflict, "%s holds a node already", c.Dir).WithHint("name an empty directory with --dir"))
		}
		if err := durable.MkdirAll(c.Dir); err != nil {
			return nil, false, err
		}
		if err := durable.WriteFile(mark, func(w io.Writer) error {
			_, err := io.WriteString(w, map[bool]string{true: "kept\n", false: "new\n"}[kept])
			return err
		}); err != nil {
			return nil, false, err
		}
	}
	if ok, err := trust.Member(c.identityDir()); err != nil {
		return nil, false, err
	} else if ok {
		id, err = trust.Load(c.identityDir(), trust.Options{})
		return id, kept, err
	}
	id, _, err = found(c, version, settings)
	return id, kept, err
}

// restoreGroup brings the newest copy of a group; it tells of when that is.
func restoreGroup(ctx context.Context, c Config, s storage.Store, group int, id string) (at time.Time, err error) {
	keys, err := checkpoints(ctx, s, group)
	if err != nil {
		return at, err
	}
	if len(keys) == 0 {
		return at, salvor.Errorf(salvor.NotFound, "the store has no copy of group %d", group).
			WithHint("without it the frontier cannot be brought back; what was saved is in the store all the same")
	}
	key := keys[len(keys)-1]
	if at, err = stampOf(group, key); err != nil {
		return at, err
	}
	r, _, err := s.Get(ctx, key)
	if err != nil {
		return at, err
	}
	err = errors.Join(coordinator.RestoreGroup(c.path("coordinator"), group, r, id, c.Advertise), r.Close())
	if err != nil {
		return at, fmt.Errorf("restore group %d from %s: %w", group, key, err)
	}
	return at, nil
}
