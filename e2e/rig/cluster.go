package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Cluster is nodes of a cluster, each a process of its own.
type Cluster struct {
	Binary string   // salvor
	Dir    string   // of all nodes
	Store  string   // URL of the bucket
	Env    []string // of nodes that may use the bucket: its credentials
	Groups int
	Args   []string // of every node
	Nodes  []*Node  // in the order they joined; the first one founded it

	made int // nodes ever
}

// Node is one machine of a cluster.
type Node struct {
	Name    string // pseudonym, as the cluster has it
	ID      string
	Dir     string
	Address string   // host:port of its one port; "" of one that only works
	Args    []string // of its starts, besides the cluster's
	Env     []string
	Wrap    []string // what runs it: "ip netns exec NAME"

	c    *Cluster
	p    *Process
	logs []string // of its earlier runs
}

// NodeSpec says what a new node is to be.
type NodeSpec struct {
	IP      string   // it listens there on a free port; "" is a worker alone
	Address string   // or there
	Roles   string   // "coordinator,worker"
	Args    []string // of its starts
	Wrap    []string
	Keys    bool   // it gets the bucket's credentials
	Dir     string // "" is one of its own below the cluster's
}

// noKeys takes the credentials of the bucket out of an environment.
var noKeys = []string{"AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY="}

func (c *Cluster) node(s NodeSpec) (*Node, error) {
	c.made++
	n := &Node{c: c, Args: s.Args, Wrap: s.Wrap, Env: noKeys, Dir: filepath.Join(c.Dir, fmt.Sprintf("n%d", c.made))}
	if s.Keys {
		n.Env = c.Env
	}
	if s.Dir != "" {
		n.Dir = s.Dir
	}
	if n.Address = s.Address; s.IP == "" {
		return n, nil
	}
	port, err := FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	_, port, err = net.SplitHostPort(port)
	n.Address = net.JoinHostPort(s.IP, port)
	return n, err
}

// Found makes the cluster and starts its first node.
func (c *Cluster) Found(ctx context.Context, s NodeSpec) error {
	n, err := c.node(s)
	if err != nil {
		return err
	}
	args := []string{"cluster", "init", "--dir", n.Dir, "--listen", n.Address, "--groups", fmt.Sprint(max(1, c.Groups))}
	if c.Store != "" {
		args = append(args, "--store", c.Store)
	}
	if s.Roles != "" {
		args = append(args, "--roles", s.Roles)
	}
	return c.first(ctx, n, append(args, n.levelArgs()...)...)
}

// Restore makes the cluster anew from its Store. authority is the directory of a
// backup with ca.crt and ca.key: with it workers and keys go on; with "" all
// nodes there were are no more, and only the new first node's key is good.
func (c *Cluster) Restore(ctx context.Context, s NodeSpec, authority string) error {
	n, err := c.node(s)
	if err != nil {
		return err
	}
	if authority == "" {
		c.Nodes = nil
		err = os.Remove(c.KeyFile())
	} else {
		err = keep(authority, filepath.Join(n.Dir, "identity"))
	}
	if err != nil {
		return err
	}
	return c.first(ctx, n, "cluster", "restore", "--force", "--dir", n.Dir, "--listen", n.Address, "--store", c.Store, "--force")
}

// keep copies files that nobody else may read.
func keep(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(from, f.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(to, f.Name()), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// first makes a first node with a command, starts it and keeps the admin's key,
// unless there is one.
func (c *Cluster) first(ctx context.Context, n *Node, command ...string) error {
	if a, err := c.run(ctx, n, command...); err != nil || a.Exit != 0 {
		return errors.Join(err, fmt.Errorf("%s: exit code %d: %s", strings.Join(command[:2], " "), a.Exit, a.Stderr))
	}
	if _, err := os.Stat(c.KeyFile()); errors.Is(err, os.ErrNotExist) {
		key, err := os.ReadFile(filepath.Join(n.Dir, "admin.key"))
		if err != nil {
			return err
		}
		if err := os.WriteFile(c.KeyFile(), key, 0o600); err != nil {
			return err
		}
	}
	c.Nodes = append(c.Nodes, n)
	if err := errors.Join(n.Start(), n.wait(ctx)); err != nil {
		return err
	}
	for {
		st, err := c.Status(ctx)
		for i := range st.count() {
			if x := st.Nodes[i]; x.Silent == "" && len(x.Groups) > 0 {
				n.Name, n.ID = x.Node.Name, x.Node.ID
				return nil
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("the first node does not serve: %w", errors.Join(err, ctx.Err()))
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// levelArgs are those of a node's that count when it is made, too.
func (n *Node) levelArgs() []string {
	for i, a := range n.Args {
		if a == "--feature-level" {
			return n.Args[i : i+2]
		}
	}
	return nil
}

// wait returns when the node's port is open: with a node in a network of its
// own, when it says so.
func (n *Node) wait(ctx context.Context) error {
	for !n.p.Ended() && ctx.Err() == nil {
		if strings.Contains(n.p.Stderr(), "\nnode ") || strings.HasPrefix(n.p.Stderr(), "node ") {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("node in %s did not start: %s", n.Dir, tail(n.p.Stderr()))
}

// Join lets one more machine in and starts it.
func (c *Cluster) Join(ctx context.Context, s NodeSpec) (*Node, error) {
	n, err := c.node(s)
	if err != nil {
		return nil, err
	}
	token := n.Dir + ".token"
	if _, err := c.Do(ctx, "cluster", "token", "--role", s.Roles, "--out", token); err != nil {
		return nil, err
	}
	return n, c.join(ctx, n, token)
}

// join is Join with a token: it asks one coordinator after the other.
func (c *Cluster) join(ctx context.Context, n *Node, token string) error {
	var refused error
	for _, at := range c.Coordinators() {
		if !c.runs(at) {
			continue // to ask it would only take time
		}
		args := []string{"join", "https://" + at, "--dir", n.Dir, "--token-file", token, "--no-start", "--json"}
		if n.Address != "" {
			args = append(args, "--listen", n.Address)
		}
		a, err := c.run(ctx, n, append(args, n.levelArgs()...)...)
		if err == nil && a.Exit == 0 {
			if err := json.Unmarshal([]byte(a.Stdout), n); err != nil {
				return fmt.Errorf("join prints %q: %w", a.Stdout, err)
			}
			c.Nodes = append(c.Nodes, n)
			return errors.Join(n.Start(), n.wait(ctx))
		}
		refused = errors.Join(err, fmt.Errorf("join: exit code %d: %s", a.Exit, a.Stderr))
	}
	return refused
}

func (c *Cluster) runs(at string) bool {
	for _, n := range c.Nodes {
		if n.Address == at && n.Running() {
			return true
		}
	}
	return false
}

// Start runs the node on what it has in its directory.
func (n *Node) Start() (err error) {
	if n.p != nil {
		n.logs = append(n.logs, n.p.Stderr())
	}
	n.p, err = n.start("server", "--dir", n.Dir, "--probe", "none")
	return err
}

func (n *Node) start(args ...string) (*Process, error) {
	argv := append(append([]string{}, n.Wrap...), n.c.Binary)
	argv = append(argv, args...)
	if args[0] == "server" {
		argv = append(append(argv, n.c.Args...), n.Args...)
	}
	return Start("", n.Env, argv[0], argv[1:]...)
}

// Running says whether the node's process lives.
func (n *Node) Running() bool { return n.p != nil && !n.p.Ended() }

// Kill ends the node as a power cut would.
func (n *Node) Kill() {
	if n.p != nil {
		_ = n.p.Signal(syscall.SIGKILL)
		<-n.p.Done()
	}
}

// Stop ends the node cleanly and gives its exit code.
func (n *Node) Stop(ctx context.Context) (int, error) {
	if err := n.p.Signal(syscall.SIGTERM); err != nil {
		return 0, err
	}
	u, err := n.p.Wait(ctx)
	return u.Exit, err
}

// Process is the node's process, of its newest run.
func (n *Node) Process() *Process { return n.p }

// Log is what the node wrote, of all its runs.
func (n *Node) Log() string {
	var b strings.Builder
	for i, l := range n.logs {
		fmt.Fprintf(&b, "%s-- run %d ended --\n", l, i+1)
	}
	if n.p != nil {
		b.WriteString(n.p.Stderr())
	}
	return b.String()
}

// Close ends all nodes, by their process ids.
func (c *Cluster) Close() {
	for _, n := range c.Nodes {
		n.Kill()
	}
}

// Coordinators are the addresses of all nodes that have one.
func (c *Cluster) Coordinators() (out []string) {
	for _, n := range c.Nodes {
		if n.Address != "" {
			out = append(out, n.Address)
		}
	}
	return out
}

// KeyFile holds the first admin's key.
func (c *Cluster) KeyFile() string { return filepath.Join(c.Dir, "admin.key") }

// Answer is how a command ended.
type Answer struct {
	Exit           int
	Stdout, Stderr string
}

// run runs a command as a person at a node would.
func (c *Cluster) run(ctx context.Context, n *Node, args ...string) (Answer, error) {
	p, err := n.start(args...)
	if err != nil {
		return Answer{}, err
	}
	u, err := p.Wait(ctx)
	return Answer{u.Exit, p.Stdout(), p.Stderr()}, err
}

// Ask runs a command of an admin who knows all coordinators.
func (c *Cluster) Ask(ctx context.Context, args ...string) (Answer, error) {
	for _, a := range c.Coordinators() {
		args = append(args, "--server", "https://"+a)
	}
	p, err := Start("", noKeys, c.Binary, append(args, "--key-file", c.KeyFile())...)
	if err != nil {
		return Answer{}, err
	}
	u, err := p.Wait(ctx)
	return Answer{u.Exit, p.Stdout(), p.Stderr()}, err
}

// Do is Ask where any exit code but 0 is an error.
func (c *Cluster) Do(ctx context.Context, args ...string) (string, error) {
	a, err := c.Ask(ctx, args...)
	if err == nil && a.Exit != 0 {
		err = fmt.Errorf("salvor %s: exit code %d: %s", strings.Join(args, " "), a.Exit, a.Stderr)
	}
	return a.Stdout, err
}

// Rename moves what a node has on its disk aside, as if the disk was new.
func (n *Node) Rename(sub string) error {
	from := filepath.Join(n.Dir, sub)
	return os.Rename(from, fmt.Sprintf("%s.lost-%d", strings.TrimSuffix(from, "/"), time.Now().UnixNano()))
}
