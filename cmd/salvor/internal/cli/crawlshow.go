package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"salvor"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
)

const showExamples = `  # how is it, and what holds it back?
  salvor crawl show example

  # the same every two seconds, until the crawl has ended
  salvor crawl show --watch example`

// lookEvery is how often --watch looks.
const lookEvery = 2 * time.Second

func (w *world) crawlShowCommand() *cobra.Command {
	d, watch, hosts := new(dialing), false, 10
	cmd := &cobra.Command{
		Use: "show [flags] NAME", Short: "Show how a crawl is, and what holds it back",
		Long: `Show tells how a crawl is: counters, rate, what holds it back, its largest hosts
with their budgets, how its URLs ended and why, and which workers are at it.`,
		Example:           showExamples,
		Args:              oneName("crawl", "salvor crawl show NAME"),
		ValidArgsFunction: w.completeNames(d, crawlNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				if watch {
					return w.watchCrawl(ctx, c, args[0], hosts, d.json)
				}
				p, err := w.portrait(ctx, c, args[0], hosts)
				if err != nil {
					return err
				}
				return w.tellPortrait(p, d.json)
			})
		},
	}
	declare(cmd, append([]optionGroup{{"What to show", []option{
		{name: "watch", value: truth(&watch), noArg: "true", usage: "show it every 2 s until the crawl has ended: a screen on a terminal, else a line each"},
		{name: "hosts", value: whole(&hosts, 0, 10000), usage: "the `N` hosts with most open URLs (default 10)"},
	}}}, d.groups("print it as JSON (docs/json.md)")...)...)
	return cmd
}

func (w *world) tellPortrait(p *portrait, asJSON bool) error {
	if asJSON {
		return w.printJSON(p)
	}
	_, err := io.WriteString(w.stdout, w.painted(p.text()))
	return err
}

// watchCrawl looks until the crawl has ended. A look that fails because the
// cluster does not answer is told, and the next one tried.
func (w *world) watchCrawl(ctx context.Context, c *client.Cluster, name string, hosts int, asJSON bool) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	screen := &screen{out: w.stdout, live: !asJSON && w.env("TERM") != "dumb" && isTerminal(w.stdout)}
	for {
		p, err := w.portrait(ctx, c, name, hosts)
		switch {
		case salvor.ClassOf(err) == salvor.Unavailable && ctx.Err() == nil:
			_, err = fmt.Fprintf(w.stderr, "salvor: %s; looking again\n", progress.Clean(err.Error()))
		case err != nil:
			return err
		case screen.live:
			err = screen.paint(w.painted(p.text()))
		case asJSON:
			err = w.printJSON(p)
		default:
			_, err = fmt.Fprintf(w.stdout, "%s %s\n", p.At.Format("2006-01-02 15:04:05"), p.line())
		}
		if err != nil || p != nil && p.ended() {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// ended reports whether nothing more will happen to the crawl by itself.
func (p *portrait) ended() bool {
	return p.State == salvor.CrawlFinished.String() || p.State == salvor.CrawlCancelled.String()
}

// screen shows one text in the place of the one before. What it holds stays
// when the program ends, however it ends.
type screen struct {
	out   io.Writer
	live  bool
	lines int
}

func (s *screen) paint(text string) error {
	if s.live {
		text = fit(text, s.out)
	}
	up := ""
	if s.lines > 0 {
		up = fmt.Sprintf("\r\x1b[%dA\x1b[J", s.lines)
	}
	s.lines = strings.Count(text, "\n")
	_, err := io.WriteString(s.out, up+text)
	return err
}

// fit cuts a text to the terminal's height: what has scrolled away could not be
// replaced. Long lines would wrap: the terminal is told not to.
func fit(text string, out io.Writer) string {
	height := 24
	if f, ok := out.(*os.File); ok {
		if _, h, err := term.GetSize(int(f.Fd())); err == nil && h > 2 {
			height = h
		}
	}
	lines := strings.SplitAfter(text, "\n")
	if len(lines) > height-1 {
		lines = lines[:height-1]
	}
	return "\x1b[?7l" + strings.Join(lines, "") + "\x1b[?7h"
}
