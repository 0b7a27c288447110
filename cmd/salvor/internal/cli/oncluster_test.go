package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client/clienttest"
	"salvor/coordinator/trust"
)

// No election is under way in these tests: nothing is waited for.
func init() { patience = 300 * time.Millisecond }

const fakeKey = "fake cluster"

// The scripts of cmd/salvor/testdata/cluster say what people type at a cluster
// and are told. Behind them is a clienttest.Cluster of two groups, which the
// command fake steers; SALVOR_SERVER and SALVOR_KEY_FILE name it.
func TestClusterScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata", "cluster"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			c, err := clienttest.Start(filepath.Join(e.WorkDir, ".cluster"), 2)
			if err != nil {
				return err
			}
			e.Defer(func() {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			})
			e.Values[fakeKey] = c
			for k, v := range map[string]string{
				"TZ": "UTC", "FAKE_NOW": "2026-12-01T12:00:00Z", "SALVOR_SERVER": c.URL(), "SALVOR_KEY_FILE": c.KeyFile(), "ADDR": c.Address, "KEY_ID": keyID(c),
			} {
				e.Setenv(k, v)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "fake": fake, "mode": fileMode},
	})
}

// keyID is the public part of the admin's key.
func keyID(c *clienttest.Cluster) string {
	b, err := os.ReadFile(c.KeyFile())
	if err != nil {
		return err.Error()
	}
	k, err := trust.ParseKey(strings.TrimSpace(string(b)))
	if err != nil {
		return err.Error()
	}
	return k.ID
}

// fakes are what fake NAME ARG... does to the cluster.
var fakes = map[string]func(*testscript.TestScript, *clienttest.Cluster, []string){
	// down GROUP has no leader in a group; up GROUP mends it.
	"down": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		g := number(ts, a[0])
		c.Groups[g].Down(salvor.Errorf(salvor.Unavailable, "%w", &api.NotLeader{Group: g}))
	},
	"up": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		c.Groups[number(ts, a[0])].Down(nil)
	},
	// stale GROUP keeps changes of crawls from it; fresh GROUP no more.
	"stale": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		c.Groups[number(ts, a[0])].Stale(true)
	},
	// level N is the feature level it runs at.
	"level": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		c.SetLevel(uint16(number(ts, a[0])))
	},
	// limits GROUP FILE is what a group has learned of merged hosts.
	"limits": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		var l api.GroupLimits
		read(ts, a[1], &l)
		ts.Check(c.Groups[number(ts, a[0])].SetLimits(context.Background(), l))
	},
	"fresh": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		g := c.Groups[number(ts, a[0])]
		c.Heal(number(ts, a[0]))
		all, err := c.Groups[0].Crawls(context.Background())
		ts.Check(err)
		for _, k := range all {
			ts.Check(g.AdoptCrawl(context.Background(), k))
		}
	},
	// http PATH STATUS BODY is what a path answers.
	"http": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		c.Fail(a[0], number(ts, a[1]), a[2])
	},
	// answer PATH FILE has a path answer what a file holds.
	"answer": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		c.Fail(a[0], http.StatusOK, ts.ReadFile(a[1]))
	},
	// clock TIME is what the cluster's clock says.
	"clock": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		t, err := time.Parse(time.RFC3339, a[0])
		ts.Check(err)
		c.SetClock(t)
	},
	// status FILE is what the cluster says of itself; node FILE a row of its table.
	"status": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		var s api.Status
		read(ts, a[0], &s)
		c.SetStatus(s)
	},
	"node": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		var nodes []api.Node
		read(ts, a[0], &nodes)
		ts.Check(c.Retire())
		for _, n := range nodes {
			ts.Check(c.SetNode(n))
		}
	},
	// look GROUP CRAWL FILE is what a group tells of a crawl.
	"look": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		var l struct {
			clienttest.Look
			Reasons []struct {
				Outcome, Text string
				N             int64
			}
		}
		read(ts, a[2], &l)
		l.Look.Reasons = map[api.Reason]int64{}
		for _, r := range l.Reasons {
			o, ok := salvor.ParseOutcome(r.Outcome)
			if !ok {
				ts.Fatalf("outcome %q", r.Outcome)
			}
			l.Look.Reasons[api.Reason{Outcome: o, Text: r.Text}] = r.N
		}
		c.Groups[number(ts, a[0])].Set(salvor.CrawlID(number(ts, a[1])), l.Look)
	},
	// crawl NAME STATE puts a crawl into a state behind everybody's back.
	"crawl": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		for s := salvor.CrawlDraft; s <= salvor.CrawlDeleted; s++ {
			if s.String() == a[1] {
				ts.Check(set(c, a[0], s))
				return
			}
		}
		ts.Fatalf("no state %q", a[1])
	},
	// race NAME has somebody else change a crawl in the midst of the next change.
	"race": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		c.Groups[0].Race(func() {
			if err := set(c, a[0], salvor.CrawlPaused); err != nil {
				ts.Logf("race: %v", err)
			}
		})
	},
	// key NAME ROLE FILE writes a new key.
	"key": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		text, err := c.Key(a[0], api.Role(a[1]))
		ts.Check(err)
		ts.Check(os.WriteFile(ts.MkAbs(a[2]), []byte(text+"\n"), 0o600))
	},
	// offers CRAWL FILE writes what was discovered, a line an item.
	"offers": func(ts *testscript.TestScript, c *clienttest.Cluster, a []string) {
		var b strings.Builder
		for i, g := range c.Groups {
			for _, o := range g.Offers(salvor.CrawlID(number(ts, a[0]))) {
				fmt.Fprintf(&b, "%d %s %s %s\n", i, o.Class, o.URL, o.Excluded)
			}
		}
		ts.Check(os.WriteFile(ts.MkAbs(a[1]), []byte(b.String()), 0o644))
	},
}

func set(c *clienttest.Cluster, name string, s salvor.CrawlState) error {
	all, err := c.Groups[0].Crawls(context.Background())
	if err != nil {
		return err
	}
	for _, k := range all {
		if k.Name == name {
			k.State, k.Version = s, 0
			return c.Groups[0].SetCrawl(context.Background(), k)
		}
	}
	return fmt.Errorf("no crawl %s", name)
}

func fake(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || fakes[args[0]] == nil {
		ts.Fatalf("usage: fake NAME ARG...; see fakes")
	}
	fakes[args[0]](ts, ts.Value(fakeKey).(*clienttest.Cluster), args[1:])
}

// fileMode compares a file's permissions: mode 0600 FILE.
func fileMode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode MODE FILE")
	}
	st, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%04o", st.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has mode %s, want %s", args[1], got, args[0])
	}
}

func number(ts *testscript.TestScript, s string) int {
	n, err := strconv.Atoi(s)
	ts.Check(err)
	return n
}

func read(ts *testscript.TestScript, file string, into any) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(file)))
	d.DisallowUnknownFields()
	ts.Check(d.Decode(into))
}
