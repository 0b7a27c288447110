package rescue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/report"
	"salvor/crawler/canon"
)

// finish seals, reports and says how the run ended. Log, settings and report
// go into the last segment before it is sealed; the report on disk is made
// again after, when that segment has its checksum.
func (r *rescue) finish(ctx context.Context, reason job.Reason) (job.Result, error) {
	final := r.snapshot(ctx)
	if reason == job.Done && (final.Failed > 0 || r.unknown > 0) {
		reason = job.Failed
	}
	if r.unknown > 0 {
		r.detail = fmt.Sprintf("%s lost with the index: which URLs count as saved and are not cannot be told", progress.Counted(int64(r.unknown), "WARC file"))
	}
	r.endRun(reason, final)
	if err := r.closeCrawl(ctx, reason); err != nil {
		return job.Result{}, err
	}
	if err := r.stillOwner(ctx); err != nil {
		return job.Result{}, err
	}
	r.show(progress.Sealing)
	sealed := r.seal(ctx)
	switch {
	case sealed == nil:
	case salvor.ClassOf(sealed) == salvor.Exhausted:
		reason, r.detail = job.NoSpace, sealed.Error()
	case r.elsewhere() && salvor.ClassOf(sealed) == salvor.Unavailable:
		r.detail = fmt.Sprintf("%d MB wait in the spool for the store: %v; the same command stores them", r.pool.Spooled()>>20, sealed)
	default:
		return job.Result{}, sealed
	}
	r.show(progress.Reporting)
	res := job.Result{Reason: reason, Seeds: r.troubles(ctx), Detail: r.detail}
	if err := r.writeReport(ctx); err != nil && reason != job.NoSpace {
		return res, err
	} else if err == nil {
		res.Report = r.job.Dir.Path(report.HTMLFile)
	}
	if err := r.publish(ctx, reason); err != nil {
		res.Detail = r.unpublished(err)
	} else if late := r.lastMirror(ctx); late != "" {
		res.Detail = strings.TrimPrefix(res.Detail+"; "+late, "; ")
	}
	r.phase = progress.Ended
	res.Final = r.snapshot(ctx)
	return res, r.count(ctx, &res)
}

// closeCrawl says that nothing is open any more; the frontier refuses it
// otherwise. A later run opens the crawl again.
func (r *rescue) closeCrawl(ctx context.Context, why job.Reason) error {
	if !why.Final() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.crawl.State = salvor.CrawlFinished
	return r.node.SetCrawl(ctx, r.crawl)
}

func (r *rescue) endRun(why job.Reason, final progress.Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeSample(final.Captures, final.Bytes) // the plot ends where the run does
	run := &r.memory.Runs[len(r.memory.Runs)-1]
	run.End, run.Why = time.Now(), string(why)
	r.memory.LogOffset = r.log.Offset()
}

// seal puts the papers into the last segment, seals all and remembers.
func (r *rescue) seal(ctx context.Context) error {
	if err := r.archivePapers(ctx); err != nil {
		return errors.Join(err, r.pool.Seal(ctx))
	}
	if err := r.pool.Seal(ctx); err != nil {
		return err
	}
	return r.memory.save(r.job.Dir)
}

// archivePapers writes settings, report and what crawl.log grew by as
// resource records, if anything was captured at all.
func (r *rescue) archivePapers(ctx context.Context) error {
	if r.worker.Stats().Captures == 0 {
		return nil
	}
	rep, err := report.Build(ctx, r.node, r.crawl, r.extra())
	if err != nil {
		return err
	}
	body, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	at := time.Now().UTC().Format("20060102150405")
	if err := r.pool.WriteResource(ctx, r.paper("report.json", at), "application/json", body); err != nil {
		return err
	}
	if err := r.pool.WriteResource(ctx, r.paper("settings.json", at), "application/json", r.crawl.Settings); err != nil {
		return err
	}
	return r.archiveLog(ctx)
}

func (r *rescue) paper(name, part string) string {
	return fmt.Sprintf("urn:salvor:%s:%s:%s:%s", url.PathEscape(r.job.Settings.Name), r.crawl.Name, part, name)
}

// logPiece bounds a log record, and the memory to write it.
const logPiece = 16 << 20

func (r *rescue) archiveLog(ctx context.Context) error {
	if err := r.log.Sync(); err != nil {
		return err
	}
	f, err := os.Open(r.job.Dir.Path("crawl.log"))
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, logPiece)
	for {
		n, err := f.ReadAt(buf, r.memory.LogArchived)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		n = strings.LastIndexByte(string(buf[:n]), '\n') + 1
		if n == 0 {
			return nil
		}
		uri := r.paper("crawl.log", fmt.Sprint(r.memory.LogArchived))
		if err := r.pool.WriteResource(ctx, uri, "text/plain; charset=utf-8", buf[:n]); err != nil {
			return err
		}
		r.memory.LogArchived += int64(n)
	}
}

// writeReport puts the report's files into the archive, the manifest last.
func (r *rescue) writeReport(ctx context.Context) error {
	dir := r.job.Dir.Path()
	if _, err := report.Write(ctx, dir, r.node, r.crawl, r.extra()); err != nil {
		return err
	}
	segments, err := r.node.Segments(ctx)
	if err != nil {
		return err
	}
	return report.Manifest(ctx, dir, segments)
}

// extra is what the frontier does not know.
func (r *rescue) extra() report.Extra {
	s := &r.job.Settings
	x := report.Extra{
		Software: fmt.Sprintf("salvor %s (%s/%s)", r.job.Version, runtime.GOOS, runtime.GOARCH),
		Name:     s.Name, Operator: s.Operator, Description: s.Description, Settings: settingLines(s), Created: time.Now(),
		EndDetail: r.detail, Excludes: r.excludeRules(), Seeds: r.seedRows(), Certificates: r.certificates(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs(&x)
	for _, p := range r.memory.Samples {
		x.Samples = append(x.Samples, report.Sample(p))
	}
	for _, m := range r.memory.Mended {
		x.Mended = append(x.Mended, report.Mended{Segment: m.Segment, Cut: m.Cut, Records: m.Records})
	}
	if changes, err := r.job.Dir.Changes(); err == nil {
		x.Notes = changes
	}
	x.Missing, x.Store = r.missing, r.storeRow()
	x.Notes = append(r.missingNotes(), x.Notes...)
	return x
}

// runs says when somebody crawled, and when nobody did.
func (r *rescue) runs(x *report.Extra) {
	runs := r.memory.Runs
	x.Started = runs[0].Begin
	for i, run := range runs {
		last := run.Seen
		if !run.End.IsZero() {
			last = run.End
		}
		x.Worked += last.Sub(run.Begin)
		if i+1 == len(runs) {
			x.Finished, x.End = run.End, run.Why
			continue
		}
		why := run.Why
		if run.End.IsZero() {
			why = "killed"
		}
		x.Interruptions = append(x.Interruptions, report.Interruption{From: last, To: runs[i+1].Begin, Why: why})
	}
}

func (r *rescue) seedRows() []report.Seed {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := map[string]string{}
	for _, m := range r.moves.list {
		moved[m.From] = m.To
	}
	rows := make([]report.Seed, 0, len(r.job.Seeds))
	for _, s := range r.job.Seeds {
		row := report.Seed{URL: s.URL, Source: s.Source, Target: moved[s.URL]}
		if u, err := canon.Parse(s.URL); err == nil {
			row.Host, row.Key = u.Host, salvor.ItemKey(r.crawl.HashKey, "", u.Href, nil)
		}
		rows = append(rows, row)
	}
	return rows
}

// certificates adds up what this run and those before met.
func (r *rescue) certificates() []report.Certificate {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := map[[2]string]int64{}
	for _, c := range r.memory.Certificates {
		n[[2]string{c.Host, c.Problem}] = c.Captures
	}
	for k, captures := range r.worker.Certificates() {
		n[k] += captures
	}
	var out []report.Certificate
	for k, captures := range n {
		out = append(out, report.Certificate{Host: k[0], Problem: k[1], Captures: captures})
	}
	slices.SortFunc(out, func(a, b report.Certificate) int { return strings.Compare(a.Host+a.Problem, b.Host+b.Problem) })
	return out
}

// excludeRules are the rules in force, as the report names them.
func (r *rescue) excludeRules() []report.Exclude {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []report.Exclude
	for _, x := range r.scope.Excludes() {
		out = append(out, report.Exclude{ID: x.ID, Pattern: x.Pattern, Source: x.Source})
	}
	return out
}

// settingLines are the settings as the command line spells them, without
// secrets.
func settingLines(s *job.Settings) (out []report.Setting) {
	for _, f := range s.Flags() {
		out = append(out, report.Setting{Name: "--" + f.Name, Value: f.Value})
	}
	return out
}
