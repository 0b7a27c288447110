package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/value"
	"salvor/coordinator/risk"
	"salvor/coordinator/sites"
	"salvor/storage/durable"
)

func (w *world) siteDeadlineCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "deadline", Short: "Record when sites end", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.deadlineSetCommand(), w.deadlineListCommand(), w.deadlineClearCommand())
	return cmd
}

var readDeadline = value.Deadline

const deadlineExamples = `  # what the operator announced, in the zone of the announcement
  salvor site deadline set example.org "2026-12-31 18:00 America/New_York" \
    --source https://example.org/blog/goodbye --snapshot goodbye.html

  # a rumour; and from when on nothing new is posted
  salvor site deadline set example.org 10d --confidence 0.4 \
    --note "a moderator says"
  salvor site deadline set example.org "2026-12-15 00:00 Z" --what readonly`

// announced is what a command line says of a deadline.
type announced struct {
	risk.Deadline
	what, review, snapshot string
}

func (w *world) deadlineSetCommand() *cobra.Command {
	d, a := new(dialing), announced{Deadline: risk.Deadline{Confidence: .95}, what: "hosting"}
	cmd := &cobra.Command{
		Use: "set [flags] SITE TIME", Short: "Record that a site ends",
		Long: `Set records that something of SITE ends at TIME: its hosting, the access of
strangers, its API, or that it can be written to. It takes the place of what
stood of the same end; nothing is deleted. The planner heeds it at once, in
every crawl that has hosts of the site.`,
		Example:     deadlineExamples,
		Annotations: map[string]string{"exit": siteExit},
		Args:        namesOf("salvor site deadline set SITE TIME", "site", "time"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.complete(w, args[1]); err != nil {
				return err
			}
			return w.recordSite(cmd, d, func(ctx context.Context, c *client.Cluster) (sites.View, error) {
				return c.SetDeadline(ctx, args[0], a.Deadline)
			})
		},
	}
	declare(cmd, append([]optionGroup{{"Deadline", []option{
		{name: "what", value: text(&a.what), usage: "what ends: `END` is hosting, access, api, readonly or content (default hosting)"},
		{name: "confidence", value: share(&a.Confidence), usage: "how sure it is that it is meant, `P` of 0 to 1 (default 0.95)"},
		{name: "law", value: text(&a.Law), usage: "who ends it: `LAW` is company or provider (default company)"},
		{name: "source", value: text(&a.Source), usage: "the `URL` of the announcement"},
		{name: "snapshot", value: text(&a.snapshot), usage: "the announcement as it was captured: its hash is recorded of `FILE`"},
		{name: "review", value: text(&a.review), usage: "look at it again after `TIME`"},
		{name: "note", value: text(&a.Note), usage: "why, in at most 500 bytes: `TEXT`"},
	}}}, d.groups("print the site as JSON (docs/json.md)")...)...)
	return cmd
}

// complete reads the times and the file of a command line.
func (a *announced) complete(w *world, when string) (err error) {
	if err = a.What.UnmarshalText([]byte(a.what)); err != nil {
		return err
	}
	at, relative, err := value.Deadline(when, w.Now())
	if err != nil {
		return err
	}
	if at.IsZero() {
		return salvor.Errorf(salvor.Invalid, "%q is no time", when).WithHint("%s", value.DeadlineHint)
	}
	a.At = at.UTC()
	if _, zone, ok := strings.Cut(strings.TrimSpace(when), " "); ok && !relative && strings.Contains(zone, "/") {
		a.Zone = zone[strings.LastIndex(zone, " ")+1:]
	}
	if a.Review, err = w.moment(a.review); err != nil {
		return err
	}
	if a.snapshot != "" {
		a.Snapshot, err = hashFile(a.snapshot)
	}
	return err
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", durable.Error(err, "open", path)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", durable.Error(err, "read", path)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (w *world) deadlineListCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "list [flags] [SITE]", Short: "List the deadlines that stand",
		Long: "List shows the deadlines that stand, of all sites or of SITE, and when to be\ndone.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				all, err := c.Sites(ctx)
				if err != nil {
					return err
				}
				return w.listDeadlines(all, append(args, "")[0], d.json)
			})
		},
	}
	declare(cmd, d.groups("print them as JSON (docs/json.md)")...)
	return cmd
}

// siteDate is a deadline that stands, as the contract has it.
type siteDate struct {
	Site string `json:"site"`
	risk.Date
}

func (w *world) listDeadlines(all []sites.View, only string, asJSON bool) error {
	list := []siteDate{}
	for _, v := range all {
		for _, x := range v.Risk.Deadlines {
			if only == "" || v.Risk.Site == only {
				list = append(list, siteDate{v.Risk.Site, x})
			}
		}
	}
	if asJSON {
		return w.printJSON(list)
	}
	var rows [][]string
	for _, x := range list {
		rows = append(rows, []string{x.Site, strconv.Itoa(int(x.ID)), x.What.String(), x.At.Format("2006-01-02 15:04 MST"), left(x, w.Now()),
			at(x.SafeBy.UnixMilli()), chance(x.Confidence), x.By, progress.Clean(x.Note)})
	}
	var b strings.Builder
	if len(rows) == 0 {
		b.WriteString("no deadline is recorded\n")
	} else {
		table(&b, "", []string{"SITE", ">ID", "ENDS", "AT", "", "SAFE BY", ">SURE", "BY", "NOTE"}, rows)
	}
	_, err := w.stdout.Write([]byte(w.painted(b.String())))
	return err
}

// left is how long until a deadline. One that has passed asks a person.
func left(x siteDate, now time.Time) string {
	if x.Passed {
		return "OVERDUE: is it still there?"
	}
	return deadlineText(x.At, now)
}

func (w *world) deadlineClearCommand() *cobra.Command {
	return w.withdrawCommand("salvor site deadline clear", "Withdraw a deadline", "Clear withdraws deadline ID of SITE. The record stays, and says who withdrew\nit.",
		func(ctx context.Context, c *client.Cluster, site string, r risk.Record) (sites.View, error) {
			return c.SetDeadline(ctx, site, risk.Deadline{Withdrawn: true, Record: r})
		})
}

// withdrawCommand is a command that takes back a record of a site.
func (w *world) withdrawCommand(name, short, long string, withdraw func(ctx context.Context, c *client.Cluster, site string, r risk.Record) (sites.View, error)) *cobra.Command {
	d, note := new(dialing), ""
	cmd := &cobra.Command{
		Use: name[strings.LastIndexByte(name, ' ')+1:] + " [flags] SITE ID", Short: short, Long: long,
		Annotations: map[string]string{"exit": siteExit},
		Args:        namesOf(name+" SITE ID", "site", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := recordID(args[1])
			if err != nil {
				return err
			}
			return w.recordSite(cmd, d, func(ctx context.Context, c *client.Cluster) (sites.View, error) {
				return withdraw(ctx, c, args[0], risk.Record{Replaces: id, Note: note})
			})
		},
	}
	declare(cmd, append([]optionGroup{{"Record", []option{{name: "note", value: text(&note), usage: "why: `TEXT`"}}}}, d.groups("print the site as JSON (docs/json.md)")...)...)
	return cmd
}

func recordID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 {
		return 0, salvor.Errorf(salvor.Invalid, "%q is no number of a record", s).WithHint("salvor site risk show SITE and salvor site deadline list show them")
	}
	return uint32(n), nil
}
