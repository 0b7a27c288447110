package main

import (
	"context"
	"time"

	"salvor/e2e/rig"
)

// Idle is a cluster of three nodes of all roles that have nothing to do.
type Idle struct {
	Groups int       `json:"groups"`
	Wall   float64   `json:"wall_seconds"`
	CPU    []float64 `json:"cpu_seconds"`   // of each node
	Memory []int64   `json:"private_bytes"` // of each node: RssAnon
	Log    float64   `json:"log_bytes"`
	Load   float64   `json:"load_average"`
}

func idles(ctx context.Context, o options, res *Results) error {
	store, err := rig.StartMinIO(o.dir)
	if err != nil {
		return err
	}
	defer store.Kill()
	for _, groups := range []int{1, 4} {
		x, err := idle(ctx, o, store, groups)
		if err != nil {
			return err
		}
		res.Idles = append(res.Idles, x)
	}
	return nil
}

// calm is how long a new cluster is left alone before it is watched.
const calm = 10 * time.Second

func idle(ctx context.Context, o options, store *rig.MinIO, groups int) (Idle, error) {
	x := Idle{Groups: groups}
	c, err := startCluster(ctx, o, plan{voters: 3, groups: groups, roles: "coordinator,worker", minio: store})
	if err != nil {
		return x, err
	}
	defer c.discard()
	var parts []part
	for _, n := range c.voters {
		parts = append(parts, part{n.Name, []int{n.Process().PID()}})
	}
	sleep(ctx, calm)
	x.Load = loadNow()
	meter, err := startLogMeter(ctx, c.metrics[c.voters[0]])
	if err != nil {
		return x, err
	}
	begin, err := read(parts)
	if err != nil {
		return x, err
	}
	sleep(ctx, o.idle)
	end, err := read(parts)
	if err != nil {
		return x, err
	}
	if err := meter.look(ctx); err != nil {
		return x, err
	}
	wall, cpu, _ := end.since(begin)
	x.Wall, x.Log = wall, meter.bytes
	for _, p := range parts {
		m, err := rig.Memory(p.pids[0])
		if err != nil {
			return x, err
		}
		x.CPU, x.Memory = append(x.CPU, cpu[p.name]), append(x.Memory, m)
	}
	return x, ctx.Err()
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
