package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
)

func (w *world) crawlCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "crawl", Short: "Make, watch and steer the crawls of a cluster", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.crawlCreateCommand(), w.crawlListCommand(), w.crawlShowCommand(),
		w.crawlStateCommand(pausing), w.crawlStateCommand(resuming), w.crawlStateCommand(cancelling), w.crawlEditCommand(),
		w.crawlValueCommand(), w.crawlReportCommand(), w.crawlAddressCommand())
	return cmd
}

// crawlJSON is a crawl with its counters, as the contract has it.
type crawlJSON struct {
	ID       salvor.CrawlID `json:"id"`
	Name     string         `json:"name"`
	State    string         `json:"state"`
	Created  time.Time      `json:"created"`
	Deadline time.Time      `json:"deadline,omitzero"`
	progress.Counts
	OutOfTime int64 `json:"out_of_time"`
	Late      int64 `json:"late"` // captures after the deadline
	// Duplicates are captures of a URL that had one already: after a worker was
	// lost, mostly.
	Duplicates int64 `json:"duplicates"`
	// Unknown is why the counters are not known: a group does not answer.
	Unknown string `json:"counters_unknown,omitempty"`
}

// Open is what has no outcome yet.
func (c *crawlJSON) Open() int64 { return c.Queued + c.Waiting + c.UnderWay }

// settled is the share of what is known that has an outcome, in percent. It is
// never 100 before that is true.
func (c *crawlJSON) settled() string {
	if c.Known <= 0 {
		return "-"
	}
	p := 100 * (c.Known - c.Open()) / c.Known
	return fmt.Sprintf("%d %%", p)
}

func crawlOf(c api.Crawl, t api.Totals) crawlJSON {
	o := t.Outcomes
	out := crawlJSON{
		ID: c.ID, Name: c.Name, State: c.State.String(), Created: time.UnixMilli(c.Created).UTC(),
		Counts: progress.CountsOf(progress.Snapshot{
			Known: t.Accepted, Saved: o[salvor.Saved], Revisits: o[salvor.Revisit], Gone: o[salvor.Gone], Refused: o[salvor.Refused],
			Failed: o[salvor.Failed], Excluded: o[salvor.Excluded], TooBig: o[salvor.TooBig],
			Queued: t.Queued, Waiting: t.Waiting, Leased: t.Leased, Captures: t.Captures, Bytes: t.Bytes,
		}),
		OutOfTime: o[salvor.OutOfTime], Late: t.Late, Duplicates: t.Dups,
	}
	if c.Deadline > 0 {
		out.Deadline = time.UnixMilli(c.Deadline).UTC()
	}
	return out
}

// listCrawls are all crawls with their counters, by number. Where a group does
// not answer, they are listed without.
func listCrawls(ctx context.Context, c api.Coordinator) ([]crawlJSON, error) {
	all, err := c.Crawls(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b api.Crawl) int { return int(a.ID) - int(b.ID) })
	out := []crawlJSON{}
	for _, k := range all {
		if k.State >= salvor.CrawlDeleting {
			continue
		}
		t, err := c.Totals(ctx, k.ID)
		one := crawlOf(k, t)
		switch {
		case salvor.ClassOf(err) == salvor.Unavailable:
			one.Unknown = err.Error()
		case err != nil:
			return nil, fmt.Errorf("totals of crawl %s: %w", k.Name, err)
		}
		out = append(out, one)
	}
	return out, nil
}

// findCrawl is the crawl of a name.
func findCrawl(ctx context.Context, c api.Coordinator, name string) (api.Crawl, error) {
	all, err := c.Crawls(ctx)
	if err != nil {
		return api.Crawl{}, err
	}
	for _, k := range all {
		if k.Name == name && k.State < salvor.CrawlDeleting {
			return k, nil
		}
	}
	return api.Crawl{}, salvor.Errorf(salvor.NotFound, "there is no crawl %q", name).WithHint("%s", nearName(name, all))
}

// nearName is what somebody who wrote a name that is not there may have meant.
func nearName(name string, all []api.Crawl) string {
	best, near := "", 3
	for _, k := range all {
		if d := distance(name, k.Name); d < near && k.State < salvor.CrawlDeleting {
			best, near = k.Name, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "see: salvor crawl list"
}

// crawlNames are for completion.
func crawlNames(ctx context.Context, c *client.Cluster) (names []string, err error) {
	all, err := c.Crawls(ctx)
	for _, k := range all {
		if k.State < salvor.CrawlDeleting {
			names = append(names, k.Name+"\t"+k.State.String())
		}
	}
	return names, err
}

func (w *world) crawlListCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "list [flags]", Short: "List the crawls and how far they are", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				crawls, err := listCrawls(ctx, c)
				if err != nil {
					return err
				}
				return w.tellCrawls(crawls, d.json)
			})
		},
	}
	declare(cmd, d.groups("print a JSON array (docs/json.md)")...)
	return cmd
}

func (w *world) tellCrawls(crawls []crawlJSON, asJSON bool) error {
	if asJSON {
		return w.printJSON(crawls)
	}
	if len(crawls) == 0 {
		_, err := fmt.Fprintln(w.stderr, "no crawls yet; to make one: salvor crawl create NAME URL...")
		return err
	}
	var b strings.Builder
	crawlsTable(&b, crawls, w.Now())
	if _, err := w.stdout.Write([]byte(b.String())); err != nil {
		return err
	}
	for _, c := range crawls {
		if c.Unknown != "" {
			_, err := fmt.Fprintf(w.stderr, "salvor: not all counters are known: %s\n", progress.Clean(c.Unknown))
			return err
		}
	}
	return nil
}

func crawlsTable(b *strings.Builder, crawls []crawlJSON, now time.Time) {
	var rows [][]string
	for i := range crawls {
		c := &crawls[i]
		if c.Unknown != "" {
			rows = append(rows, []string{c.Name, c.State, "?", "?", "?", "?", "?", "?", deadlineText(c.Deadline, now)})
			continue
		}
		rows = append(rows, []string{c.Name, c.State, progress.Count(c.Saved + c.Revisits), progress.Count(c.Known), c.settled(),
			progress.Count(c.Open()), progress.Count(c.Failed), progress.Bytes(c.Bytes), deadlineText(c.Deadline, now)})
	}
	table(b, "", []string{"CRAWL", "STATE", ">SAVED", ">KNOWN", ">SETTLED", ">OPEN", ">FAILED", ">RECEIVED", "DEADLINE"}, rows)
}

func deadlineText(t, now time.Time) string {
	switch {
	case t.IsZero():
		return "-"
	case !t.After(now):
		return "passed " + progress.Span(now.Sub(t)) + " ago"
	}
	return "in " + progress.Span(t.Sub(now))
}
