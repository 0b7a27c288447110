package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/progress"
	"salvor/warc/access"
)

const searchExamples = `  # pages with both words
  salvor search --dir town harbour ferry

  # words that stand together, and pages without another
  salvor search --dir town '"harbour master" -lighthouse'`

// seeking is what search was asked for.
type seeking struct {
	dir   string
	limit int
	json  bool
}

func (w *world) searchCommand() *cobra.Command {
	o := seeking{dir: ".", limit: 20}
	cmd := &cobra.Command{
		Use: "search [flags] WORDS...", Short: "Find pages of an archive by their words",
		Long: "Search finds pages and plain texts with all the words, the best first. Case and accents\ndo not matter; \"two words\" in quotes stand together, word* begins with word, and a page\nwith -word is left out. The first search of an archive reads all its pages, to make\nstate/text.db; delete that when nobody is to search it any more.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return salvor.Errorf(salvor.Invalid, "no word to search for was given").WithHint("salvor search --dir DIR WORDS")
			}
			return nil
		},
		Example: searchExamples,
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.search(cmd.Context(), o, strings.Join(args, " "))
		},
	}
	declare(cmd, optionGroup{"What to search", []option{
		{name: "dir", value: filled(&o.dir, "name a directory"), usage: "archive in `DIR`, or in a bucket: s3://BUCKET/PREFIX (default this directory)"},
		{name: "limit", value: whole(&o.limit, 1, 10000), usage: "at most `N` (default 20)"},
	}}, optionGroup{"Output", []option{{name: "json", value: truth(&o.json), noArg: "true", usage: "print a JSON object for each (docs/json.md)"}}})
	return cmd
}

func (w *world) search(ctx context.Context, o seeking, query string) (err error) {
	b, err := w.openBook(ctx, o.dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := b.OpenWords(ctx, w.reading()); err != nil {
		return err
	}
	hits, err := b.Words.Search(ctx, query, o.limit, 0)
	if err != nil {
		return err
	}
	if len(hits) == 0 {
		return salvor.Errorf(salvor.NotFound, "no page in %s has %s", o.dir, query).WithHint("try fewer words, or word* for all that begins with word")
	}
	return w.tellHits(hits, o.json)
}

// reading says how far a first search has read.
func (w *world) reading() func(segment string, pages int) {
	return func(segment string, pages int) {
		fmt.Fprintf(w.stderr, "read %s of %s\n", progress.Counted(int64(pages), "page"), segment)
	}
}

// hitLine is a hit in JSON. docs/json.md is its contract.
type hitLine struct {
	URL     string    `json:"url"`
	Time    time.Time `json:"time"`
	Title   string    `json:"title,omitempty"`
	Snippet string    `json:"snippet"`
	Record  string    `json:"record,omitempty"`
}

var unmarked = strings.NewReplacer(access.MarkBegin, "", access.MarkEnd, "")

func (w *world) tellHits(hits []access.Hit, asJSON bool) error {
	enc := json.NewEncoder(w.stdout)
	enc.SetEscapeHTML(false)
	for _, h := range hits {
		if asJSON {
			if err := enc.Encode(hitLine{h.URL, h.Time, h.Title, unmarked.Replace(h.Snippet), h.Record}); err != nil {
				return err
			}
			continue
		}
		snippet := strings.Join(strings.Fields(unmarked.Replace(h.Snippet)), " ")
		if _, err := fmt.Fprintf(w.stdout, "%s  %s\n  %s\n  %s\n", h.Time.UTC().Format(time.DateTime), progress.Clean(h.URL), progress.Clean(dash(h.Title)), progress.Clean(snippet)); err != nil {
			return err
		}
	}
	return nil
}
