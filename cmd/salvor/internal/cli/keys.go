package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/coordinator/trust"
	"salvor/storage/durable"
)

func (w *world) keyCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Make, list and revoke the keys of people and scripts", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.keyCreateCommand(), w.keyListCommand(), w.keyRevokeCommand())
	return cmd
}

// keyring is the cluster's, changed from here.
func keyring(c *client.Cluster) *trust.Keyring {
	return trust.NewKeyring(c.Registry, c.Key.CA, trust.Options{})
}

const keyExamples = `  # for a colleague who seeds and steers crawls
  salvor key create --role operator --name "Ada" --out ada.key

  # for a script that only looks
  SALVOR_KEY=$(salvor key create --role researcher --name monitor)`

const keyExit = `  0   it is so
  1   an error inside salvor, or of the machine
  2   a mistake on the command line, or the key does not let it in
  11  it was changed by somebody else at the same moment, or it would do harm
  12  the cluster does not answer`

func (w *world) keyCreateCommand() *cobra.Command {
	d := new(dialing)
	var roles []api.Role
	var name, out string
	cmd := &cobra.Command{
		Use: "create [flags]", Short: "Make a key and print it, once",
		Long: `Create makes a key and prints its text, or writes it into a file that only this
user can read. It is shown this once: the cluster keeps only a hash of it.`,
		Example:     keyExamples,
		Annotations: map[string]string{"exit": keyExit},
		Args:        noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case len(roles) == 0:
				return salvor.Errorf(salvor.Invalid, "the key has no role").WithHint("say what its holder may do: --role admin, operator or researcher")
			case name == "":
				return salvor.Errorf(salvor.Invalid, "the key has no name").WithHint("say whose it is, or what for: --name NAME")
			}
			return w.once(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				return w.createKey(ctx, c, name, roles, out, d.json)
			})
		},
	}
	declare(cmd, append([]optionGroup{{"Key", []option{
		{name: "role", value: many(&roles, personRole), usage: "its holder may do what a `ROLE` may: researcher reads, operator seeds and steers crawls too, admin may do everything (repeatable)"},
		{name: "name", value: filled(&name, "say whose the key is, or what for"), usage: "`NAME` of its holder, or what it is for"},
		{name: "out", value: filled(&out, "name a file"), usage: "write it into `FILE`, which must not be there yet, with mode 0600 (default standard output)"},
	}}}, d.groups("print the key's record as JSON, with its text unless --out (docs/json.md)")...)...)
	if err := cmd.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(personRoles, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag was declared above
	}
	return cmd
}

var personRoles = []string{string(api.RoleAdmin), string(api.RoleOperator), string(api.RoleResearcher)}

func personRole(s string) (api.Role, error) {
	for _, r := range personRoles {
		if s == r {
			return api.Role(r), nil
		}
	}
	return "", salvor.Errorf(salvor.Invalid, "%q is no role of a key", s).WithHint("choose of %s", strings.Join(personRoles, ", "))
}

// keyJSON is a key as the contract has it.
type keyJSON struct {
	trust.Key
	Text string `json:"key,omitempty"` // only where it was just made, and not written into a file
	File string `json:"file,omitempty"`
}

// createKey makes a key. The file for it is made first: a key whose text cannot
// be written down is lost.
func (w *world) createKey(ctx context.Context, c *client.Cluster, name string, roles []api.Role, out string, asJSON bool) error {
	file, err := newSecretFile(out)
	if err != nil {
		return err
	}
	ring := keyring(c)
	cred, key, err := ring.Create(ctx, name, roles, madeBy(ctx, ring, c))
	if err != nil {
		return errors.Join(err, file.drop())
	}
	if err := file.write(cred.Text().Reveal() + "\n"); err != nil {
		return errors.Join(fmt.Errorf("key %s was made and could not be written down: revoke it: %w", key.ID, err), file.drop())
	}
	return w.tellKey(cred, key, out, asJSON)
}

// secretFile is a new file that only this user can read; nil is none.
type secretFile struct {
	*os.File
	path string
}

func newSecretFile(path string) (*secretFile, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, salvor.Errorf(salvor.Invalid, "--out: %s is there already", path).WithHint("name a new file: a key may be in that one")
	}
	if err != nil {
		return nil, durable.Error(err, "make", path)
	}
	return &secretFile{f, path}, nil
}

// write writes all of the file, durably.
func (f *secretFile) write(text string) error {
	if f == nil {
		return nil
	}
	_, err := f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return durable.Error(err, "write", f.path)
	}
	return durable.SyncDir(filepath.Dir(f.path))
}

func (f *secretFile) drop() error {
	if f == nil {
		return nil
	}
	_ = f.Close() // it may be closed
	return os.Remove(f.path)
}

// madeBy names the key that makes another, as far as that can be told.
func madeBy(ctx context.Context, ring *trust.Keyring, c *client.Cluster) string {
	all, err := ring.List(ctx)
	if err == nil {
		for _, k := range all {
			if k.ID == c.Key.ID {
				return k.Name
			}
		}
	}
	return c.Key.ID
}

func (w *world) tellKey(cred trust.Credential, key trust.Key, out string, asJSON bool) error {
	if asJSON {
		k := keyJSON{Key: key, File: out}
		if out == "" {
			k.Text = cred.Text().Reveal()
		}
		return w.printJSON(k)
	}
	if _, err := fmt.Fprintf(w.stderr, "made key %s of %s; it is shown this once\n", key.ID, key.Name); err != nil {
		return err
	}
	line := cred.Text().Reveal()
	if out != "" {
		line = out
	}
	_, err := fmt.Fprintln(w.stdout, line)
	return err
}

func (w *world) keyListCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "list [flags]", Short: "List the keys, those too that were revoked", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				all, err := keyring(c).List(ctx)
				if err != nil {
					return err
				}
				return w.tellKeys(all, d.json)
			})
		},
	}
	declare(cmd, d.groups("print a JSON array (docs/json.md)")...)
	return cmd
}

func (w *world) tellKeys(all []trust.Key, asJSON bool) error {
	if asJSON {
		out := []keyJSON{}
		for _, k := range all {
			out = append(out, keyJSON{Key: k})
		}
		return w.printJSON(out)
	}
	var rows [][]string
	for _, k := range all {
		revoked := "-"
		if k.Revoked > 0 {
			revoked = at(k.Revoked)
		}
		rows = append(rows, []string{k.ID, k.Name, roles(k.Roles), at(k.Created), dash(k.By), revoked})
	}
	var b strings.Builder
	table(&b, "", []string{"KEY", "NAME", "ROLES", "MADE", "BY", "REVOKED"}, rows)
	_, err := w.stdout.Write([]byte(b.String()))
	return err
}

// keyIDs are for completion.
func keyIDs(ctx context.Context, c *client.Cluster) (ids []string, err error) {
	all, err := keyring(c).List(ctx)
	for _, k := range all {
		if k.Revoked == 0 {
			ids = append(ids, k.ID+"\t"+k.Name)
		}
	}
	return ids, err
}

func (w *world) keyRevokeCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "revoke [flags] ID", Short: "End a key for good",
		Long:              "Revoke ends a key for good. Every node refuses it within four seconds.",
		Annotations:       map[string]string{"exit": keyExit},
		Args:              oneName("key", "salvor key revoke ID; salvor key list has the ids"),
		ValidArgsFunction: w.completeNames(d, keyIDs),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				if err := keyring(c).Revoke(ctx, args[0]); err != nil {
					return err
				}
				return w.tellRevoked(ctx, c, args[0], d.json)
			})
		},
	}
	declare(cmd, d.groups("print the key's record as JSON (docs/json.md)")...)
	return cmd
}

func (w *world) tellRevoked(ctx context.Context, c *client.Cluster, id string, asJSON bool) error {
	if asJSON && id != c.Key.ID { // with its own key nothing can be asked any more
		all, err := keyring(c).List(ctx)
		if err != nil {
			return err
		}
		for _, k := range all {
			if k.ID == id {
				return w.printJSON(keyJSON{Key: k})
			}
		}
	}
	if asJSON {
		return w.printJSON(map[string]any{"id": id, "revoked": w.Now().UnixMilli()})
	}
	_, err := fmt.Fprintf(w.stderr, "key %s is revoked\n", id)
	return err
}
