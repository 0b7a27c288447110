package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/progress"
	"salvor/warc/access"
)

const getExamples = `  # the newest capture of a page, chunks and gzip undone
  salvor get https://example.org/ > page.html

  # as it was on a day, with the header of the answer
  salvor get --at 20261124 --head https://example.org/

  # the record itself, for any other tool
  salvor get --record https://example.org/ > one.warc.gz`

// getting is what get was asked for.
type getting struct {
	dir         string
	at          string
	record, raw bool
	head        bool
}

func (w *world) getCommand() *cobra.Command {
	o := getting{dir: "."}
	cmd := &cobra.Command{
		Use: "get [flags] URL", Short: "Print what was captured of an address",
		Long: "Get prints the capture that is nearest to a time, or the newest. A revisit prints\nwhat it refers to.",
		Args: oneName("address", "salvor get https://example.org/"), Example: getExamples,
		RunE: func(cmd *cobra.Command, args []string) error { return w.get(cmd, o, args[0]) },
	}
	declare(cmd, optionGroup{"What to print", []option{
		{name: "dir", value: filled(&o.dir, "name a directory"), usage: "archive in `DIR`, or in a bucket: s3://BUCKET/PREFIX (default this directory)"},
		{name: "at", value: one(&o.at, timestamp), usage: "the capture nearest to `TIME`: 2026, 20261124, 20261124013000, UTC (default the newest)"},
		{name: "head", value: truth(&o.head), noArg: "true", usage: "print the header of the answer only"},
		{name: "raw", value: truth(&o.raw), noArg: "true", usage: "leave the content coding, gzip say, on"},
		{name: "record", value: truth(&o.record), noArg: "true", usage: "print the record as it is stored, a gzip member"},
	}})
	return cmd
}

func (w *world) get(cmd *cobra.Command, o getting, url string) (err error) {
	b, err := w.book(cmd, o.dir)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, b) }()
	when := w.Now()
	if o.at != "" {
		if when, err = access.ParseTime(o.at); err != nil {
			return err
		}
	}
	x, ok, err := b.Closest(cmd.Context(), url, when)
	if err != nil {
		return err
	}
	if !ok {
		return salvor.Errorf(salvor.NotFound, "%s was not captured in %s", url, o.dir).
			WithHint("salvor captures --match prefix lists what is near; not-saved.tsv says why something was not saved")
	}
	if o.record {
		return w.copyRecord(cmd, b.Collection, x)
	}
	c, err := b.Open(cmd.Context(), x)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, c) }()
	fmt.Fprintf(w.stderr, "captured %s UTC, status %d\n", x.Time.UTC().Format(time.DateTime), c.Status)
	if !access.Same(url, x.URL) {
		fmt.Fprintf(w.stderr, "it is of %s: %s itself was not captured\n", progress.Clean(x.URL), progress.Clean(url))
	}
	return w.printContent(c, o)
}

func (w *world) copyRecord(cmd *cobra.Command, c *access.Collection, x access.Capture) (err error) {
	r, _, err := c.OpenSegment(cmd.Context(), x.Filename, x.Offset, x.Length)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, r) }()
	_, err = io.Copy(w.stdout, r)
	return err
}

func (w *world) printContent(c *access.Content, o getting) error {
	out := bufio.NewWriter(w.stdout)
	if o.head {
		fmt.Fprintf(out, "HTTP/1.1 %d\n", c.Status)
		for _, f := range c.Head {
			fmt.Fprintf(out, "%s: %s\n", progress.Clean(f.Name), progress.Clean(f.Value))
		}
		return out.Flush()
	}
	body := c.Body
	if !o.raw {
		var err error
		if body, err = c.Decoded(); err != nil {
			return err
		}
	}
	if _, err := io.Copy(out, body); err != nil {
		return salvor.Errorf(salvor.Internal, "the capture of %s ends early: %w", c.Capture.URL, err).WithHint("it may have been cut off when it was captured; --raw prints what there is")
	}
	return out.Flush()
}

// closed ends what was opened, and keeps the first error.
func closed(err error, c io.Closer) error { return errors.Join(err, c.Close()) }
