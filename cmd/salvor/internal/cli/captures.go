package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/library"
	"salvor/cmd/salvor/internal/progress"
	"salvor/warc/access"
)

const capturesExamples = `  # every capture of an address, in the archive in this directory
  salvor captures https://example.org/news

  # all images below a path, as CDXJ lines
  salvor captures --dir town --match prefix --filter mime:image/ --cdxj http://example.org/a/

  # how many pages of a domain were saved on a day
  salvor captures --match domain --from 20261124 --to 20261124 --json example.org | wc -l`

// finding is what captures was asked for.
type finding struct {
	dir      string
	match    string
	from, to string
	filters  []string
	limit    int
	json     bool
	cdxj     bool
}

func (w *world) capturesCommand() *cobra.Command {
	o := finding{dir: "."}
	cmd := &cobra.Command{
		Use: "captures [flags] URL", Short: "List the captures of an address, or of many",
		Long: "Captures lists what an archive has of an address, the oldest first. It asks no server.",
		Args: oneName("address", "salvor captures https://example.org/"), Example: capturesExamples,
		RunE: func(cmd *cobra.Command, args []string) error { return w.captures(cmd, o, args[0]) },
	}
	declare(cmd, optionGroup{"What to list", []option{
		{name: "dir", value: filled(&o.dir, "name a directory"), usage: "archive in `DIR`, or in a bucket: s3://BUCKET/PREFIX (default this directory)"},
		{name: "match", value: choice(&o.match, "exact", "prefix", "host", "domain"), usage: "list addresses by `KIND`: exact, prefix, host or domain (default exact)"},
		{name: "from", value: one(&o.from, timestamp), usage: "captured at `TIME` or later: 2026, 20261124, 20261124013000, UTC"},
		{name: "to", value: one(&o.to, timestamp), usage: "captured at `TIME` or before, the whole of the year, month or day"},
		{name: "filter", value: many(&o.filters, any1), usage: "only where `FIELD:TEXT`: mime:image/ contains, =status:200 is, ~url:RE matches, ! before it does not (repeatable)"},
		{name: "limit", value: whole(&o.limit, 0, 1<<30), usage: "at most `N` (default all)"},
	}}, optionGroup{"Output", []option{
		{name: "json", value: truth(&o.json), noArg: "true", usage: "print a JSON object for each (docs/json.md)"},
		{name: "cdxj", value: truth(&o.cdxj), noArg: "true", usage: "print the lines of the index as they are"},
	}})
	return cmd
}

func timestamp(s string) (string, error) {
	_, err := access.ParseTime(s)
	return s, err
}

// query is what captures was asked for, as the index takes it.
func (o *finding) query(url string) (*access.Query, error) {
	q := &access.Query{URL: url, Match: access.Match(cmp.Or(o.match, "exact")), Limit: o.limit}
	if o.match == "" && strings.Contains(url, "*") {
		q.Match = ""
	}
	var err error
	if o.from != "" {
		if q.From, err = access.ParseTime(o.from); err != nil {
			return nil, err
		}
	}
	if o.to != "" {
		if q.To, err = access.ParseEnd(o.to); err != nil {
			return nil, err
		}
	}
	for _, f := range o.filters {
		x, err := access.ParseFilter(f)
		if err != nil {
			return nil, err
		}
		q.Filters = append(q.Filters, x)
	}
	return q, nil
}

func (w *world) captures(cmd *cobra.Command, o finding, url string) (err error) {
	q, err := o.query(url)
	if err != nil {
		return err
	}
	b, err := w.book(cmd, o.dir)
	if err != nil {
		return err
	}
	defer func() { err = closed(err, b) }()
	out := bufio.NewWriterSize(w.stdout, 64<<10)
	n, tell := 0, o.teller(b.Name, out)
	// An address as it is comes first; another writing of it only where there is none.
	for q.Same = q.Match == access.MatchExact; ; q.Same = false {
		if _, err = b.Find(cmd.Context(), q, func(x *access.Found) bool {
			n++
			return tell(x) == nil
		}); err != nil {
			return err
		}
		if n > 0 || !q.Same {
			break
		}
	}
	if n == 0 {
		return salvor.Errorf(salvor.NotFound, "nothing of %s was captured in %s", url, o.dir).
			WithHint("try --match prefix with a shorter address, or --match domain; not-saved.tsv says why something was not saved")
	}
	return out.Flush()
}

// teller prints captures in the form that was asked for.
func (o *finding) teller(archive string, out *bufio.Writer) func(*access.Found) error {
	var buf []byte
	switch {
	case o.cdxj:
		return func(x *access.Found) error {
			buf = x.Entry.Append(buf[:0])
			_, err := out.Write(buf)
			return err
		}
	case o.json:
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return func(x *access.Found) error {
			c, ok := x.Capture()
			if !ok {
				return nil
			}
			return enc.Encode(captureJSON(archive, c))
		}
	}
	return func(x *access.Found) error {
		c, ok := x.Capture()
		if !ok {
			return nil
		}
		_, err := fmt.Fprintf(out, "%s  %3s  %-24s  %9s  %s\n", c.Time.UTC().Format(time.DateTime), progress.Clean(dash(c.Status)), progress.Clean(c.Mime), progress.Bytes(c.Length), progress.Clean(c.URL))
		return err
	}
}

// captureLine is a capture in JSON. docs/json.md is its contract.
type captureLine struct {
	URL      string    `json:"url"`
	Time     time.Time `json:"time"`
	Status   string    `json:"status,omitempty"`
	Mime     string    `json:"mime"`
	Detected string    `json:"mime_detected,omitempty"`
	Digest   string    `json:"digest,omitempty"`
	Revisit  bool      `json:"revisit,omitempty"`
	File     string    `json:"file"`
	Offset   int64     `json:"offset"`
	Length   int64     `json:"length"`
	Record   string    `json:"record,omitempty"`
	PWID     string    `json:"pwid"`
}

func captureJSON(archive string, c access.Capture) captureLine {
	return captureLine{
		URL: c.URL, Time: c.Time, Status: c.Status, Mime: c.Mime, Detected: c.Detected, Digest: c.Digest,
		Revisit: c.IsRevisit(), File: c.Filename, Offset: c.Offset, Length: c.Length, Record: c.ID,
		PWID: access.PWID(archive, c),
	}
}

// book opens an archive to be read.
func (w *world) book(cmd *cobra.Command, dir string) (*library.Book, error) {
	return w.openBook(cmd.Context(), dir)
}

// openBook opens an archive, and says what of its index cannot be read.
func (w *world) openBook(ctx context.Context, dir string) (*library.Book, error) {
	b, err := (&library.Library{OpenStore: w.OpenStore}).Open(ctx, dir)
	if err != nil {
		return nil, err
	}
	for _, key := range b.Opened.Damaged {
		fmt.Fprintf(w.stderr, "%s cannot be read, so that nothing of its file is found: salvor verify says why\n", progress.Clean(key))
	}
	return b, nil
}
