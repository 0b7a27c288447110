package drill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/client"
	"salvor/storage/durable"
)

// cluster is the nodes of a drill: real processes of this very program. The
// first is coordinator and worker and keeps the Store in its directory; the
// others only work, and reach the Store through it.
type cluster struct {
	binary string
	dir    string
	args   []string // of every node
	nodes  []*node
	*client.Cluster
}

// node is one process, and what it wrote.
type node struct {
	dir  string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
	err  error // once done
	lost bool  // killed because the scenario says so
}

const (
	// startWithin bounds how long a node may take to serve.
	startWithin = 30 * time.Second
	// stopWithin bounds how long a node may take to store what it has and to end.
	stopWithin = time.Minute
	lookEvery  = 50 * time.Millisecond
)

// startCluster makes a cluster below dir, whose first node listens on ip.
func startCluster(ctx context.Context, binary, dir, ip string, workers int, args []string) (*cluster, error) {
	c := &cluster{binary: binary, dir: dir, args: args}
	if err := c.form(ctx, ip, workers); err != nil {
		c.kill()
		return nil, err
	}
	return c, nil
}

func (c *cluster) form(ctx context.Context, ip string, workers int) error {
	listen, err := freePort(ctx, ip)
	if err != nil {
		return err
	}
	first := filepath.Join(c.dir, "node1")
	if err := c.run(ctx, "cluster", "init", "--dir", first, "--listen", listen, "--roles", "coordinator,worker"); err != nil {
		return err
	}
	if err := c.start(first); err != nil {
		return err
	}
	if err := c.open(ctx, first); err != nil {
		return err
	}
	return c.join(ctx, first, listen, workers-1)
}

// join lets workers in and starts them.
func (c *cluster) join(ctx context.Context, first, at string, workers int) error {
	if workers < 1 {
		return nil
	}
	token := filepath.Join(c.dir, "worker.token")
	if err := c.run(ctx, "cluster", "token", "--dir", first, "--role", "worker", "--out", token); err != nil {
		return err
	}
	for i := range workers {
		dir := filepath.Join(c.dir, fmt.Sprintf("node%d", i+2))
		if err := c.run(ctx, "join", "https://"+at, "--dir", dir, "--token-file", token, "--no-start"); err != nil {
			return err
		}
		if err := c.start(dir); err != nil {
			return err
		}
	}
	return c.await(ctx, workers+1)
}

// freePort finds a port of an address that nothing listens on now.
func freePort(ctx context.Context, ip string) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return "", salvor.Errorf(salvor.Unavailable, "a drill's first node: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// run runs a command of this program to its end.
func (c *cluster) run(ctx context.Context, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.binary, args...)
	cmd.Env, cmd.SysProcAttr = environment(), apart()
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return salvor.Errorf(salvor.Internal, "salvor %s: %w: %s", strings.Join(args[:2], " "), err, strings.TrimSpace(said.String()))
	}
	return nil
}

// environment is this process's without the settings of another node, and
// without the keys of a bucket: a drill has no business with either.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "SALVOR_") || strings.HasPrefix(e, "AWS_")
	})
}

// start runs a node on what is in its directory.
func (c *cluster) start(dir string) error {
	log, err := os.Create(dir + ".log")
	if err != nil {
		return durable.Error(err, "create", dir+".log")
	}
	n := &node{dir: dir, log: log, done: make(chan struct{})}
	n.cmd = exec.Command(c.binary, append([]string{"server", "--dir", dir, "--probe", "none", "--drain-for", stopWithin.String()}, c.args...)...)
	n.cmd.Env, n.cmd.SysProcAttr = environment(), apart()
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		return errors.Join(salvor.Errorf(salvor.Internal, "start a node: %w", err), log.Close())
	}
	c.nodes = append(c.nodes, n)
	go func() {
		defer close(n.done)
		n.err = errors.Join(n.cmd.Wait(), log.Close())
	}()
	return nil
}

// open waits for the first node, and opens the way to it.
func (c *cluster) open(ctx context.Context, first string) error {
	found, err := client.Find(client.Query{Dir: first, Env: func(string) string { return "" }})
	if err != nil {
		return err
	}
	return c.until(ctx, "the first node does not serve", func(ctx context.Context) error {
		c.Cluster, err = client.Open(ctx, found)
		return err
	})
}

// await waits until so many nodes are ready to work.
func (c *cluster) await(ctx context.Context, nodes int) error {
	return c.until(ctx, "not all workers are ready", func(ctx context.Context) error {
		s, err := c.Status(ctx)
		if err != nil {
			return err
		}
		ready := 0
		for _, n := range s.Nodes {
			if n.Ready {
				ready++
			}
		}
		if ready < nodes {
			return fmt.Errorf("%d of %d nodes are", ready, nodes)
		}
		return nil
	})
}

// until repeats f until it succeeds, a node ends, or the time is over.
func (c *cluster) until(ctx context.Context, what string, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startWithin)
	defer cancel()
	for {
		err := f(ctx)
		if err == nil {
			return nil
		}
		if failed := c.failed(); failed != nil {
			return failed
		}
		select {
		case <-ctx.Done():
			return salvor.Errorf(salvor.ClassOf(errors.Join(ctx.Err(), err)), "%s: %w", what, err)
		case <-time.After(lookEvery):
		}
	}
}

// failed is the error of a node that has ended.
func (c *cluster) failed() error {
	for _, n := range c.nodes {
		if n.lost {
			continue
		}
		select {
		case <-n.done:
			return salvor.Errorf(salvor.Internal, "%s ended: %w", filepath.Base(n.dir), errors.Join(n.err, errors.New(n.lastWords())))
		default:
		}
	}
	return nil
}

// lastWords is the end of a node's log.
func (n *node) lastWords() string {
	b, err := os.ReadFile(n.dir + ".log")
	if err != nil {
		return err.Error()
	}
	const most = 1000
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

// stop has all nodes store and report what they have and end: those first that
// reach the Store through another.
func (c *cluster) stop() error {
	if len(c.nodes) == 0 {
		return nil
	}
	var wg sync.WaitGroup
	errs := make([]error, len(c.nodes))
	for i, n := range c.nodes[1:] {
		wg.Go(func() { errs[i+1] = n.stop() })
	}
	wg.Wait()
	errs[0] = c.nodes[0].stop()
	return errors.Join(errs...)
}

func (n *node) stop() error {
	if n.lost {
		return nil
	}
	if err := n.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return salvor.Errorf(salvor.Internal, "stop a node: %w", err)
	}
	select {
	case <-n.done:
	case <-time.After(stopWithin + 10*time.Second):
		return salvor.Errorf(salvor.Internal, "%s does not end: %s", filepath.Base(n.dir), n.lastWords())
	}
	if n.err != nil {
		return salvor.Errorf(salvor.Internal, "%s ended: %w: %s", filepath.Base(n.dir), n.err, n.lastWords())
	}
	return nil
}

// lose kills the last worker that is left, without a word to anybody. The first
// node stays.
func (c *cluster) lose() {
	for i := len(c.nodes) - 1; i > 0; i-- {
		if n := c.nodes[i]; !n.lost {
			n.lost = true
			_ = n.cmd.Process.Kill() // it may have ended
			<-n.done
			return
		}
	}
}

// kill ends what still runs, at once.
func (c *cluster) kill() {
	if c.Cluster != nil {
		c.Cluster.Close()
		c.Cluster = nil
	}
	for _, n := range c.nodes {
		_ = n.cmd.Process.Kill() // it may have ended
		<-n.done
	}
}

// store is the directory of what was saved.
func (c *cluster) store() string { return filepath.Join(c.dir, "node1", "store") }
