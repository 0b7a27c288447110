package cli

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/library"
	"salvor/cmd/salvor/internal/progress"
	"salvor/storage/durable"
	"salvor/warc/access/export"
)

const exportExamples = `  # a site as one file that ReplayWeb.page opens
  salvor export --dir town --format wacz --out town.wacz example.org

  # a table of all images captured in a week, for pandas or DuckDB
  salvor export --dir town --filter mime:image/ --from 20261123 --to 20261129 \
    --format parquet --out images.parquet "*"

  # how much would that be?
  salvor export --dir town --estimate "*.example.org"`

// exporting is what export was asked for.
type exporting struct {
	finding
	format     string
	out        string
	sample     string
	seed       string
	title      string
	estimate   bool
	noRequests bool
	force      bool
}

func (w *world) exportCommand() *cobra.Command {
	o := exporting{finding: finding{dir: "."}, format: "wacz"}
	var names []string
	for _, f := range export.Formats {
		names = append(names, string(f))
	}
	cmd := &cobra.Command{
		Use: "export [flags] ADDRESS", Short: "Write what was captured as WARC, WACZ or a table",
		Long: "Export writes the captures of an address, a host (example.org), a domain\n(*.example.org), all that begins alike (http://example.org/a*), or all (\"*\"). Beside\nthe file it writes FILE.sha256, for sha256sum -c, and FILE.md: how to cite it, what is in\nit, and what is not.",
		Args: oneName("address", `salvor export --out FILE "*"`), Example: exportExamples,
		RunE: func(cmd *cobra.Command, args []string) error { return w.export(cmd.Context(), o, args[0]) },
	}
	declare(cmd, optionGroup{"What to export", []option{
		{name: "dir", value: filled(&o.dir, "name a directory"), usage: "archive in `DIR`, or in a bucket: s3://BUCKET/PREFIX (default this directory)"},
		{name: "match", value: choice(&o.match, "exact", "prefix", "host", "domain"), usage: "take addresses by `KIND`: exact, prefix, host or domain (default host where only a host is named, else exact)"},
		{name: "from", value: one(&o.from, timestamp), usage: "captured at `TIME` or later: 2026, 20261124, 20261124013000, UTC"},
		{name: "to", value: one(&o.to, timestamp), usage: "captured at `TIME` or before, the whole of the year, month or day"},
		{name: "filter", value: many(&o.filters, any1), usage: "only where `FIELD:TEXT`, as in salvor captures (repeatable)"},
		{name: "sample", value: one(&o.sample, sampleArg), usage: "only a part: `N` captures, or P% of them"},
		{name: "seed", value: filled(&o.seed, "write any text"), usage: "draw the sample by `TEXT`: the same text draws the same (default 1)"},
		{name: "redact-requests", value: truth(&o.noRequests), noArg: "true", usage: "leave out what was sent: request records have cookies and keys"},
	}}, optionGroup{"As what", []option{
		{name: "format", value: choice(&o.format, names...), usage: "write `FORMAT`: warc, wacz, ndjson, csv, parquet (Common Crawl's columns), links, text, pages (default wacz)"},
		{name: "out", value: filled(&o.out, "name a file"), usage: "write to `FILE`, - is standard output"},
		{name: "title", value: filled(&o.title, "write a title"), usage: "`TEXT` to cite it by (default the archive's name)"},
		{name: "force", value: truth(&o.force), noArg: "true", usage: "replace FILE"},
		{name: "estimate", value: truth(&o.estimate), noArg: "true", usage: "count, by host, type, status and day, and write nothing"},
	}}, optionGroup{"Output", []option{{name: "json", value: truth(&o.json), noArg: "true", usage: "print the counts as JSON (docs/json.md)"}}})
	return cmd
}

func sampleArg(s string) (string, error) {
	_, err := parseSample(s)
	return s, err
}

func parseSample(s string) (out export.Sample, err error) {
	bad := salvor.Errorf(salvor.Invalid, "%q is no sample", s).WithHint("write a number of captures, 1000, or a share of them, 5%%")
	if p, ok := strings.CutSuffix(s, "%"); ok {
		v, err := strconv.ParseFloat(p, 64)
		if err != nil || v <= 0 || v > 100 {
			return out, bad
		}
		return export.Sample{Share: v / 100}, nil
	}
	if out.Count, err = strconv.Atoi(s); err != nil || out.Count < 1 || out.Count > 10_000_000 {
		return out, bad
	}
	return out, nil
}

// job is what is to be done with an archive.
func (o *exporting) job(w *world, b *library.Book, address string) (*export.Job, error) {
	address, match := widened(address, o.match)
	f := o.finding
	f.match = match
	q, err := f.query(address)
	if err != nil {
		return nil, err
	}
	j := &export.Job{From: b.Collection, Query: *q, Format: export.Format(o.format), Title: cmp.Or(o.title, b.Name), Software: "salvor " + w.Version, Now: w.Now(), NoRequests: o.noRequests}
	if o.sample != "" {
		if j.Sample, err = parseSample(o.sample); err != nil {
			return nil, err
		}
		j.Sample.Seed = cmp.Or(o.seed, "1")
	}
	j.Name = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(o.out), filepath.Ext(o.out)), ".warc")
	if j.Name == "" || j.Name == "-" || j.Name == "." {
		j.Name = b.Name
	}
	return j, nil
}

// widened is an address and how it is meant: a host alone means all of it, a star
// everything.
func widened(address, match string) (string, string) {
	switch {
	case address == "*":
		return "", "all"
	case match != "":
		return address, match
	case strings.HasPrefix(address, "*."):
		return address[2:], "domain"
	case strings.HasSuffix(address, "*"):
		return strings.TrimSuffix(address, "*"), "prefix"
	case !strings.Contains(address, "/"):
		return address, "host"
	}
	return address, "exact"
}

func (w *world) export(ctx context.Context, o exporting, address string) (err error) {
	if o.out == "" && !o.estimate {
		return salvor.Errorf(salvor.Invalid, "no file to write to was named").WithHint("add --out FILE, or --estimate to count only")
	}
	if _, err := os.Lstat(o.out); err == nil && !o.force && !o.estimate && o.out != "-" {
		return salvor.Errorf(salvor.Conflict, "%s is there already", o.out).WithHint("name another --out, or add --force to replace it")
	}
	b, err := w.openBook(ctx, o.dir)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, b) }()
	j, err := o.job(w, b, address)
	if err != nil {
		return err
	}
	if o.estimate {
		rep, err := j.Estimate(ctx)
		if err != nil {
			return err
		}
		return w.tellCounts(rep, o.json)
	}
	j.Progress = w.exportProgress()
	if o.out == "-" {
		out := bufio.NewWriterSize(w.stdout, 1<<20)
		if _, err := j.Run(ctx, out); err != nil {
			return err
		}
		return out.Flush()
	}
	return w.exportFile(ctx, j, o, address)
}

// exportFile writes a file, its digest and its sheet. The file has its name only when
// it is whole.
func (w *world) exportFile(ctx context.Context, j *export.Job, o exporting, address string) error {
	part := o.out + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return durable.Error(err, "write", part)
	}
	sum := sha256.New()
	out := bufio.NewWriterSize(io.MultiWriter(f, sum), 1<<20)
	rep, err := j.Run(ctx, out)
	if err == nil {
		err = errors.Join(out.Flush(), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if rep.Captures == 0 {
		return errors.Join(salvor.Errorf(salvor.NotFound, "nothing of %s was captured in %s, so nothing was written", address, o.dir).
			WithHint(`salvor export --estimate "*" counts what there is`), os.Remove(part))
	}
	sheet := export.Sheet{
		Title: j.Title, Archive: j.From.Name, Asked: o.asked(address), Format: j.Format, File: filepath.Base(o.out), SHA256: hex.EncodeToString(sum.Sum(nil)),
		Made: j.Now, Software: j.Software, Sample: j.Sample, Report: rep,
	}
	sheet.Operator, sheet.Crawl = crawlFacts(o.dir)
	for path, text := range map[string]string{o.out + ".sha256": sheet.SHA256 + "  " + sheet.File + "\n", o.out + ".md": sheet.Markdown()} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return durable.Error(err, "write", path)
		}
	}
	if err := os.Rename(part, o.out); err != nil {
		return durable.Error(err, "name", o.out)
	}
	for _, m := range rep.Missing[:min(len(rep.Missing), 5)] {
		fmt.Fprintf(w.stderr, "not in it: %s\n", progress.Clean(m))
	}
	if o.json {
		return json.NewEncoder(w.stdout).Encode(rep)
	}
	fmt.Fprintf(w.stdout, "%s: %s, captured %s to %s; to cite it, see %s.md\n", o.out, progress.Counted(rep.Captures, "capture"),
		rep.First.UTC().Format(time.DateOnly), rep.Last.UTC().Format(time.DateOnly), o.out)
	return nil
}

// asked is the query in words.
func (o *exporting) asked(address string) string {
	s := address
	for _, p := range [][2]string{{"match", o.match}, {"from", o.from}, {"to", o.to}, {"filter", strings.Join(o.filters, " and ")}} {
		if p[1] != "" {
			s += ", " + p[0] + " " + p[1]
		}
	}
	return s
}

// exportProgress shows on a terminal how far it is.
func (w *world) exportProgress() func(export.Report) {
	if !isTerminal(w.stderr) {
		return nil
	}
	last, begun := time.Now(), time.Now()
	return func(r export.Report) {
		if time.Since(last) < time.Second {
			return
		}
		last = time.Now()
		fmt.Fprintf(w.stderr, "%s, %s, %.0f/s\n", progress.Counted(r.Captures, "capture"), progress.Bytes(r.Bytes), float64(r.Captures)/time.Since(begun).Seconds())
	}
}

// tellCounts prints the facets of a report.
func (w *world) tellCounts(r export.Report, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w.stdout).Encode(r)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s stored", progress.Counted(r.Captures, "capture"), progress.Bytes(r.Bytes))
	if r.Captures > 0 {
		fmt.Fprintf(&b, ", captured %s to %s", r.First.UTC().Format(time.DateTime), r.Last.UTC().Format(time.DateTime))
	}
	b.WriteString("\n")
	for _, f := range []struct {
		name string
		m    map[string]int64
	}{{"type", r.Types}, {"status", r.Statuses}, {"host", r.Hosts}, {"day", r.Days}} {
		b.WriteString("\n")
		table(&b, "", []string{f.name, ">captures"}, facetRows(f.m))
	}
	_, err := io.WriteString(w.stdout, b.String())
	return err
}
