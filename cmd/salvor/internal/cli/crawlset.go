package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
)

// turn is a change of a crawl's state that a person may ask for.
type turn struct {
	verb, done string
	to         salvor.CrawlState
	from       []salvor.CrawlState
	short      string
	long       string
}

var (
	pausing = turn{"pause", "paused", salvor.CrawlPaused, []salvor.CrawlState{salvor.CrawlRunning},
		"Stop granting work of a crawl; what is under way ends",
		"Pause stops a crawl: nothing new is granted, what is under way ends, and nothing\nis lost. It returns when every group of the cluster has it, or names those that\ndo not."}
	resuming = turn{"resume", "running", salvor.CrawlRunning, []salvor.CrawlState{salvor.CrawlPaused},
		"Go on with a paused crawl",
		"Resume goes on with a paused crawl. It returns when every group of the cluster\nhas it, or names those that do not."}
	cancelling = turn{"cancel", "cancelled", salvor.CrawlCancelled,
		[]salvor.CrawlState{salvor.CrawlDraft, salvor.CrawlRunning, salvor.CrawlPaused, salvor.CrawlDraining},
		"End a crawl for good; what was saved stays",
		"Cancel ends a crawl for good. What was saved stays where it is, and what is\ncaptured already is still stored. It returns when every group of the cluster has\nit, or names those that do not."}
)

const setExit = `  0   every group has it
  1   an error inside salvor, or of the machine
  2   a mistake on the command line, or the key does not let it in
  11  it was changed by somebody else at the same moment, or is in another state
  12  the cluster does not answer, or some groups do not have it yet`

func (w *world) crawlStateCommand(t turn) *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: t.verb + " [flags] NAME", Short: t.short, Long: t.long,
		Annotations:       map[string]string{"exit": setExit},
		Args:              oneName("crawl", "salvor crawl "+t.verb+" NAME"),
		ValidArgsFunction: w.completeNames(d, crawlNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				crawl, changed, err := turnCrawl(ctx, c, args[0], t)
				if err != nil {
					return err
				}
				return w.tellTurn(ctx, c, crawl, changed, d.json)
			})
		},
	}
	declare(cmd, d.groups("print the crawl as JSON (docs/json.md)")...)
	return cmd
}

// turnTries bounds how often a change is made again that somebody else was faster
// with.
const turnTries = 5

// turnCrawl brings a crawl into another state, in the place of the state it was
// seen in.
func turnCrawl(ctx context.Context, c *client.Cluster, name string, t turn) (crawl api.Crawl, changed bool, err error) {
	for range turnTries {
		if crawl, err = findCrawl(ctx, c, name); err != nil {
			return crawl, false, err
		}
		if crawl.State == t.to {
			return crawl, false, c.Everywhere(ctx, crawl)
		}
		if !slices.Contains(t.from, crawl.State) {
			return crawl, false, t.refuse(crawl)
		}
		next := crawl
		next.State, next.Version = t.to, crawl.Version+1
		if err = c.SetCrawl(ctx, next); salvor.ClassOf(err) == salvor.Conflict {
			continue
		}
		if err == nil {
			err = c.Everywhere(ctx, next)
		}
		return next, true, err
	}
	return crawl, false, err
}

// refuse says why a crawl cannot get into a state from the one it is in.
func (t turn) refuse(c api.Crawl) error {
	e := salvor.Errorf(salvor.Conflict, "crawl %s is %s: it cannot be %s", c.Name, c.State, t.done)
	switch c.State {
	case salvor.CrawlDraft:
		return e.WithHint("it is not wholly made: run the same salvor crawl create again, or cancel it")
	case salvor.CrawlFinished, salvor.CrawlCancelled:
		return e.WithHint("it has ended; another crawl of another name can be made: salvor crawl create")
	}
	return e.WithHint("see: salvor crawl show %s", c.Name)
}

func (w *world) tellTurn(ctx context.Context, c *client.Cluster, crawl api.Crawl, changed, asJSON bool) error {
	if asJSON {
		t, err := c.Totals(ctx, crawl.ID)
		if err != nil {
			return err
		}
		return w.printJSON(crawlOf(crawl, t))
	}
	word := "is"
	if !changed {
		word = "was already"
	}
	_, err := fmt.Fprintf(w.stderr, "crawl %s %s %s\n", crawl.Name, word, crawl.State)
	return err
}
