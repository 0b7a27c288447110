package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"salvor/e2e/rig"
)

// cluster is coordinators, and perhaps workers, on loopback, whose metrics can
// be read.
type cluster struct {
	*rig.Cluster
	metrics map[*rig.Node]string
	voters  []*rig.Node
	workers []*rig.Node
}

// plan is a cluster to be.
type plan struct {
	voters  int
	workers int
	groups  int
	roles   string     // of the voters
	minio   *rig.MinIO // nil: a directory of the first node
}

// nets gives each cluster addresses of its own.
var nets atomic.Int32

func startCluster(ctx context.Context, o options, p plan) (_ *cluster, err error) {
	dir, err := os.MkdirTemp(o.dir, "cluster-")
	if err != nil {
		return nil, err
	}
	c := &cluster{Cluster: &rig.Cluster{Binary: o.salvor, Dir: dir, Groups: p.groups}, metrics: map[*rig.Node]string{}}
	if p.minio != nil {
		c.Store = "s3://" + p.minio.Bucket + "/" + filepath.Base(dir) + "?endpoint=http://" + p.minio.Address
		c.Env = p.minio.Env
	}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	net := nets.Add(1)
	for i := range p.voters {
		s := rig.NodeSpec{IP: fmt.Sprintf("127.20.%d.%d", net, i+1), Roles: p.roles, Keys: true}
		n, err := c.start(ctx, s, i == 0)
		if err != nil {
			return nil, err
		}
		c.voters = append(c.voters, n)
	}
	for range p.workers {
		n, err := c.start(ctx, rig.NodeSpec{Roles: "worker", Keys: true}, false)
		if err != nil {
			return nil, err
		}
		c.workers = append(c.workers, n)
	}
	return c, c.settled(ctx, p)
}

// start founds the cluster, or lets one more node in.
func (c *cluster) start(ctx context.Context, s rig.NodeSpec, first bool) (n *rig.Node, err error) {
	addr, err := rig.FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	s.Args = []string{"--metrics-listen", addr}
	if first {
		err = c.Found(ctx, s)
		n = c.Nodes[len(c.Nodes)-1]
	} else {
		n, err = c.Join(ctx, s)
	}
	if err != nil {
		return nil, err
	}
	c.metrics[n] = addr
	return n, nil
}

// settled waits until all voters vote and all nodes are ready.
func (c *cluster) settled(ctx context.Context, p plan) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, n := range c.Nodes {
		ok := func(s samples) bool { return s.sum("salvor_ready") == 1 }
		if n.Address != "" {
			ok = func(s samples) bool {
				return s.sum("salvor_ready") == 1 && s.sum("salvor_group_voters") == float64(p.voters*p.groups)
			}
		}
		if err := await(ctx, c.metrics[n], ok); err != nil {
			return fmt.Errorf("%w\n%s", err, n.Log())
		}
	}
	return nil
}

// parts are the processes of the cluster: the voter that leads, the others, the
// workers. Where leads are spread over the voters, all are "voters".
func (c *cluster) parts(ctx context.Context) (out []part, err error) {
	leader, follower, worker := part{name: "leader"}, part{name: "followers"}, part{name: "workers"}
	for _, n := range c.voters {
		s, err := scrape(ctx, c.metrics[n])
		if err != nil {
			return nil, err
		}
		if s.leads() {
			leader.pids = append(leader.pids, n.Process().PID())
		} else {
			follower.pids = append(follower.pids, n.Process().PID())
		}
	}
	for _, n := range c.workers {
		worker.pids = append(worker.pids, n.Process().PID())
	}
	return []part{leader, follower, worker}, nil
}

// discard ends the cluster and removes what it has on the disk.
func (c *cluster) discard() {
	c.Close()
	_ = os.RemoveAll(c.Dir) // it lies in a directory that is removed at the end
}
