package e2e

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// fleet is a real cluster at work: processes on loopback, a MinIO process
// behind weather, and a web site to save.
type fleet struct {
	*rig.Cluster
	t    *testing.T
	b    *bucket
	site site.Site
	web  *rig.Web
	net  int        // second byte of its addresses
	lan  *rig.Hosts // where each node is a host of its own

	burnt bool // nodes were lost with their disks
}

// shape is how a test wants its cluster.
type shape struct {
	groups int // 0 is 1
	roles  string
	nodes  int // with keys to the bucket; three where nobody says
	hands  int // workers without
	pages  int // of each host
	hosts  int
	args   []string // of every node
	levels []int    // feature level of each node with keys; none: the newest
	lan    bool     // each node is a host of its own, whose links can be cut
}

// nets gives each cluster of a run addresses of its own: 127.N.0.0/16.
var nets atomic.Int32

func newFleet(t *testing.T, s shape) *fleet {
	t.Helper()
	parallel(t)
	bin, err := buildPlain()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, b: quietBucket(t), site: site.Site{Pages: s.pages}, net: 50 + int(nets.Add(1))}
	f.Cluster = &rig.Cluster{Binary: bin, Dir: t.TempDir(), Store: f.b.url, Env: f.b.m.Env, Groups: s.groups, Args: s.args}
	t.Cleanup(f.close)
	if s.lan {
		f.cable(max(s.nodes, 3) + s.hands)
	}
	f.serve(max(1, s.hosts))
	if s.roles == "" {
		s.roles = "coordinator,worker"
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := 1; i <= max(s.nodes, 3); i++ {
		n := rig.NodeSpec{IP: f.ip(i), Roles: s.roles, Keys: true, Wrap: f.wrap(i)}
		if len(s.levels) >= i {
			n.Args = []string{"--feature-level", fmt.Sprint(s.levels[i-1])}
		}
		if i > 1 {
			f.join(n)
		} else if err := f.Found(ctx, n); err != nil {
			t.Fatal(err)
		}
	}
	for i := range s.hands {
		f.join(rig.NodeSpec{Roles: "worker", Wrap: f.wrap(max(s.nodes, 3) + i + 1)})
	}
	f.settled(time.Minute)
	return f
}

// quietBucket is newBucket that leaves the environment of the tests alone: nodes
// are told what they may know.
func quietBucket(t *testing.T) *bucket {
	t.Helper()
	m, err := rig.StartMinIO(t.TempDir())
	rig.Need(t, err)
	t.Cleanup(m.Kill)
	w, err := rig.StartWeather(m.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	return &bucket{t, m, w, "s3://" + m.Bucket + "/rescues/one?endpoint=" + w.URL, "rescues/one/"}
}

// cable makes a network of hosts.
func (f *fleet) cable(hosts int) {
	f.t.Helper()
	lan, err := rig.NewHosts(hosts, 8, f.net)
	if errors.Is(err, rig.ErrForbidden) {
		f.t.Skipf("NOT TESTED: making network namespaces is not permitted here: %v", err)
	}
	rig.Need(f.t, err)
	f.t.Cleanup(lan.Close)
	f.lan = lan
	at, err := rig.Forward(f.t.Context(), lan.Outside(0)+":0", strings.TrimPrefix(f.b.weather.URL, "http://"))
	if err != nil {
		f.t.Fatal(err)
	}
	f.Store = strings.Replace(f.b.url, f.b.weather.URL, "http://"+at, 1)
}

// wrap is what runs programs on host i.
func (f *fleet) wrap(i int) []string {
	if f.lan == nil {
		return nil
	}
	return f.lan.Wrap(i)
}

func (f *fleet) close() {
	f.Close()
	writeFaults(f.t)
	if !f.t.Failed() {
		return
	}
	for _, n := range f.Nodes {
		f.t.Logf("%s %s %s says:\n%s", n.Name, n.Dir, n.Address, lastOf(n.Log()))
	}
}

func (f *fleet) ip(i int) string {
	if f.lan != nil {
		return f.lan.Address(i)
	}
	return fmt.Sprintf("127.%d.0.%d", f.net, i)
}

// serve puts the site on so many hosts.
func (f *fleet) serve(hosts int) {
	f.t.Helper()
	root := f.t.TempDir()
	if err := f.site.Write(root); err != nil {
		f.t.Fatal(err)
	}
	var ips []string
	for i := range hosts {
		at := fmt.Sprintf("127.%d.1.%d", f.net, i+1)
		if f.lan != nil {
			at = f.lan.Outside(i + 1)
		}
		ips = append(ips, at)
	}
	var err error
	if f.web, err = rig.ServeWeb(root, ips...); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(f.web.Stop)
}

func (f *fleet) join(s rig.NodeSpec) *rig.Node {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	n, err := f.Join(ctx, s)
	if err != nil {
		f.t.Fatal(err)
	}
	return n
}

// settled waits until every group has a leader and all running coordinators
// vote, and every running node is heard of.
func (f *fleet) settled(limit time.Duration) {
	f.t.Helper()
	voters, why := 0, ""
	for _, n := range f.Nodes {
		if n.Running() && n.Address != "" {
			voters++
		}
	}
	eventuallySay(f.t, limit, func() string { return "the cluster settled: " + why }, func() bool {
		st, err := f.Status(f.t.Context())
		if err != nil {
			why = err.Error()
			return false
		}
		for g := range st.Cluster.Groups {
			if v := st.Voters(g); v < voters {
				why = fmt.Sprintf("group %d has leader %q and %d voters of %d", g, st.Leader(g), v, voters)
				return false
			}
		}
		for _, n := range st.Nodes {
			if !n.Ready && f.runs(n.Node.ID) {
				why = n.Node.Name + " is not ready: " + n.Silent
				return false
			}
		}
		return true
	})
}

func (f *fleet) runs(id string) bool {
	return slices.ContainsFunc(f.Nodes, func(n *rig.Node) bool { return n.ID == id && n.Running() })
}

// eventuallySay is eventually, which says what is missing when it fails, and
// asks seldom.
func eventuallySay(t *testing.T, limit time.Duration, what func() string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(limit); ; {
		at := time.Now()
		if ok() {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("after %s still not: %s", limit, what())
		}
		time.Sleep(max(50*time.Millisecond, 4*time.Since(at)))
	}
}

// node is the one of a name.
func (f *fleet) node(name string) *rig.Node {
	f.t.Helper()
	i := slices.IndexFunc(f.Nodes, func(n *rig.Node) bool { return n.Name == name })
	if i < 0 {
		f.t.Fatalf("there is no node %q", name)
	}
	return f.Nodes[i]
}

// leader is the node that leads a group, and follower one that does not.
func (f *fleet) leader(group int) (leads, follows *rig.Node) {
	f.t.Helper()
	name := ""
	eventuallySay(f.t, 30*time.Second, func() string { return "a leader" }, func() bool {
		st, err := f.Status(f.t.Context())
		if err == nil {
			name = st.Leader(group)
		}
		return name != ""
	})
	leads = f.node(name)
	for _, n := range f.Nodes {
		if n != leads && n.Address != "" && n.Running() {
			follows = n
		}
	}
	return leads, follows
}

// crawl begins to save the whole site, in many segments.
func (f *fleet) crawl(name string, args ...string) {
	f.t.Helper()
	all := append([]string{"crawl", "create", "--allow-net", "127.0.0.0/8", "--allow-net", "10.0.0.0/8", "--warc-max-size", "1MiB", name}, args...)
	if !slices.Contains(args, "--max-rate") {
		all = append(all, "--max-rate", "0")
	}
	for _, u := range f.web.URLs {
		all = append(all, u+"/index.html")
	}
	if _, err := f.Do(f.t.Context(), all...); err != nil {
		f.t.Fatal(err)
	}
}

// pages is how many there are on all hosts.
func (f *fleet) pages() int { return f.site.Pages * len(f.web.URLs) }

// reach waits until so many pages were asked for.
func (f *fleet) reach(n int) {
	f.t.Helper()
	eventuallySay(f.t, time.Minute, func() string { return fmt.Sprintf("%d requests, there are %d\n%s", n, f.web.Count(), f.sight()) },
		func() bool { return f.web.Count() >= n })
}

// sight is what the cluster says of its crawls, for a test that failed.
func (f *fleet) sight() string {
	var b strings.Builder
	for _, args := range [][]string{{"crawl", "show", "one"}, {"plan", "show"}} {
		out, err := f.Do(f.t.Context(), args...)
		fmt.Fprintf(&b, "$ salvor %s\n%s%s\n", strings.Join(args, " "), out, errText(err))
	}
	return b.String()
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// underway fails the test when the crawl is so near its end that a fault would
// meet nothing.
func (f *fleet) underway() {
	f.t.Helper()
	f.reach(f.web.Count() + 10)
	if n := f.web.Count(); n > f.pages()*9/10 {
		f.t.Fatalf("%d of %d pages were asked for before the fault: the crawl was too fast to be tested", n, f.pages())
	}
}

// start runs a node again.
func (f *fleet) start(n *rig.Node) {
	f.t.Helper()
	if err := n.Start(); err != nil {
		f.t.Fatal(err)
	}
}

// stormSeed repeats a storm.
var stormSeed = flag.Uint64("storm", 0, "draw the faults of TestClusterStorm from this `seed`")

// groupsTested are the numbers of Raft groups that a test is run with: in the
// short form only one.
func groupsTested(short int) []int {
	if *long {
		return []int{1, 4}
	}
	return []int{short}
}

// parallel lets tests of the short form run beside each other: they mostly wait.
// In full size each has the machine for itself, because it is measured.
func parallel(t *testing.T) {
	if !*long {
		t.Parallel()
	}
}

// lastOf is the end of a log, long enough to hold a fault.
func lastOf(s string) string {
	const most = 15_000
	if len(s) > most {
		return "...\n" + s[len(s)-most:]
	}
	return s
}
