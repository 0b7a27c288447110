package cli

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/library"
	"salvor/cmd/salvor/internal/progress"
	"salvor/storage"
	"salvor/storage/durable"
	"salvor/warc/custody"
)

func (w *world) custodyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "custody", Short: "Prove later that an archive was not changed", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.custodySealCommand(), w.custodyShowCommand(), w.custodyProveCommand(), w.custodyCheckCommand())
	return cmd
}

const sealExamples = `  # when a crawl has ended, and whenever it went on
  salvor custody seal town

  # with a word about it
  salvor custody seal --note "handed to the city archive" --by "A. Keeper" town`

func (w *world) custodySealCommand() *cobra.Command {
	var key, remark, by string
	cmd := &cobra.Command{
		Use: "seal [flags] DIR", Short: "Enter what is in an archive into its log, and sign it",
		Long:    "Seal enters each WARC file that is not in the log of custody yet, with its SHA-256 as it\nis read now, and signs the log. Keep the key that it prints elsewhere, with somebody else:\nwho has it, and any copy of a checkpoint, can tell whether anything was changed.",
		Example: sealExamples, Args: oneName("archive", "salvor custody seal DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.seal(cmd.Context(), args[0], key, custody.Event{Kind: custody.Note, Text: remark, By: by})
		},
	}
	declare(cmd, optionGroup{"Sealing", []option{
		{name: "key-file", value: filled(&key, "name a file"), usage: "sign with the key in `FILE`, which is made when missing (default state/custody.key of the archive)"},
		{name: "note", value: text(&remark), usage: "enter `TEXT` too"},
		{name: "by", value: text(&by), usage: "`WHO` says so"},
	}})
	return cmd
}

// custodyKey reads the key of an archive, or makes one.
func custodyKey(dir, path, name string) (string, error) {
	if path == "" {
		path = filepath.Join(filepath.Dir(library.IndexDir(dir)), "custody.key")
		if _, err := os.Stat(filepath.Dir(path)); err != nil {
			return "", salvor.Errorf(salvor.Invalid, "%s has no state/ to keep the key in", dir).WithHint("name a file for it: --key-file FILE")
		}
	}
	b, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", durable.Error(err, "read", path)
	}
	signer, _, err := custody.NewKey(name)
	if err != nil {
		return "", err
	}
	if err := durable.WritePrivate(path, func(f io.Writer) error {
		_, err := io.WriteString(f, signer+"\n")
		return err
	}); err != nil {
		return "", err
	}
	return signer, nil
}

func (w *world) seal(ctx context.Context, dir, keyFile string, remark custody.Event) error {
	store, err := (&library.Library{OpenStore: w.OpenStore}).Store(ctx, dir)
	if err != nil {
		return err
	}
	log, err := custody.Open(ctx, store, "")
	if err != nil {
		return err
	}
	signer, err := custodyKey(dir, keyFile, library.NameOf(dir))
	if err != nil {
		return err
	}
	events, err := w.unsealed(ctx, store, log)
	if err != nil {
		return err
	}
	n := len(events)
	if remark.Text != "" {
		events = append(events, remark)
	}
	if err := log.Append(ctx, signer, w.Now(), events...); err != nil {
		return err
	}
	verifier, err := custody.VerifierOf(signer)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w.stdout, "entered %s; %s in the log, all signed\nthe key to verify by, to be kept elsewhere: %s\n", progress.Counted(int64(n), "file"), entriesText(log.Size()), verifier)
	return err
}

func entriesText(n int64) string {
	if n == 1 {
		return "1 entry"
	}
	return progress.Count(n) + " entries"
}

// unsealed are the files that the log has not, or has with another digest: that is
// entered as well, and shown by verify.
func (w *world) unsealed(ctx context.Context, store storage.Store, log *custody.Log) (events []custody.Event, err error) {
	last := map[string]string{}
	for _, e := range log.Events {
		if e != nil && e.Name != "" {
			last[e.Name] = e.SHA256
		}
	}
	enter := func(kind string, info storage.Info) error {
		sum, err := store.Checksum(ctx, info.Key)
		if err != nil {
			return err
		}
		if text := hex.EncodeToString(sum[:]); last[info.Key] != text {
			events = append(events, custody.Event{Kind: kind, Name: info.Key, Bytes: info.Size, SHA256: text})
		}
		return nil
	}
	for info, err := range store.List(ctx, "warc/", "") {
		if err != nil {
			return nil, err
		}
		if err := enter(custody.File, info); err != nil {
			return nil, err
		}
	}
	for info, err := range store.List(ctx, "manifest", "") {
		if err != nil {
			return nil, err
		}
		if err := enter(custody.Manifest, info); err != nil {
			return nil, err
		}
	}
	return events, nil
}

func (w *world) custodyShowCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show [flags] DIR", Short: "List what was entered into the log of custody",
		Args: oneName("archive", "salvor custody show DIR"), Example: "  salvor custody show town",
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := w.custodyOf(cmd.Context(), args[0], "")
			if err != nil {
				return err
			}
			return w.tellCustody(log, asJSON)
		},
	}
	declare(cmd, optionGroup{"Output", []option{{name: "json", value: truth(&asJSON), noArg: "true", usage: "print a JSON object for each entry (docs/json.md)"}}})
	return cmd
}

func (w *world) custodyOf(ctx context.Context, dir, key string) (*custody.Log, error) {
	store, err := (&library.Library{OpenStore: w.OpenStore}).Store(ctx, dir)
	if err != nil {
		return nil, err
	}
	log, err := custody.Open(ctx, store, key)
	if err != nil {
		return nil, err
	}
	if log.Size() == 0 {
		return nil, salvor.Errorf(salvor.NotFound, "%s has no log of custody", dir).WithHint("salvor custody seal %s begins one", dir)
	}
	return log, nil
}

// custodyLine is an entry in JSON. docs/json.md is its contract.
type custodyLine struct {
	Index int64     `json:"index"`
	At    time.Time `json:"at"`
	Kind  string    `json:"kind"`
	Hash  string    `json:"hash"`
	*custody.Event
	Erased bool `json:"erased,omitempty"`
}

func (w *world) tellCustody(log *custody.Log, asJSON bool) error {
	enc := json.NewEncoder(w.stdout)
	enc.SetEscapeHTML(false)
	for i, leaf := range log.Leaves {
		e := log.Events[i]
		if asJSON {
			if err := enc.Encode(custodyLine{Index: int64(i), At: leaf.At, Kind: leaf.Kind, Hash: leaf.Hash, Event: e, Erased: e == nil}); err != nil {
				return err
			}
			continue
		}
		text := "(destroyed)"
		if e != nil {
			text = strings.Join(slices.DeleteFunc([]string{e.Name, e.SHA256, e.Text, e.By}, func(s string) bool { return s == "" }), "  ")
		}
		if _, err := fmt.Fprintf(w.stdout, "%6d  %s  %-8s  %s\n", i, leaf.At.UTC().Format(time.DateTime), leaf.Kind, progress.Clean(text)); err != nil {
			return err
		}
	}
	fmt.Fprintf(w.stderr, "%s, %d of them signed, in %s by %s\n", entriesText(log.Size()), log.Signed, progress.Counted(int64(log.Checked), "checkpoint"), log.Key)
	return nil
}

func (w *world) custodyProveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "prove [flags] DIR FILE", Short: "Print the proof that a file was entered",
		Long:    "Prove prints a proof as JSON, which salvor custody check verifies without the archive.",
		Example: "  salvor custody prove town x.warc.gz > proof.json",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return salvor.Errorf(salvor.Invalid, "an archive and a file in it are wanted, and %d names were given", len(args)).WithHint("salvor custody prove DIR FILE")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			log, err := w.custodyOf(cmd.Context(), args[0], "")
			if err != nil {
				return err
			}
			i := slices.IndexFunc(log.Events, func(e *custody.Event) bool {
				return e != nil && e.Name != "" && (e.Name == args[1] || strings.HasSuffix(e.Name, "/"+args[1]))
			})
			if i < 0 {
				return salvor.Errorf(salvor.NotFound, "%s was not entered into the log of %s", args[1], args[0]).WithHint("salvor custody show %s lists what was", args[0])
			}
			p, err := log.Prove(cmd.Context(), int64(i))
			if err != nil {
				return err
			}
			enc := json.NewEncoder(w.stdout)
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			return enc.Encode(p)
		},
	}
	declare(cmd)
	return cmd
}

func (w *world) custodyCheckCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "check [flags] PROOF", Short: "Check a proof without the archive",
		Long:    "Check says what was entered, and when, if the proof holds. It needs the key to verify\nby, which salvor custody seal printed, from somebody you trust.",
		Example: "  salvor custody check --key salvor/town+5f2c+... proof.json\n  sha256sum x.warc.gz",
		Args:    oneName("proof", "salvor custody check --key KEY FILE"),
		RunE: func(_ *cobra.Command, args []string) error {
			if key == "" {
				return salvor.Errorf(salvor.Invalid, "no key to verify by was given").WithHint("add --key KEY: salvor custody seal printed it")
			}
			b, err := os.ReadFile(args[0])
			if err != nil {
				return durable.Error(err, "read", args[0])
			}
			var p custody.Proof
			if err := json.Unmarshal(b, &p); err != nil {
				return salvor.Errorf(salvor.Invalid, "%s is no proof: %w", args[0], err).WithHint("salvor custody prove writes one")
			}
			e, err := p.Check(key)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(w.stdout, "holds: %s %s of %d bytes with SHA-256 %s was entered %s UTC\n", e.Kind, e.Name, e.Bytes, e.SHA256, p.Leaf.At.UTC().Format(time.DateTime))
			return err
		},
	}
	declare(cmd, optionGroup{"Checking", []option{{name: "key", value: filled(&key, "give the key that salvor custody seal printed"), usage: "verify by `KEY`"}}})
	return cmd
}
