package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft-wal/types"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// fleet is the coordinators of one cluster in one process.
type fleet struct {
	t      testing.TB
	dir    string
	groups int
	net    fabric
	nodes  []*Node
	up     []bool
	away   []bool // not asked by call, nor a leader that counts
	conf   func(*NodeConfig)
	disk   types.VFS  // of the logs; nil: the system's
	mu     sync.Mutex // held while a node starts
}

// fabric is the network between them.
type fabric interface {
	listen(node int) (net.Listener, string)
	dialer(node int) func(ctx context.Context, address string) (net.Conn, error)
}

func newFleet(t testing.TB, groups int, net fabric) *fleet {
	f := &fleet{t: t, dir: t.TempDir(), groups: groups, net: net, conf: func(*NodeConfig) {}}
	t.Cleanup(f.close)
	return f
}

func (f *fleet) close() {
	for i, n := range f.nodes {
		if f.up[i] {
			f.crash(n)
		}
	}
}

// start starts a node, a new one or one that was stopped.
func (f *fleet) start(i int) *Node {
	f.t.Helper()
	l, addr := f.net.listen(i)
	c := NodeConfig{
		Dir: filepath.Join(f.dir, fmt.Sprint(i)), ID: nodeName(i), Address: addr, Groups: f.groups, Bootstrap: i == 0,
		Raft: l, Dial: f.net.dialer(i), CacheBytes: 32 << 20, Logger: testLog(i),
		tune: func(c *replicaConfig[*frontier.Machine]) { c.SegmentSize, c.LogFS = 256<<10, f.disk },
	}
	f.conf(&c)
	n, err := StartNode(context.Background(), c)
	must(f.t, err)
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.nodes) <= i {
		f.nodes, f.up, f.away = append(f.nodes, nil), append(f.up, false), append(f.away, false)
	}
	f.nodes[i], f.up[i] = n, true
	return n
}

// some is one of the nodes.
func (f *fleet) some(i int) *Node {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.nodes[i%len(f.nodes)]
}

// testLog writes to the terminal if it is asked to.
func testLog(i int) *slog.Logger {
	if os.Getenv("SALVOR_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", i)
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

// record is node i's row in the registry.
func (f *fleet) record(i int, state api.NodeState) api.Node {
	return api.Node{ID: nodeName(i), Roles: []api.Role{api.RoleCoordinator}, Address: f.nodes[i].c.Address, Level: frontier.Level, State: state}
}

// announce writes a node's record through whoever leads group 0.
func (f *fleet) announce(x api.Node) {
	f.t.Helper()
	b, err := json.Marshal(x)
	must(f.t, err)
	f.set(api.TableNodes, x.ID, b)
}

// set puts a record in the place of the one there is.
func (f *fleet) set(table, key string, value []byte) {
	f.t.Helper()
	f.call(0, func(g *Group) error {
		rows, err := g.Records(f.t.Context(), table)
		if err != nil {
			return err
		}
		r := api.Record{Table: table, Key: key, Value: value}
		for _, x := range rows {
			if x.Key == key {
				r.Version = x.Version
			}
		}
		_, err = g.SetRecord(f.t.Context(), r)
		return err
	})
}

// call repeats f on the nodes that are up until one of them does it.
func (f *fleet) call(group int, do func(g *Group) error) {
	f.t.Helper()
	var err error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for i, n := range f.nodes {
			if !f.up[i] || f.away[i] {
				continue
			}
			if err = do(n.Group(group)); err == nil {
				return
			}
			if salvor.ClassOf(err) != salvor.Unavailable && salvor.ClassOf(err) != salvor.Conflict {
				f.t.Fatal(err)
			}
		}
	}
	f.t.Fatalf("group %d: nobody did it: %v", group, err)
}

// eventually waits until ok holds.
func (f *fleet) eventually(what string, within time.Duration, ok func() bool) {
	f.t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	for i, n := range f.nodes {
		if f.up[i] {
			f.t.Logf("node %d: %+v", i, n.Status())
		}
	}
	f.t.Fatalf("not within %s: %s", within, what)
}

// grow starts nodes from..to-1, announces them and waits for their votes.
func (f *fleet) grow(from, to int) {
	f.t.Helper()
	for i := from; i < to; i++ {
		f.start(i)
		f.announce(f.record(i, api.NodeActive))
	}
	f.eventually("all vote in all groups", 30*time.Second, func() bool { return f.voters(to) })
}

// voters says that each group has a leader, and that all nodes that are up know
// so many voters.
func (f *fleet) voters(want int) bool {
	for g := range f.groups {
		if f.leader(g) < 0 {
			return false
		}
		for i, n := range f.nodes {
			if f.up[i] && !f.away[i] && len(n.Status()[g].Voters) != want {
				return false
			}
		}
	}
	return true
}

// leader is the node that leads a group, -1 if none does or two say so.
func (f *fleet) leader(group int) int {
	at := -1
	for i, n := range f.nodes {
		if f.up[i] && !f.away[i] && n.Group(group).leads() {
			if at >= 0 {
				return -1
			}
			at = i
		}
	}
	return at
}

// crash ends a node as SIGKILL would: no hand-over, no snapshot, no flush.
func (f *fleet) crash(n *Node) {
	for i := range f.nodes {
		if f.nodes[i] == n {
			f.up[i] = false
		}
	}
	n.once.Do(func() {
		n.stop()
		n.board.close()
		for _, s := range n.streams {
			s.Close()
		}
		for _, g := range n.groups {
			g.once.Do(func() {
				g.fail(errClosed)
				g.stop()
				g.replica.stop()
				g.replica.mu.Lock()
				err := g.replica.stopRaft()
				g.replica.mu.Unlock()
				g.ended.Wait()
				g.replica.loops.Wait()
				must(f.t, err)
				must(f.t, g.replica.closeFiles())
				g.replica.once.Do(func() { close(g.replica.ended) })
				g.net.Close()
			})
		}
		n.loops.Wait()
		n.cache.Unref()
	})
}

// wire is TCP on the loopback.
type wire struct{ addrs map[int]string }

func (w *wire) listen(node int) (net.Listener, string) {
	at := w.addrs[node]
	if at == "" {
		at = "127.0.0.1:0"
	}
	var l net.Listener
	var err error
	for range 100 {
		if l, err = net.Listen("tcp", at); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		panic(err)
	}
	w.addrs[node] = l.Addr().String()
	return l, l.Addr().String()
}

func (w *wire) dialer(int) func(ctx context.Context, address string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "tcp", address)
	}
}

func TestThreeNodesOverTCP(t *testing.T) {
	for _, groups := range []int{1, 4} {
		t.Run(fmt.Sprint(groups), func(t *testing.T) {
			t.Parallel()
			f := newFleet(t, groups, &wire{map[int]string{}})
			f.conf = fast
			f.start(0)
			f.announce(f.record(0, api.NodeActive))
			f.set("test", "before", []byte("1"))
			f.grow(1, 3)
			for g := range groups {
				l := f.leader(g)
				for i := range f.nodes {
					if i == l {
						continue
					}
					began := time.Now()
					_, err := f.nodes[i].Group(g).Records(t.Context(), "test")
					if nl := notLeader(err); nl == nil || nl.Group != g || nl.Leader != f.nodes[l].c.Address {
						t.Errorf("node %d, group %d, led by %d: %v", i, g, l, err)
					}
					if d := time.Since(began); d > 100*time.Millisecond {
						t.Errorf("a follower took %s to say so", d)
					}
				}
			}
			f.crash(f.nodes[f.leader(0)])
			f.set("test", "after", []byte("2"))
			f.call(0, func(g *Group) error {
				rows, err := g.Records(t.Context(), "test")
				if err == nil && len(rows) != 2 {
					t.Errorf("%d records after the leader was killed", len(rows))
				}
				return err
			})
		})
	}
}

// notLeader is what an error says of the leader; nil if it says nothing.
func notLeader(err error) *api.NotLeader {
	var e *api.NotLeader
	if errors.As(err, &e) && salvor.ClassOf(err) == salvor.Unavailable {
		return e
	}
	return nil
}
