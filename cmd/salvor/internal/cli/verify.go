package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/library"
	"salvor/cmd/salvor/internal/progress"
	"salvor/warc"
	"salvor/warc/fixity"
)

const verifyExamples = `  # an archive, all of it
  salvor verify example.org-20261201120000

  # one kept in a bucket
  salvor verify s3://rescues/2026/example.org

  # WARC files of anybody
  salvor verify one.warc.gz two.warc`

func (w *world) verifyCommand() *cobra.Command {
	var asJSON, quiet bool
	var key string
	cmd := &cobra.Command{
		Use: "verify [flags] DIR|FILE...", Short: "Read archives again, and tell what is not as it was",
		Long: "Verify reads every byte: that each file has the SHA-256 of the manifest, that each\nrecord is whole and has the digests that it names, that each line of an index leads to\nits record, and that nothing is missing. It needs the archive alone, no server and no\nnetwork but that of the bucket.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return salvor.Errorf(salvor.Invalid, "nothing to verify was named").WithHint("salvor verify DIR, or salvor verify FILE.warc.gz")
			}
			return nil
		},
		Example: verifyExamples, Annotations: map[string]string{"exit": "  0  all is as it was\n  1  something is damaged, changed or missing\n  2  a mistake on the command line"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.verify(cmd.Context(), args, key, asJSON, quiet)
		},
	}
	declare(cmd, optionGroup{"What to verify", []option{
		{name: "key", value: filled(&key, "give the key that salvor custody seal printed"), usage: "the log of custody must be signed by `KEY` (default by the key that lies beside it)"},
	}}, optionGroup{"Output", []option{
		{name: "json", value: truth(&asJSON), noArg: "true", usage: "print a JSON object for each finding, and one at the end (docs/json.md)"},
		{name: "quiet", short: "q", value: truth(&quiet), noArg: "true", usage: "print findings only"},
	}})
	return cmd
}

// verified is what verify prints of one archive at its end.
type verified struct {
	Archive string         `json:"archive"`
	Sound   bool           `json:"sound"`
	At      time.Time      `json:"at"`
	Seconds float64        `json:"seconds"`
	Summary fixity.Summary `json:"summary"`
}

func (w *world) verify(ctx context.Context, names []string, key string, asJSON, quiet bool) error {
	bad := 0
	for _, name := range names {
		v := verified{Archive: name, At: w.Now().UTC()}
		began := time.Now()
		var err error
		v.Summary, err = w.verifyOne(ctx, name, key, asJSON, quiet)
		if err != nil {
			return err
		}
		v.Sound, v.Seconds = v.Summary.Sound(), time.Since(began).Seconds()
		if !v.Sound {
			bad++
		}
		if err := w.tellVerified(v, asJSON, quiet); err != nil {
			return err
		}
	}
	if bad > 0 {
		return salvor.Errorf(salvor.Internal, "%s of %d not as it was", progress.Counted(int64(bad), "archive"), len(names)).
			WithHint("restore what is damaged or missing from a copy: the manifest says which bytes are right")
	}
	return nil
}

func (w *world) tellVerified(v verified, asJSON, quiet bool) error {
	if asJSON {
		return json.NewEncoder(w.stdout).Encode(v)
	}
	if quiet {
		return nil
	}
	s := v.Summary
	state := "sound"
	if !v.Sound {
		state = "NOT SOUND"
	}
	text := fmt.Sprintf("%s: %s; %s, %s, %s, %s compared", v.Archive, state, progress.Counted(s.Objects, "file"), progress.Bytes(s.Bytes), progress.Counted(s.Records, "record"), progress.Counted(s.Digests, "digest"))
	if s.Entered > 0 {
		text += fmt.Sprintf("; the log of custody has %s, signed", entriesText(s.Entered))
	}
	if s.Listed == 0 {
		text += "; no manifest: whether files are missing cannot be told"
	}
	_, err := fmt.Fprintln(w.stdout, text)
	return err
}

// verifyOne reads an archive, or a WARC file.
func (w *world) verifyOne(ctx context.Context, name, key string, asJSON, quiet bool) (fixity.Summary, error) {
	enc := json.NewEncoder(w.stdout)
	var failed error
	tell := func(f fixity.Finding) {
		if asJSON {
			failed = errors.Join(failed, enc.Encode(f))
			return
		}
		if f.Kind == fixity.Unknown && quiet {
			return
		}
		place := f.Key
		if f.Offset > 0 {
			place += fmt.Sprintf(" at byte %d", f.Offset)
		}
		_, err := fmt.Fprintf(w.stdout, "%s: %s: %s\n", f.Kind, progress.Clean(place), progress.Clean(f.Text))
		failed = errors.Join(failed, err)
	}
	if st, err := os.Stat(name); err == nil && st.Mode().IsRegular() {
		s, err := verifyFile(ctx, name, tell)
		return s, errors.Join(err, failed)
	}
	store, err := (&library.Library{OpenStore: w.OpenStore}).Store(ctx, name)
	if err != nil {
		return fixity.Summary{}, err
	}
	read := map[string][32]byte{}
	s, err := fixity.Check(ctx, store, fixity.Hooks{Tell: tell, Progress: w.verifying(quiet || asJSON), Read: func(key string, sum [32]byte) { read[key] = sum }})
	if err != nil {
		return s, err
	}
	entered, err := fixity.Custody(ctx, store, key, read, func(f fixity.Finding) { s.Findings[f.Kind]++; tell(f) })
	s.Entered = entered
	return s, errors.Join(err, failed)
}

// verifying shows on a terminal how far it is.
func (w *world) verifying(quiet bool) func(fixity.Summary) {
	if quiet || !isTerminal(w.stderr) {
		return func(fixity.Summary) {}
	}
	var last time.Time
	return func(s fixity.Summary) {
		if time.Since(last) > time.Second {
			last = time.Now()
			fmt.Fprintf(w.stderr, "read %s in %s\n", progress.Bytes(s.Bytes), progress.Counted(s.Objects, "file"))
		}
	}
}

func verifyFile(ctx context.Context, name string, tell func(fixity.Finding)) (fixity.Summary, error) {
	s := fixity.Summary{Objects: 1, Findings: map[fixity.Kind]int64{}}
	rep, err := warc.Verify(ctx, name)
	if err != nil {
		return s, err
	}
	for _, p := range rep.Problems {
		tell(fixity.Finding{Kind: fixity.Damaged, Key: name, Offset: p.Offset, Record: strings.Trim(p.Record, "<>"), Text: p.Text})
	}
	s.Findings[fixity.Damaged] = int64(len(rep.Problems)) + rep.More
	s.Bytes, s.Records, s.Digests, s.ByType = rep.Bytes, rep.Records, rep.Digests, rep.ByType
	return s, nil
}
