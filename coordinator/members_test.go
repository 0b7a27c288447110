package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"salvor/api"
)

// parseMembers reads members in short: "a:voter b:non,silent=9m,behind=5".
// An address is the id, unless at= or want= say otherwise.
func parseMembers(t *testing.T, text string) (all []member) {
	for _, f := range strings.Fields(text) {
		id, rest, _ := strings.Cut(f, ":")
		m := member{id: raft.ServerID(id), in: true, address: raft.ServerAddress(id), want: raft.ServerAddress(id), steady: time.Hour}
		for _, w := range strings.Split(rest, ",") {
			k, v, _ := strings.Cut(w, "=")
			switch k {
			case "voter":
				m.voter = true
			case "non":
			case "new":
				m.in, m.address = false, ""
			case "unlisted":
				m.want = ""
			case "removed":
				m.removed, m.want = true, ""
			case "sending":
				m.sending = true
			case "blank":
				m.blank = true
			case "silent":
				d, err := time.ParseDuration(v)
				must(t, err)
				m.silent = d
			case "steady":
				d, err := time.ParseDuration(v)
				must(t, err)
				m.steady = d
			case "behind":
				fmt.Sscan(v, &m.behind)
			case "want":
				m.want = raft.ServerAddress(v)
			default:
				t.Fatalf("member %q", f)
			}
		}
		all = append(all, m)
	}
	return all
}

func TestPlan(t *testing.T) {
	for _, c := range []struct{ members, want string }{
		{"a:voter", ""},
		{"a:voter b:new", "add b"},
		{"a:voter b:new,removed", ""},
		{"a:voter,unlisted b:voter,unlisted c:voter", ""}, // not listed yet is not removed

		{"a:voter b:non", "promote b"},
		{"a:voter b:non,steady=2s", ""},
		{"a:voter b:non,behind=1001", ""},
		{"a:voter b:non,silent=4s", ""},
		{"a:voter b:non,sending", ""},
		{"a:voter b:non,unlisted", "promote b"},
		{"a:voter b:voter,silent=10s c:non", ""}, // b would not know c as a voter
		{"a:voter b:voter,behind=2000 c:non", ""},
		{"a:voter b:voter c:voter,silent=4m d:non", ""},
		{"a:voter b:voter c:voter d:voter e:voter f:voter g:voter h:non", ""}, // seven vote
		{"a:voter b:new c:non", "add b"},                                      // one at a time

		{"a:voter b:voter c:voter,removed", "remove c"},
		{"a:voter b:voter c:voter,removed,sending", ""},
		{"a:voter b:voter,silent=1m c:voter,removed", ""}, // would leave one of two
		{"a:voter b:voter,removed", "remove b"},
		{"a:voter b:voter,removed,silent=9m", "remove b"},
		{"a:voter,removed b:voter c:voter", "leave a"},
		{"a:voter b:non,removed,silent=9m", "remove b"},
		{"a:voter b:non,removed,sending", ""},
		{"a:voter b:voter,silent=9m c:voter,silent=9m d:voter,removed", "demote b"},

		{"a:voter b:voter,want=b2 c:voter", "move b"},
		{"a:voter,want=a2", "move a"},
		{"a:voter b:non,want=b2", "move b"},

		{"a:voter b:voter c:voter,silent=9m", ""}, // three are kept
		{"a:voter b:voter c:voter d:voter,silent=9m", "demote d"},
		{"a:voter b:voter c:voter d:voter,silent=4m", ""},
		{"a:voter b:voter c:voter d:voter,silent=9m,sending", ""},
		{"a:voter b:voter c:voter,silent=1m d:voter,silent=9m e:voter,silent=9m", ""}, // two well of four
		{"a:voter b:voter c:voter,silent=9m d:non", "promote d"},                      // then c goes
		{"a:voter b:voter c:voter,silent=9m d:voter", "demote c"},

		{"a:voter b:voter c:voter,blank,silent=1s", "demote c"},
		{"a:voter b:voter,blank", "demote b"},
		{"a:voter b:voter,silent=1m c:voter,blank", ""},
		{"a:voter b:voter c:voter,blank d:new", "demote c"},
		{"a:voter b:non,blank", ""},
	} {
		got := ""
		if x, ok := plan("a", parseMembers(t, c.members), 3*time.Second, 5*time.Minute); ok {
			got = x.what + " " + string(x.id)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.members, got, c.want)
		}
	}
}

// Whatever the members are like, no step leaves the voters without a healthy
// majority that had one, and every step changes something.
func FuzzPlan(f *testing.F) {
	f.Add([]byte{1, 1, 1})
	f.Add([]byte{1, 1, 5, 9, 2, 17})
	f.Fuzz(func(t *testing.T, kinds []byte) {
		var all []member
		for i, k := range kinds[:min(len(kinds), 9)] {
			id := string(rune('a' + i))
			m := member{id: raft.ServerID(id), in: k&1 == 1, want: raft.ServerAddress(id), steady: time.Minute}
			m.voter = m.in && k&2 == 2
			m.removed, m.sending, m.blank = k&4 == 4, k&8 == 8, k&16 == 16
			m.silent = time.Duration(k>>5&3) * 3 * time.Minute
			if m.in {
				m.address = m.want
			}
			if i == 0 {
				m.in, m.voter, m.silent, m.blank, m.sending = true, true, 0, false, false
			}
			all = append(all, m)
		}
		if len(all) == 0 {
			return
		}
		c, ok := plan("a", all, 3*time.Second, 5*time.Minute)
		if !ok {
			return
		}
		at := slices.IndexFunc(all, func(m member) bool { return m.id == c.id })
		switch c.what {
		case "demote", "remove":
			if all[at].sending {
				t.Errorf("%v of one that is sent a snapshot", c)
			}
			if all[at].voter && !safeWithout(all, c.id) {
				t.Errorf("%v leaves no healthy majority", c)
			}
			if c.id == "a" {
				t.Errorf("the leader would %v itself", c)
			}
		case "promote":
			if !all[at].well() || all[at].voter {
				t.Errorf("%v", c)
			}
		}
	})
}

func TestPickHeir(t *testing.T) {
	heir := func(ids string) (all []raft.Server) {
		for _, id := range ids {
			all = append(all, raft.Server{ID: raft.ServerID(id)})
		}
		return all
	}
	for _, c := range []struct {
		leaders string // of groups 0, 1, ...
		heirs   string // of each group a leads
		goes    bool
		want    string
	}{
		{"aaaa", "bc bc bc bc", false, "0 to b"},
		{"baaa", "bc bc bc", false, "1 to c"},
		{"bcaa", "bc bc", false, ""},
		{"aa", "b b", false, "0 to b"},
		{"a", "b", false, ""},
		{"aab", "b b", false, ""},
		{"aaaa", "   ", false, ""},       // nobody can
		{"aaab", " b ", false, "1 to b"}, // fair: two each
		{"a", "bc", true, "0 to b"},
		{"ab", "bc", true, "0 to c"},
		{"bb", "", true, ""},
	} {
		var leaders []raft.ServerID
		var mine []lead
		heirs := strings.Split(c.heirs, " ")
		for i, id := range c.leaders {
			leaders = append(leaders, raft.ServerID(id))
			if id == 'a' {
				mine = append(mine, lead{i, heir(heirs[len(mine)])})
			}
		}
		got := ""
		if g, to, ok := pickHeir(leaders, mine, "a", c.goes); ok {
			got = fmt.Sprintf("%d to %s", g, to.ID)
		}
		if got != c.want {
			t.Errorf("leaders %s, goes %t: %q, want %q", c.leaders, c.goes, got, c.want)
		}
	}
}

func TestCommonLevel(t *testing.T) {
	node := func(level uint16, role api.Role, s api.NodeState) api.Node {
		return api.Node{Level: level, Roles: []api.Role{role}, State: s}
	}
	nodes := map[raft.ServerID]api.Node{
		"a": node(3, api.RoleCoordinator, api.NodeActive),
		"b": node(4, api.RoleCoordinator, api.NodeDraining),
		"w": node(1, api.RoleWorker, api.NodeActive),
		"x": node(1, api.RoleCoordinator, api.NodeRemoved),
	}
	for _, c := range []struct {
		most    uint16
		servers []raft.ServerID
		want    uint16
	}{
		{9, []raft.ServerID{"a", "b"}, 3},
		{2, []raft.ServerID{"a", "b"}, 2},
		{9, []raft.ServerID{"b"}, 3},           // a is not in yet, but will be
		{9, []raft.ServerID{"a", "x"}, 1},      // removed, and still there
		{9, []raft.ServerID{"a", "nobody"}, 0}, // not known
	} {
		if got := common(c.most, nodes, c.servers); got != c.want {
			t.Errorf("%v: %d, want %d", c, got, c.want)
		}
	}
}
