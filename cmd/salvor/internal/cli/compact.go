package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/value"
	"salvor/storage/s3"
)

const compactExamples = `  # after a crawl: make files of about 1 GB of the small ones in the store
  salvor compact example.org-20261201120000`

// silent takes what an engine says and shows nothing.
type silent struct{}

func (silent) Update(progress.Snapshot) {}
func (silent) Notice(progress.Notice)   {}

func (w *world) compactCommand() *cobra.Command {
	var asJSON bool
	target, grace := int64(1e9), 24*time.Hour
	cmd := &cobra.Command{
		Use:   "compact [flags] DIR",
		Short: "Join small WARC files in the store to large ones",
		Long: "Compact joins small segments of an archive that was made with --store. What is\ncited stays: joined/ in the store lists which bytes of which file a segment is now,\n" +
			"and the new file is read back before anything counts. The originals are removed by\na later run, when the join is older than --grace. Nothing may be crawling into DIR.",
		Example: compactExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return salvor.Errorf(salvor.Invalid, "one archive is compacted, and %d were given", len(args)).WithHint("salvor compact DIR")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.compact(cmd, args[0], target, grace, asJSON)
		},
		DisableFlagsInUseLine: true,
	}
	register(cmd.Flags(), optionGroup{"Joining", []option{
		{name: "target", value: one(&target, warcSize), usage: "join to files of about `SIZE` (default 1GB)"},
		{name: "grace", value: one(&grace, value.Duration), usage: "keep originals for `TIME` after they were joined (default 24h)"},
	}})
	register(cmd.Flags(), optionGroup{"Output", []option{{name: "json", value: truth(&asJSON), noArg: "true", usage: "print what was done as JSON (docs/json.md)"}}})
	helpFlag(cmd)
	return cmd
}

func (w *world) compact(cmd *cobra.Command, dir string, target int64, grace time.Duration, asJSON bool) (err error) {
	d, err := archive.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	m, err := remember(d)
	if err != nil {
		return err
	}
	if err := joinable(m.settings.Store); err != nil {
		return err
	}
	done, err := w.Engine.Compact(cmd.Context(), job.Job{
		Dir: d, Settings: m.settings, Seeds: m.seeds, Resumed: true, Round: max(1, m.status.Round),
		Progress: silent{}, Logger: slog.New(slog.DiscardHandler), Version: w.Version, OpenStore: w.OpenStore,
	}, target, grace)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(w.stdout).Encode(done)
	}
	fmt.Fprintf(w.stdout, "joined %s to %s (%d MB), removed %s of earlier joins\n", progress.Counted(int64(done.Joined), "segment"),
		progress.Counted(int64(done.Into), "file"), done.Bytes/1e6, progress.Counted(int64(done.Removed), "original"))
	if done.Waiting > 0 {
		fmt.Fprintf(w.stdout, "originals of %s are kept until %s after joining: run it again then\n", progress.Counted(int64(done.Waiting), "join"), grace)
	}
	for _, k := range done.Kept {
		fmt.Fprintf(w.stdout, "kept %s: it is under a retention\n", k)
	}
	return nil
}

// joinable refuses a store whose originals could never be removed.
func joinable(url string) error {
	if url == "" {
		return nil // the engine says so
	}
	c, err := s3.ParseURL(url)
	if err == nil && c.Retention != "" && c.Retention != s3.RetainNone {
		return salvor.Errorf(salvor.Invalid, "the store keeps objects under %s retention: joining would only store everything twice", c.Retention).
			WithHint("join after the retention has ended, with a --store without it")
	}
	return err
}
