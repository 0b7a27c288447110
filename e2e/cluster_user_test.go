package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// person types commands in a directory.
type person struct {
	t   *testing.T
	bin string
	dir string
	env []string
}

func newPerson(t *testing.T, env []string) *person {
	t.Helper()
	bin, err := buildPlain()
	if err != nil {
		t.Fatal(err)
	}
	return &person{t, bin, t.TempDir(), append([]string{"HOME=" + t.TempDir()}, env...)}
}

// runs starts what goes on until it is stopped.
func (p *person) runs(args ...string) *rig.Process {
	p.t.Helper()
	pr, err := rig.Start(p.dir, p.env, p.bin, args...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = pr.Signal(syscall.SIGKILL)
		<-pr.Done()
		if p.t.Failed() {
			p.t.Logf("salvor %s says:\n%s%s", strings.Join(args, " "), end(pr.Stdout()), end(pr.Stderr()))
		}
	})
	return pr
}

// types runs a command to its end and gives what it printed.
func (p *person) types(args ...string) string {
	p.t.Helper()
	pr := p.runs(args...)
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	if u, err := pr.Wait(ctx); err != nil || u.Exit != exitDone {
		p.t.Fatalf("salvor %s: exit code %d, %v\n%s%s", strings.Join(args, " "), u.Exit, err, pr.Stdout(), pr.Stderr())
	}
	return pr.Stdout()
}

// stops ends a node cleanly.
func (p *person) stops(pr *rig.Process) {
	p.t.Helper()
	if err := pr.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), 90*time.Second)
	defer cancel()
	if u, err := pr.Wait(ctx); err != nil || u.Exit != exitDone {
		p.t.Errorf("a clean stop: exit code %d, %v", u.Exit, err)
	}
}

// well waits until the cluster says that it is.
func (p *person) well(args ...string) {
	p.t.Helper()
	said := ""
	eventuallySay(p.t, time.Minute, func() string { return "all is well:\n" + said }, func() bool {
		pr := p.runs(append([]string{"status"}, args...)...)
		u, err := pr.Wait(p.t.Context())
		said = pr.Stdout() + pr.Stderr()
		return err == nil && u.Exit == exitDone
	})
}

func (p *person) port(ip string) string {
	p.t.Helper()
	addr, err := rig.FreePort("127.0.0.1")
	if err != nil {
		p.t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	return net.JoinHostPort(ip, port)
}

// machine is an empty directory somewhere, where people type what a document
// says.
type machine struct {
	*person
	at   string // host:port of its node
	node *rig.Process
}

// reading is a document being followed, command by command, on machines of the
// test's own.
type reading struct {
	t        *testing.T
	web      *rig.Nginx
	b        *bucket
	machines []*machine // the first is where a reader sits
	done     int
}

// TestClusterDocument: every command of docs/operating.md, in its order, from
// empty directories on. Only names of machines, of the bucket and of the site
// are other ones.
func TestClusterDocument(t *testing.T) {
	parallel(t)
	s := site.Site{Pages: 120}
	r := &reading{t: t, web: synthetic(t, s), b: quietBucket(t)}
	r.machine(1)
	r.follows("One machine")
	first := r.machines[0]
	first.stops(first.node)
	r.holds(s, filepath.Join(first.dir, "salvor-node", "store", "crawls", "example"))

	r.machines = nil
	for i := range 4 {
		r.machine(i + 1)
	}
	first = r.machines[0]
	r.follows("Three machines")
	first.well()
	first.types(r.made("salvor crawl create example https://example.org/")...)
	first.types("crawl", "show", "--watch", "example")
	r.holds(s, filepath.Join(r.b.copied(), "crawls", "example"))
	finished := time.Now().UTC().Format("20060102T150405")
	eventuallySay(t, time.Minute, func() string { return "a copy of the state with the crawl" }, func() bool {
		copies, _ := filepath.Glob(filepath.Join(r.b.copied(), "cluster", "checkpoints", "group-00", "*.tar"))
		return len(copies) > 0 && filepath.Base(slices.Max(copies)) > finished
	})
	r.follows("Watching", "People and scripts", "Settings", "Maintenance")
	first.well()
	for i := range r.machines { // the first one last
		m := r.machines[len(r.machines)-1-i]
		m.stops(m.node)
	}

	r.machines = nil
	r.machine(1)
	r.follows("When all coordinators are lost")
	first = r.machines[0]
	first.well()
	if out := first.types("crawl", "list"); !strings.Contains(out, "example") {
		t.Errorf("the cluster that was brought back has the crawls:\n%s", out)
	}
	if r.done < 15 {
		t.Errorf("only %d commands were found in the document", r.done)
	}
}

func (r *reading) machine(i int) {
	r.t.Helper()
	m := &machine{person: newPerson(r.t, append([]string{"SALVOR_CHECKPOINT_EVERY=3s"}, r.b.m.Env...))}
	m.at = m.port(fmt.Sprintf("127.42.0.%d", i))
	r.machines = append(r.machines, m)
}

func (r *reading) holds(s site.Site, dir string) {
	r.t.Helper()
	a, err := rig.ReadArchive(dir)
	if err != nil {
		r.t.Fatal(err)
	}
	holds(r.t, a, s, r.web.URL)
}

// follows types what some sections of the document say.
func (r *reading) follows(sections ...string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "docs", "operating.md"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, title := range sections {
		_, rest, found := strings.Cut(string(text), "\n## "+title+"\n")
		if !found {
			r.t.Fatalf("the document has no section %q", title)
		}
		section, _, _ := strings.Cut(rest, "\n## ")
		for i, block := range strings.Split(section, "\n```\n") {
			if i%2 == 0 {
				continue
			}
			env := r.machines[0].env
			for line := range strings.Lines(block) {
				r.line(strings.TrimSpace(line))
			}
			r.machines[0].env = env // a terminal is closed
		}
	}
}

// line does what one line says, on the machine it is meant for.
func (r *reading) line(line string) {
	r.t.Helper()
	r.t.Logf("$ %s", line)
	r.done++
	m := r.machines[0]
	switch args := r.made(line); {
	case strings.HasPrefix(line, "export "):
		for _, kv := range strings.Fields(r.here(line))[1:] {
			m.env = append(slices.Clone(m.env), kv)
		}
	case !strings.HasPrefix(line, "salvor "):
		r.t.Fatalf("nobody knows how to type %q", line)
	case args[0] == "join":
		m = r.joins(line)
		token := args[slices.Index(args, "--token-file")+1]
		copyFile(r.t, filepath.Join(r.machines[0].dir, token), filepath.Join(m.dir, token))
		m.serves(args)
	case args[0] == "server":
		if _, err := os.Stat(filepath.Join(m.dir, "salvor-node", "salvor.yaml")); err != nil {
			args = append(args, "--listen", m.at)
		}
		m.serves(args)
	default:
		m.types(args...)
	}
}

// joins is the machine that a line of join is meant for.
func (r *reading) joins(line string) *machine {
	for i := range 3 {
		if strings.Contains(line, fmt.Sprintf("--advertise node%d.", i+1)) {
			return r.machines[i]
		}
	}
	m := r.machines[3]
	m.env = append(m.env, "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=")
	return m
}

// serves runs a node until it is stopped.
func (m *machine) serves(args []string) {
	m.t.Helper()
	m.node = m.runs(args...)
	eventuallySay(m.t, time.Minute, func() string { return "the node serves:\n" + m.node.Stderr() }, func() bool {
		return strings.Contains(m.node.Stderr(), " serves https://") || strings.Contains(m.node.Stderr(), " works for its cluster")
	})
}

// made are the arguments of a line, with what is here in the place of examples.
func (r *reading) made(line string) []string {
	line = r.here(line)
	args := strings.Fields(strings.ReplaceAll(line, `"`, ""))[1:]
	if len(args) > 1 && args[0] == "crawl" && args[1] == "create" {
		args = append(args, "--allow-net", "127.0.0.0/8", "--max-rate", "0")
	}
	if len(args) > 1 && args[1] == "restore" {
		args = append(args, "--force") // the old ones ended a moment ago
	}
	return args
}

// here puts the test's machines, bucket and site in the place of the examples.
func (r *reading) here(line string) string {
	for i, m := range r.machines {
		line = strings.ReplaceAll(line, fmt.Sprintf("node%d.example.org:7420", i+1), m.at)
	}
	if _, mine, ok := strings.Cut(line, "--advertise "); ok {
		line = strings.ReplaceAll(line, "0.0.0.0:7420", strings.Fields(mine)[0])
	}
	line = strings.ReplaceAll(line, "s3://rescues/2026?endpoint=https://s3.example.net", r.b.url)
	line = strings.ReplaceAll(line, "https://example.org/", r.web.URL+"/index.html")
	if strings.Contains(line, "depasihe25") {
		line = strings.ReplaceAll(line, "depasihe25", r.somebody())
	}
	return line
}

// somebody is the name of the machine that only works.
func (r *reading) somebody() string {
	r.t.Helper()
	out := r.machines[0].types("node", "list", "--server", "https://"+r.machines[0].at, "--key-file", filepath.Join(r.machines[0].dir, "salvor-node", "admin.key"))
	for line := range strings.Lines(out) {
		if w := strings.Fields(line); len(w) > 2 && w[2] == "worker" {
			return w[0]
		}
	}
	r.t.Fatalf("nobody only works:\n%s", out)
	return ""
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
