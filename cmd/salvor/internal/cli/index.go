package cli

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"salvor/cmd/salvor/internal/library"
	"salvor/cmd/salvor/internal/progress"
)

func (w *world) indexCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "index", Short: "Look after the index of an archive", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.indexRebuildCommand())
	return cmd
}

// rebuilt is what index rebuild prints.
type rebuilt struct {
	Archive  string  `json:"archive"`
	Segments int64   `json:"segments"`
	Captures int64   `json:"captures"`
	Seconds  float64 `json:"seconds"`
	Damaged  int     `json:"damaged,omitempty"` // indexes in the store that cannot be read
}

func (w *world) indexRebuildCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "rebuild [flags] DIR", Short: "Make the index anew from the archive alone",
		Long:    "Rebuild deletes the index of captures and the one of words, and makes the first anew\nfrom the .cdxj files. No other program may be using it. It is hardly ever needed: the\nindex brings itself up to what is there.",
		Example: "  salvor index rebuild town",
		Args:    oneName("archive", "salvor index rebuild DIR"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			began := time.Now()
			if err := library.Forget(args[0]); err != nil {
				return err
			}
			b, err := w.book(cmd, args[0])
			if err != nil {
				return err
			}
			defer func() { err = closed(err, b) }()
			r := rebuilt{Archive: args[0], Damaged: len(b.Opened.Damaged)}
			for _, n := range b.Index.Segments(cmd.Context()) {
				r.Segments, r.Captures = r.Segments+1, r.Captures+n
			}
			r.Seconds = time.Since(began).Seconds()
			if asJSON {
				return json.NewEncoder(w.stdout).Encode(r)
			}
			_, err = fmt.Fprintf(w.stdout, "%s: %s of %s in %.1fs\n", r.Archive, progress.Counted(r.Captures, "capture"), progress.Counted(r.Segments, "WARC file"), r.Seconds)
			return err
		},
	}
	declare(cmd, optionGroup{"Output", []option{{name: "json", value: truth(&asJSON), noArg: "true", usage: "print what was done as JSON (docs/json.md)"}}})
	return cmd
}
