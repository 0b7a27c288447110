package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"salvor": fakeMain})
}

// The scripts of cmd/salvor/testdata say what people type and are told. The
// engine behind them is testOnlyEngine: FAKE says how its run ends.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("..", "..", "testdata"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			e.Setenv("TZ", "UTC")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"within": within,
			"signal": sendSignal,
		},
	})
}

// exits runs a program and compares its exit code: exits 3 salvor save ...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		var exit interface{ ExitCode() int }
		if !errors.As(err, &exit) {
			ts.Fatalf("run: %v", err)
		}
		code = exit.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// within waits up to 30 s for a file to hold a text: within FILE TEXT.
func within(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: within FILE TEXT")
	}
	var b []byte
	for range 3000 {
		b, _ = os.ReadFile(ts.MkAbs(args[0]))
		if strings.Contains(string(b), args[1]) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s never held %q:\n%s", args[0], args[1], b)
}

var signals = map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}

// sendSignal signals the process that holds an archive: signal TERM DIR.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 || signals[args[0]] == 0 {
		ts.Fatalf("usage: signal INT|TERM|HUP DIR")
	}
	b, err := os.ReadFile(ts.MkAbs(filepath.Join(args[1], "state", "lock")))
	ts.Check(err)
	var holder archive.Holder
	ts.Check(json.Unmarshal(b, &holder))
	ts.Check(syscall.Kill(holder.PID, signals[args[0]]))
}

func fakeMain() {
	p := Program{Engine: testOnlyEngine{}, Version: "v0-test"}
	if s := os.Getenv("FAKE_NOW"); s != "" {
		now, err := time.Parse(time.RFC3339, s)
		if err != nil {
			panic(err)
		}
		p.Now = func() time.Time { return now }
	}
	os.Exit(p.Run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

// testOnlyEngine ends as FAKE says and writes what it was asked to do into
// the file FAKE_JOB.
type testOnlyEngine struct{}

func (testOnlyEngine) Run(ctx context.Context, j job.Job) (job.Result, error) {
	if err := dump(j); err != nil {
		return job.Result{}, err
	}
	final := progress.Snapshot{Phase: progress.Ended, Known: 10, Saved: 6, Gone: 1, Excluded: 1, Failed: 2, Bytes: 123456, Captures: 9}
	res := job.Result{Final: final, Segments: 1, Bytes: 45678, Report: j.Dir.Path("report.html")}
	j.Progress.Update(progress.Snapshot{Phase: progress.Crawling, Known: 10, Saved: 3, Queued: 7})
	switch fake := os.Getenv("FAKE"); fake {
	case "":
		res.Reason = job.Done
	case "wait":
		return waitForEnd(ctx, j, res)
	case "deaf":
		<-ctx.Done()
		return job.Result{Reason: job.Interrupted}, nil
	case "stubborn":
		<-ctx.Done()
		return res, ctx.Err()
	case "nohost":
		res.Reason, res.Seeds = job.Failed, []job.SeedTrouble{{URL: j.Seeds[0].URL, Kind: job.TroubleNoHost}}
	case "refused":
		res.Reason, res.Seeds = job.Done, []job.SeedTrouble{{URL: j.Seeds[0].URL, Kind: job.TroubleRefused, Address: "127.0.0.1"}}
	case "unreachable":
		res.Reason, res.Seeds = job.Failed, []job.SeedTrouble{{URL: j.Seeds[0].URL, Kind: job.TroubleConnect, Detail: "connection refused"}}
	case "full":
		return job.Result{}, salvor.Errorf(salvor.Exhausted, "write warc/x: %w", syscall.ENOSPC).WithHint("make room")
	case "conflict":
		return job.Result{}, salvor.Errorf(salvor.Conflict, "another object is there")
	case "broken":
		return job.Result{}, errors.New("something is\nbroken \x1b[31m")
	default:
		res.Reason = job.Reason(fake)
	}
	return res, nil
}

func waitForEnd(ctx context.Context, j job.Job, res job.Result) (job.Result, error) {
	for {
		select {
		case c := <-j.Control:
			if err := appendJob("control %d rules, paused %v\n", len(c.State.Exclude), c.State.Paused); err != nil {
				return res, err
			}
		case <-j.Drain:
			res.Reason = job.Interrupted
			return res, nil
		case <-ctx.Done():
			return res, ctx.Err()
		}
	}
}

func (testOnlyEngine) Trace(_ context.Context, q job.Inquiry) (job.Trace, error) {
	if strings.Contains(q.URL, "busy") {
		return job.Trace{Partial: true, Note: "d is in use by process 7: this is what crawl.log tells"}, nil
	}
	if !strings.Contains(q.URL, "known") {
		return job.Trace{Partial: true}, nil
	}
	return job.Trace{Known: true, State: "settled", Outcome: salvor.Saved, Status: 200, At: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		Path: []job.Link{{URL: "https://example.org/"}, {URL: "https://example.org/list", Hop: "L"}, {URL: q.URL, Hop: "L"}}}, nil
}

func appendJob(format string, args ...any) error {
	path := os.Getenv("FAKE_JOB")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, format, args...)
	return errors.Join(err, f.Close())
}

func dump(j job.Job) error {
	var b strings.Builder
	fmt.Fprintf(&b, "resumed %v round %d again %v retry [%s]\n", j.Resumed, j.Round, j.Again, outcomeNames(j.Retry))
	for _, s := range j.Seeds {
		fmt.Fprintf(&b, "seed %s %s new %v\n", s.URL, s.Source, s.New)
	}
	s := j.Settings
	fmt.Fprintf(&b, "name %s prefix %s agent %s robots %s\n", s.Name, s.WARCPrefix, s.UserAgent, s.RobotsAgent)
	fmt.Fprintf(&b, "scope %s hops %d+%d include %q exclude %q from %q sets %q requisites %v\n", s.Scope, s.MaxHops, s.ExtraHops, s.Include, s.Exclude, s.ExcludeFrom, s.ExcludeSets, s.PageRequisites)
	fmt.Fprintf(&b, "rate %g given %v limit %d connections %d per-origin %d tries %d robots %s\n", s.MaxRate, s.MaxRateGiven, s.LimitRate, s.Connections, s.PerOrigin, s.Tries, s.Robots)
	fmt.Fprintf(&b, "limits %d urls %d bytes %d body; warc %d outlinks %v %q\n", s.LimitURLs, s.LimitBytes, s.MaxBody, s.WARCMaxSize, s.WARCOutlinks, s.WARCHeaders)
	if !s.Deadline.IsZero() {
		fmt.Fprintf(&b, "deadline %s\n", s.Deadline.Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "net %v bind %v proxy %s user %s pass %s verify %v\n", s.AllowNet, s.BindAddress, s.Proxy, s.Secrets.ProxyUser, s.Secrets.ProxyPass.Reveal(), s.TLSVerify)
	for _, h := range s.Secrets.Headers {
		fmt.Fprintf(&b, "header %s: %s\n", h.Name, h.Value.Reveal())
	}
	for _, c := range s.Secrets.Cookies {
		fmt.Fprintf(&b, "cookie %s %s=%s\n", c.Domain, c.Name, c.Value.Reveal())
	}
	return appendJob("%s", b.String())
}
