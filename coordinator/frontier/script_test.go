package frontier

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/cockroachdb/pebble/v2/vfs"

	"salvor"
	"salvor/api"
)

// TestProtocol runs the scripts in testdata/protocol. Each says in its comments
// which sentence of the protocol it shows. Items are written host/path, leases
// L1, L2 ... in the order of their grants, times in seconds, paces in requests
// a second. After each script the state is audited, and its log
// replayed in one batch must give the same bytes.
func TestProtocol(t *testing.T) {
	datadriven.Walk(t, "testdata/protocol", func(t *testing.T, path string) {
		s := &script{T: t, fs: vfs.NewMem(), keys: map[salvor.Key]string{}}
		s.m = open(t, s.fs)
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.T, s.d = t, d
			return s.run()
		})
		checkState(t, s.m)
		want := dump(t, s.m)
		shut(t, s.m)
		m := open(t, vfs.NewMem())
		m.ApplyBatch(s.log)
		sameState(t, want, dump(t, m))
		shut(t, m)
	})
}

type script struct {
	*testing.T
	fs      vfs.FS
	m       *Machine
	d       *datadriven.TestData
	log     []Entry
	now     int64
	request uint64
	keys    map[salvor.Key]string
	granted []salvor.LeaseID
}

func (s *script) run() string {
	if c := s.command(); c != nil {
		return s.apply(c)
	}
	crawl := salvor.CrawlID(s.number("crawl", 1))
	switch s.d.Cmd {
	case "totals":
		return s.totals(crawl)
	case "lookup":
		return s.lookup(crawl)
	case "ready":
		return s.ready()
	case "leases":
		return s.leases()
	case "host":
		h, err := s.m.Host(crawl, s.arg("host"))
		return fmt.Sprintf("rate=%v ceiling=%v booked=%v blocked=%d note=%q %v", perSecond(h.Rate), perSecond(h.Ceiling),
			perSecond(h.Booked), h.Blocked/1000, h.Note, errorText(err))
	case "crawl":
		c, err := s.m.Crawl(crawl)
		return fmt.Sprintf("%q %v version=%d scope=%d ceiling=%v %s", c.Name, c.State, c.Version, c.Scope, perSecond(c.Ceiling), errorText(err))
	case "records":
		list, err := s.m.Records(s.arg("table"))
		return lines(list, func(x api.Record) string { return fmt.Sprintf("%s=%s version=%d", x.Key, x.Value, x.Version) }) + errorText(err)
	case "groups":
		list, _ := s.m.Groups()
		return lines(list, func(x api.HostGroup) string {
			return fmt.Sprintf("%s: %s share=%v", x.Name, strings.Join(x.Hosts, " "), perSecond(x.Share))
		})
	case "sessions":
		return lines(s.m.Sessions(), func(x SessionInfo) string {
			return fmt.Sprintf("session %d leases=%d answers=%d", x.ID, x.Leases, x.Answers)
		})
	case "counts":
		return s.counts(crawl)
	case "walk":
		return s.walk(crawl)
	case "open-items":
		return s.openItems(crawl)
	case "segments":
		list, _ := s.m.Segments()
		return lines(list, func(x api.Segment) string {
			return fmt.Sprintf("%d %s state=%d object=%s bytes=%d", x.ID, x.Name, x.State, x.Object, x.Bytes)
		})
	case "robots":
		list, err := s.m.Robots(crawl, s.arg("host"))
		return robotsText(list) + errorText(err)
	case "restart":
		shut(s, s.m)
		s.m = open(s, s.fs)
		return ""
	}
	s.Fatalf("%s: unknown command %s", s.d.Pos, s.d.Cmd)
	return ""
}

func (s *script) arg(name string) string {
	for _, a := range s.d.CmdArgs {
		if a.Key == name {
			return strings.Join(a.Vals, ",")
		}
	}
	return ""
}

func (s *script) has(name string) bool {
	return slices.ContainsFunc(s.d.CmdArgs, func(a datadriven.CmdArg) bool { return a.Key == name })
}

func (s *script) number(name string, otherwise float64) float64 {
	if v := s.arg(name); v != "" {
		return s.parse(v)
	}
	return otherwise
}

func (s *script) parse(v string) float64 {
	if v == "unlimited" {
		return salvor.Unlimited.PerSecond()
	}
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		s.Fatalf("%s: %v", s.d.Pos, err)
	}
	return f
}

func (s *script) pace(name string) *salvor.Pace {
	if !s.has(name) {
		return nil
	}
	p := salvor.PerSecond(s.number(name, 0))
	return &p
}

func (s *script) session() salvor.SessionID { return salvor.SessionID(s.number("session", 1)) }

// lease reads L and the number of the lease in the order of their grants.
func (s *script) lease(v string) salvor.LeaseID {
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimPrefix(v, "L"))
	if err != nil || n < 1 || n > len(s.granted) {
		s.Fatalf("%s: no lease %s", s.d.Pos, v)
	}
	return s.granted[n-1]
}

func (s *script) leaseText(id salvor.LeaseID) string {
	if !slices.Contains(s.granted, id) {
		s.granted = append(s.granted, id)
	}
	return fmt.Sprintf("L%d", slices.Index(s.granted, id)+1)
}

// item splits host/path, or https://host/path, and gives the item its key.
func (s *script) item(v string) (host string, k salvor.Key) {
	url := v
	if !strings.HasPrefix(v, "https://") {
		url = "http://" + v
	}
	host, _, _ = strings.Cut(url[strings.Index(url, "//")+2:], "/")
	k = salvor.ItemKey(salvor.HashKey{}, "", url, nil)
	s.keys[k] = v
	return host, k
}

// rows are the words of the input's lines.
func (s *script) rows() (rows [][]string) {
	for line := range strings.Lines(s.d.Input) {
		if w := strings.Fields(line); len(w) > 0 {
			rows = append(rows, w)
		}
	}
	return rows
}

// options are the k=v words of a row.
func options(words []string) map[string]string {
	o := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		o[k] = v
	}
	return o
}

func (s *script) apply(c Command) string {
	s.now = max(s.now, int64(s.number("at", 0)*1000))
	s.request++
	e := Envelope{Level: LevelOf(c), Now: s.now, Session: s.session(), Request: uint64(s.number("request", float64(s.request+1000))), Command: c}
	entry := Entry{Index: uint64(len(s.log) + 1), Data: Encode(e)}
	s.log = append(s.log, entry)
	out := s.m.ApplyBatch([]Entry{entry})[0]
	if out.Fatal {
		s.Fatalf("%s: %v", s.d.Pos, out.Err)
	}
	if out.Err != nil {
		return errorText(out.Err)
	}
	return s.result(out.Result)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return fmt.Sprintf("%v: %v", salvor.ClassOf(err), err)
}

func (s *script) result(r any) string {
	switch r := r.(type) {
	case []api.Result:
		return lines(r, func(x api.Result) string {
			return [...]string{"new", "improved", "unchanged", "readmitted", "barred"}[x]
		})
	case []api.Lease:
		return lines(r, func(l api.Lease) string {
			return fmt.Sprintf("lease %s of %s%s at %v: %s%s", s.leaseText(l.ID), l.Host, groupText(l.Group), perSecond(l.Pace), s.names(l.Items), robotsText(l.Robots))
		})
	case api.Renewal:
		var b strings.Builder
		for _, x := range r.Granted {
			fmt.Fprintf(&b, "lease %s%s at %v\n", s.leaseText(x.Lease), groupText(groupOf(r, x.Lease)), perSecond(x.Pace))
		}
		for _, id := range r.Lost {
			fmt.Fprintf(&b, "lost %s\n", s.leaseText(id))
		}
		for _, k := range r.Struck {
			fmt.Fprintf(&b, "struck %s\n", s.keys[k])
		}
		return b.String()
	case SettleResult:
		return fmt.Sprintf("accepted=%d duplicate=%d stale=%d", r.Accepted, r.Duplicate, r.Stale)
	case ReopenResult:
		return fmt.Sprintf("reopened=%d more=%v", r.N, r.Next != nil)
	case api.Crawl:
		return fmt.Sprintf("crawl %d %q %v", r.ID, r.Name, r.State)
	case nil:
		return "ok"
	}
	return fmt.Sprint(r)
}

func (s *script) names(items []salvor.Item) string {
	var names []string
	for _, it := range items {
		n := cmp.Or(s.keys[it.Key], it.URL)
		if it.Attempts > 0 {
			n += fmt.Sprintf("(tries %d)", it.Attempts)
		}
		if it.Round > 0 {
			n += fmt.Sprintf("(round %d)", it.Round)
		}
		names = append(names, n)
	}
	return strings.Join(names, " ")
}

func robotsText(list []api.Robots) string {
	var b strings.Builder
	for _, x := range list {
		fmt.Fprintf(&b, " [%s status=%d %q]", x.Origin, x.Status, x.Rules)
	}
	return b.String()
}

func perSecond(p salvor.Pace) string {
	if p >= salvor.Unlimited {
		return "unlimited"
	}
	return fmt.Sprint(p.PerSecond())
}

func lines[T any](list []T, f func(T) string) string {
	var b strings.Builder
	for _, x := range list {
		b.WriteString(f(x) + "\n")
	}
	return cmp.Or(b.String(), "none")
}

func totalsText(t api.Totals) string {
	var b strings.Builder
	fmt.Fprintf(&b, "accepted=%d queued=%d waiting=%d leased=%d", t.Accepted, t.Queued, t.Waiting, t.Leased)
	for o, n := range t.Outcomes {
		if n != 0 {
			fmt.Fprintf(&b, " %v=%d", salvor.Outcome(o), n)
		}
	}
	if t.Captures != 0 {
		fmt.Fprintf(&b, " captures=%d bytes=%d dups=%d late=%d", t.Captures, t.Bytes, t.Dups, t.Late)
	}
	return b.String()
}

func groupText(name string) string {
	if name == "" {
		return ""
	}
	return " in " + name
}

func groupOf(r api.Renewal, id salvor.LeaseID) string {
	for _, x := range r.Merged {
		if x.Lease == id {
			return x.Group
		}
	}
	return ""
}
