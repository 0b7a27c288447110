package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/remote"
)

// resultJSON is the last line of a run that reached an end.
type resultJSON struct {
	Reason   job.Reason `json:"reason"`
	ExitCode int        `json:"exit_code"`
	Dir      string     `json:"dir"`
	Report   string     `json:"report,omitempty"`
	Elapsed  float64    `json:"elapsed"`
	progress.Counts
	Segments int           `json:"segments"`
	WARC     int64         `json:"warc_bytes"`
	Seeds    []troubleJSON `json:"seeds_without_answer"`
	Detail   string        `json:"detail,omitempty"`
	Hint     string        `json:"hint,omitempty"`
}

type troubleJSON struct {
	URL     string          `json:"url"`
	Kind    job.TroubleKind `json:"kind"`
	Detail  string          `json:"detail,omitempty"`
	Address string          `json:"address,omitempty"`
}

// end records how the run ended, tells it, and returns the exit code as an
// error.
func (s *session) end(res job.Result, err error) error {
	if err != nil && (errors.Is(err, context.Canceled) || salvor.ClassOf(err) == salvor.Interrupted) && s.isDraining() {
		res, err = job.Result{Reason: job.Interrupted, Final: res.Final, Detail: "stopped at once"}, nil
	}
	if err != nil {
		return s.broken(err)
	}
	if res.Reason == job.Interrupted {
		s.recount(&res)
	}
	code := s.code(&res)
	serr := s.dir.SetStatus(archive.Status{State: string(res.Reason), Final: res.Reason.Final(), Round: s.plan.round, Started: s.plan.status.Started, Updated: s.Now().UTC()})
	if serr != nil {
		return s.broken(serr)
	}
	s.log.Info("end", "reason", res.Reason, "exit", code, "saved", res.Final.Saved, "failed", res.Final.Failed, "detail", res.Detail)
	if err := s.tell(res, code); err != nil {
		s.log.Warn("the result could not be printed", "err", err)
	}
	return ended{code}
}

// recount fills in what an engine that was stopped at once could not count.
func (s *session) recount(res *job.Result) {
	if last := s.reporter.Last(); res.Final.Known < last.Known {
		res.Final = last
	}
	if res.Segments == 0 {
		res.Segments, res.Bytes = s.dir.Stored()
	}
}

func (s *session) isDraining() bool {
	select {
	case <-s.drain:
		return true
	default:
		return false
	}
}

// broken is an engine that could not begin or go on. What its classes mean
// for a person differs from those of the command line: only the archive
// directory's own conflict is a lock.
func (s *session) broken(err error) error {
	s.log.Error("end", "err", err, "class", salvor.ClassOf(err).String())
	if errors.Is(err, remote.ErrTaken) {
		return err
	}
	if salvor.ClassOf(err) == salvor.Conflict || salvor.ClassOf(err) == salvor.NotFound {
		return salvor.Errorf(salvor.Internal, "%w", err).WithHint("%s", firstOf(salvor.HintOf(err), "the log has more: "+s.dir.Log()))
	}
	if salvor.HintOf(err) == "" {
		return salvor.Errorf(salvor.ClassOf(err), "%w", err).WithHint("the log has more: %s", s.dir.Log())
	}
	return err
}

// code maps the reason, and says that a crawl none of whose seeds could be
// fetched did not succeed, whatever became of its URLs.
func (s *session) code(res *job.Result) int {
	if res.Reason == job.Done && len(res.Seeds) > 0 && len(res.Seeds) >= len(s.plan.seeds) {
		res.Reason = job.Failed
	}
	return reasonExit[res.Reason]
}

func (s *session) tell(res job.Result, code int) error {
	if s.asked.json {
		return progress.WriteJSON(s.stdout, "result", s.Now(), s.resultOf(res, code))
	}
	var b strings.Builder
	for i, t := range res.Seeds {
		if i == maxShownSeeds {
			fmt.Fprintf(&b, "salvor: %s got no answer\n", progress.Counted(int64(len(res.Seeds)-i), "more seed"))
			break
		}
		line, hint := troubleText(t)
		fmt.Fprintf(&b, "salvor: %s\n  %s\n", progress.Clean(line), progress.Clean(hint))
	}
	if !s.asked.quiet {
		fmt.Fprintf(&b, "%s: %s\n", res.Reason, s.summary(res))
		if res.Detail != "" {
			fmt.Fprintf(&b, "  %s\n", progress.Clean(res.Detail))
		}
		if res.Report != "" {
			fmt.Fprintf(&b, "report: %s\n", res.Report)
		}
		if h := s.next(res); h != "" {
			fmt.Fprintf(&b, "%s\n", h)
		}
	}
	_, err := s.stderr.Write([]byte(b.String()))
	_, err2 := fmt.Fprintln(s.stdout, s.plan.dir)
	return errors.Join(err, err2)
}

func (s *session) resultOf(res job.Result, code int) resultJSON {
	r := resultJSON{
		Reason: res.Reason, ExitCode: code, Dir: s.plan.dir, Report: res.Report, Elapsed: progress.Seconds(s.elapsed()),
		Counts: progress.CountsOf(res.Final), Segments: res.Segments, WARC: res.Bytes, Seeds: []troubleJSON{},
		Detail: res.Detail, Hint: s.next(res),
	}
	for _, t := range res.Seeds {
		r.Seeds = append(r.Seeds, troubleJSON(t))
	}
	return r
}

func (s *session) elapsed() time.Duration { return s.Now().Sub(s.begun).Round(time.Millisecond) }

func (s *session) summary(res job.Result) string {
	f := res.Final
	var b strings.Builder
	fmt.Fprintf(&b, "%s saved of %s known (%s received)", progress.Count(f.Saved+f.Revisits), progress.Count(f.Known), progress.Bytes(f.Bytes))
	for _, c := range []struct {
		name string
		n    int64
	}{{"gone", f.Gone}, {"refused", f.Refused}, {"failed", f.Failed}, {"excluded", f.Excluded}, {"too big", f.TooBig}, {"still open", f.Known - f.Settled()}} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %s %s", progress.Count(c.n), c.name)
		}
	}
	fmt.Fprintf(&b, "; %s, %s; %s", progress.Counted(int64(res.Segments), "WARC file"), progress.Bytes(res.Bytes), progress.Span(s.elapsed()))
	return b.String()
}

// next is what a person may want to do now.
func (s *session) next(res job.Result) string {
	resume := "salvor save --resume " + quote(s.plan.dir)
	switch res.Reason {
	case job.Failed:
		if t := refused(res.Seeds); t != "" {
			return "to permit that address: " + resume + " --allow-net " + t
		}
		return "to try again what failed: " + resume + " --retry failed"
	case job.Deadline:
		return "to go on with a later deadline: " + resume + " --deadline WHEN"
	case job.Limit:
		return "to go on, raise the limit: " + resume + " --limit-urls N (or --limit-bytes SIZE)"
	case job.Interrupted:
		return "to go on: " + resume
	case job.NoSpace:
		return "make room on the disk, then: " + resume
	}
	return ""
}

// refused is the first address of a seed that was not dialled, or "".
func refused(seeds []job.SeedTrouble) string {
	for _, t := range seeds {
		if t.Kind == job.TroubleRefused {
			return firstOf(t.Address, "CIDR")
		}
	}
	return ""
}

// troubleText is a seed that got no answer, and the remedy.
func troubleText(t job.SeedTrouble) (line, hint string) {
	host := hostOf(t.URL)
	switch t.Kind {
	case job.TroubleNoHost:
		return fmt.Sprintf("no such host: %s (seed %s)", host, t.URL), "check the spelling, and that this machine can resolve names"
	case job.TroubleRefused:
		net, of := firstOf(t.Address, "CIDR"), " of "+host
		if host == t.Address {
			of = ""
		}
		return fmt.Sprintf("refused address %s (seed %s): it is loopback, private, link-local or metadata", strings.TrimSpace(t.Address+of), t.URL),
			"if you mean it: --allow-net " + net
	case job.TroubleConnect:
		return fmt.Sprintf("no answer from %s (seed %s): %s", host, t.URL, t.Detail), "check that the server is up and can be reached from here, then use --retry failed"
	}
	return fmt.Sprintf("seed %s got no answer: %s", t.URL, t.Detail), "the report has more; --retry failed tries it again"
}

// quote makes a path safe to paste into a shell.
func quote(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./+:,@%", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
