package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/report"
	"salvor/crawler/canon"
	"salvor/storage/durable"
)

func (w *world) crawlReportCommand() *cobra.Command {
	d, out := new(dialing), ""
	cmd := &cobra.Command{
		Use: "report [flags] NAME", Short: "Write the coverage report: what was saved, what was lost",
		Long: `Report writes what crawl NAME saved and what it did not, with the reason of each
URL, as it is now: report.html to read, report.json for scripts, and tables
(docs/report.md). Asked after the deadline, what is left is out of time.`,
		Example:     "  salvor crawl report example --out example-report",
		Annotations: map[string]string{"exit": siteExit},
		Args:        oneName("crawl", "salvor crawl report NAME"), ValidArgsFunction: w.completeNames(d, crawlNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.once(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				dir := firstOf(out, args[0]+"-report")
				r, err := w.report(ctx, c, args[0], dir)
				if err != nil {
					return err
				}
				if d.json {
					return w.printJSON(r)
				}
				_, err = fmt.Fprintf(w.stdout, "%s\n%s\n", progress.Clean(r.Headline), filepath.Join(dir, report.HTMLFile))
				return err
			})
		},
	}
	declare(cmd, append([]optionGroup{{"Report", []option{
		{name: "out", value: filled(&out, "name a directory"), usage: "write it into `DIR` (default NAME-report)"},
	}}}, d.groups("print report.json too (docs/report.md)")...)...)
	return cmd
}

// report gathers from all groups what a crawl came to.
func (w *world) report(ctx context.Context, c *client.Cluster, name, dir string) (*report.Report, error) {
	crawl, err := findCrawl(ctx, c, name)
	if err != nil {
		return nil, err
	}
	x, err := outfit.SpecOf(crawl)
	if err != nil {
		return nil, err
	}
	extra, err := w.reportExtra(ctx, c, crawl, &x)
	if err != nil {
		return nil, err
	}
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	return report.Write(ctx, dir, c, crawl, extra)
}

// reportExtra is what the groups do not know of a crawl.
func (w *world) reportExtra(ctx context.Context, c *client.Cluster, crawl api.Crawl, x *outfit.Spec) (report.Extra, error) {
	s := &x.Settings
	e := report.Extra{
		Software: fmt.Sprintf("salvor %s (%s/%s)", w.Version, runtime.GOOS, runtime.GOARCH), Name: crawl.Name, Operator: s.Operator,
		Description: s.Description, Started: time.UnixMilli(crawl.Created).UTC(), Created: w.Now(), End: endOf(crawl, w.Now()),
	}
	for _, f := range s.Flags() {
		e.Settings = append(e.Settings, report.Setting{Name: "--" + f.Name, Value: f.Value})
	}
	moved := map[string]string{}
	for _, m := range x.Moves {
		moved[m.From] = m.To
	}
	for _, seed := range x.Seeds {
		row := report.Seed{URL: seed, Source: "command line", Target: moved[seed]}
		if u, err := canon.Parse(seed); err == nil {
			row.Host, row.Key = u.Host, salvor.ItemKey(crawl.HashKey, "", u.Href, nil)
		}
		e.Seeds = append(e.Seeds, row)
	}
	rules, err := x.Compile()
	if err != nil {
		return e, err
	}
	for _, r := range rules.Excludes() {
		e.Excludes = append(e.Excludes, report.Exclude{ID: r.ID, Pattern: r.Pattern, Source: r.Source})
	}
	for _, a := range x.Addresses {
		e.Notes = append(e.Notes, fmt.Sprintf("%s was asked at %s while its name did not exist: %s", a.Host, a.Address, a.Reason))
	}
	return e, w.reportNotes(ctx, c, &e, crawl.Name)
}

// reportNotes are the changes that people made. Who may not see them gets a report
// without.
func (w *world) reportNotes(ctx context.Context, c *client.Cluster, e *report.Extra, name string) error {
	lines, err := c.Audit(ctx, name, 500)
	if salvor.ClassOf(err) == salvor.Forbidden {
		return nil
	}
	for _, l := range lines {
		by, _, _ := strings.Cut(l.By, " (") // names of people stay inside
		e.Notes = append(e.Notes, fmt.Sprintf("%s: %s by %s", l.At.UTC().Format(time.RFC3339), l.What, by))
	}
	return err
}

// endOf is why a crawl ended, in the words of the report; "" while it runs.
func endOf(c api.Crawl, now time.Time) string {
	switch {
	case c.Deadline > 0 && now.UnixMilli() >= c.Deadline:
		return "deadline"
	case c.State == salvor.CrawlFinished:
		return "done"
	case c.State == salvor.CrawlCancelled:
		return "interrupted"
	}
	return ""
}
