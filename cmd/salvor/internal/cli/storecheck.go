package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/progress"
	"salvor/storage/s3"
)

func (w *world) storeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Look after object stores", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.storeCheckCommand())
	return cmd
}

const storeCheckExamples = `  # before a rescue: can this bucket keep an archive safe?
  salvor store check "s3://rescues/2026?endpoint=https://s3.example.net"`

func (w *world) storeCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "check [flags] URL",
		Short:   "Find out what a store can do, and what follows",
		Long:    "Check tries what an archive needs of a store, below PREFIX/probe/ in the bucket,\nand removes again what it put. The exit code is 0 when an archive is safe there, 1 when it is not.",
		Example: storeCheckExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return salvor.Errorf(salvor.Invalid, "one store is checked, and %d were given", len(args)).WithHint("salvor store check s3://BUCKET/PREFIX?endpoint=https://HOST")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := s3.ParseURL(args[0])
			if err != nil {
				return err
			}
			rep, err := s3.Probe(cmd.Context(), c)
			if err != nil {
				return err
			}
			return w.tellProbe(rep, asJSON)
		},
		DisableFlagsInUseLine: true,
	}
	register(cmd.Flags(), optionGroup{"Output", []option{{name: "json", value: truth(&asJSON), noArg: "true", usage: "print the findings as JSON (docs/json.md)"}}})
	helpFlag(cmd)
	return cmd
}

// tellProbe prints findings; a store that is not safe ends the command with an
// error.
func (w *world) tellProbe(rep s3.Report, asJSON bool) error {
	if asJSON {
		b, err := json.Marshal(rep)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w.stdout, "%s\n", b); err != nil {
			return err
		}
	} else if _, err := fmt.Fprint(w.stdout, probeText(rep)); err != nil {
		return err
	}
	if rep.Usable {
		return nil
	}
	return salvor.Errorf(salvor.Unavailable, "an archive is not safe in bucket %s at %s", rep.Bucket, rep.Endpoint).
		WithHint("mend what is marked with ! above, or choose another store")
}

func probeText(rep s3.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, bucket %s", rep.Endpoint, rep.Bucket)
	if rep.Server != "" {
		fmt.Fprintf(&b, " (%s)", progress.Clean(rep.Server))
	}
	b.WriteString("\n")
	for _, f := range rep.Findings {
		mark := " "
		if f.Needed && f.Result != s3.Yes {
			mark = "!"
		}
		fmt.Fprintf(&b, "%s %-8s %-22s %s\n", mark, f.Result, f.Name, progress.Clean(f.Detail))
		if f.Follows != "" {
			fmt.Fprintf(&b, "           %s\n", progress.Clean(f.Follows))
		}
	}
	return b.String()
}
