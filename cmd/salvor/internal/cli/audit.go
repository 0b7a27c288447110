package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"salvor/cmd/salvor/internal/client"
	"salvor/coordinator/audit"
)

func (w *world) auditCommand() *cobra.Command {
	d, limit := new(dialing), 50
	cmd := &cobra.Command{
		Use: "audit [flags] [SUBJECT]", Short: "List who changed what",
		Long: `Audit lists the newest changes that people made, the oldest of them first: of
all subjects, or of one site, crawl or host. Nothing is ever removed from it;
older lines lie in the store under cluster/audit/.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				lines, err := c.Audit(ctx, append(args, "")[0], limit)
				if err != nil {
					return err
				}
				return w.listAudit(lines, d.json)
			})
		},
	}
	declare(cmd, append([]optionGroup{{"What to show", []option{
		{name: "limit", value: whole(&limit, 1, 5000), usage: "at most `N` lines (default 50)"},
	}}}, d.groups("print them as JSON (docs/json.md)")...)...)
	return cmd
}

func (w *world) listAudit(lines []audit.Entry, asJSON bool) error {
	if asJSON {
		return w.printJSON(append([]audit.Entry{}, lines...))
	}
	var rows [][]string
	for _, e := range lines {
		rows = append(rows, []string{at(e.At.UnixMilli()), e.By, e.What, e.Subject, e.Note})
	}
	var b strings.Builder
	if len(rows) == 0 {
		b.WriteString("nothing was changed\n")
	} else {
		table(&b, "", []string{"AT", "BY", "WHAT", "SUBJECT", "NOTE"}, rows)
	}
	_, err := w.stdout.Write([]byte(w.painted(b.String())))
	return err
}
