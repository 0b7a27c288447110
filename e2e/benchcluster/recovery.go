package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"salvor/api"
	"salvor/api/rpc"
	"salvor/coordinator/trust"
	"salvor/e2e/rig"
)

// Recovery is a coordinator that is killed when it knows many URLs.
type Recovery struct {
	URLs     int     `json:"urls"`
	FillWall float64 `json:"fill_wall_seconds"`
	FillCPU  float64 `json:"fill_cpu_seconds"` // of the coordinator
	Memory   int64   `json:"private_bytes"`    // when filled
	Disk     int64   `json:"disk_bytes"`       // the same
	Log      float64 `json:"log_bytes"`        // since the newest snapshot, when killed
	Killed   Start   `json:"after_sigkill"`
	Stopped  Start   `json:"after_clean_stop"`
	Load     float64 `json:"load_average"`
}

// Start is from the start of the process to the first answer that needs a
// leader who has applied all there is.
type Start struct {
	Wall float64 `json:"wall_seconds"`
	CPU  float64 `json:"cpu_seconds"`
}

func recoveries(ctx context.Context, o options, res *Results) error {
	for s := range strings.SplitSeq(o.urls, ",") {
		millions, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("-urls %s: %w", o.urls, err)
		}
		x, err := recovery(ctx, o, int(millions*1e6))
		if err != nil {
			return err
		}
		res.Recoveries = append(res.Recoveries, x)
	}
	return nil
}

func recovery(ctx context.Context, o options, urls int) (Recovery, error) {
	urls = (urls + parcelSize - 1) / parcelSize * parcelSize
	x := Recovery{URLs: urls, Load: loadNow()}
	c, err := startCluster(ctx, o, plan{voters: 1, groups: 1, roles: "coordinator"})
	if err != nil {
		return x, err
	}
	defer c.discard()
	id, err := c.enlist(ctx)
	if err != nil {
		return x, err
	}
	w, err := c.newWeb(ctx, "large", o.hosts)
	if err != nil {
		return x, err
	}
	n := c.voters[0]
	if err := x.fill(ctx, c, id, w); err != nil {
		return x, err
	}
	n.Kill()
	want := int64(urls + min(o.hosts, urls)) // and the robots.txt of each
	if x.Killed, err = c.again(ctx, id, w, n, want); err != nil {
		return x, err
	}
	if code, err := n.Stop(ctx); err != nil || code != 0 {
		return x, fmt.Errorf("a clean stop ended with %d: %w", code, err)
	}
	x.Stopped, err = c.again(ctx, id, w, n, want)
	fmt.Fprintf(os.Stderr, "%d URLs: serves %.2f s after SIGKILL, %.2f s after a clean stop\n", urls, x.Killed.Wall, x.Stopped.Wall)
	return x, err
}

// fill makes the URLs known and notes what that took.
func (x *Recovery) fill(ctx context.Context, c *cluster, id *trust.Identity, w *web) error {
	n := c.voters[0]
	parts := []part{{"leader", []int{n.Process().PID()}}}
	begin, err := read(parts)
	if err != nil {
		return err
	}
	if err := c.fill(ctx, id, w, x.URLs); err != nil {
		return err
	}
	end, err := read(parts)
	if err != nil {
		return err
	}
	wall, cpu, _ := end.since(begin)
	x.FillWall, x.FillCPU = wall, cpu["leader"]
	s, err := scrape(ctx, c.metrics[n])
	if err != nil {
		return err
	}
	x.Log = s.sum("salvor_group_log_bytes")
	if x.Disk, err = used(n.Dir); err != nil {
		return err
	}
	x.Memory, err = rig.Memory(n.Process().PID())
	return err
}

// again starts the node and asks until it answers, and knows all.
func (c *cluster) again(ctx context.Context, id *trust.Identity, w *web, n *rig.Node, want int64) (s Start, err error) {
	over := rpc.NewHTTPClient(id.ClientTLS("h2"))
	defer over.CloseIdleConnections()
	g := rpc.Dial(rpc.Config{Endpoints: c.Coordinators, HTTP: over})
	defer g.Close()
	begun := time.Now()
	if err := n.Start(); err != nil {
		return s, err
	}
	var t api.Totals
	for {
		if t, err = g.Totals(ctx, w.crawl.ID); err == nil {
			break
		}
		if !n.Running() || time.Since(begun) > 5*time.Minute {
			return s, fmt.Errorf("the node does not serve: %w\n%s", err, n.Log())
		}
		sleep(ctx, 10*time.Millisecond)
	}
	s.Wall = time.Since(begun).Seconds()
	if cpu, err := cpuOf(n.Process().PID()); err == nil {
		s.CPU = cpu.Seconds()
	}
	if t.Accepted != want {
		return s, fmt.Errorf("%d URLs are known of %d", t.Accepted, want)
	}
	return s, nil
}
