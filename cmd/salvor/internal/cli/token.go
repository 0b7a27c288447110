package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/server"
	"salvor/cmd/salvor/internal/value"
	"salvor/coordinator/trust"
)

const tokenExamples = `  # a token for any number of workers within the hour
  salvor cluster token --role worker --ttl 1h --out worker.token

  # one more coordinator
  salvor cluster token --role coordinator,worker --out node2.token`

// minting is what a command line asks of a token.
type minting struct {
	dialing
	spec trust.TokenSpec
	uses int
	out  string
}

func (w *world) tokenCommand() *cobra.Command {
	m := &minting{spec: trust.TokenSpec{TTL: time.Hour}}
	cmd := &cobra.Command{
		Use:   "token [flags]",
		Short: "Print a token with which machines may join",
		Long: `Token prints a join token. Whoever has it can bring machines into the cluster while
it lasts, so hand it over as a secret, in a file. It is good for one coordinator, or
for any number of workers.`,
		Example: tokenExamples, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return w.mint(cmd, m) },
	}
	declare(cmd, append([]optionGroup{{"Token", []option{
		{name: "role", value: one(&m.spec.Roles, server.ParseRoles), usage: "let machines be `ROLES`: worker, coordinator, access, with commas (needed)"},
		{name: "ttl", value: one(&m.spec.TTL, value.Duration), usage: "it is good for `TIME` (default 1h)"},
		{name: "uses", value: whole(&m.uses, 1, 1000), usage: "it is good for `N` machines (default 1 with the role coordinator, else any number)"},
		{name: "out", value: filled(&m.out, "name a file"), usage: "write it to `FILE`, readable by you alone, instead of printing it"},
	}}}, m.groups("print the token and what it is good for as JSON (docs/json.md)")...)...)
	return cmd
}

func (w *world) mint(cmd *cobra.Command, m *minting) error {
	if len(m.spec.Roles) == 0 {
		return salvor.Errorf(salvor.Invalid, "a token needs a role").WithHint("salvor cluster token --role worker")
	}
	if m.spec.TTL <= 0 {
		return salvor.Errorf(salvor.Invalid, "a token that is good for no time").WithHint("write for example --ttl 1h")
	}
	m.spec.Uses = m.uses
	file, err := newSecretFile(m.out) // a token whose text cannot be written down is lost
	if err != nil {
		return err
	}
	return w.once(cmd, &m.dialing, func(ctx context.Context, c *client.Cluster) error {
		t, row, err := trust.NewTokens(c.Registry, c.Key.CA, trust.Options{}).Mint(ctx, m.spec)
		if err != nil {
			return errors.Join(err, file.drop())
		}
		if err := file.write(t.Text().Reveal() + "\n"); err != nil {
			return errors.Join(err, file.drop())
		}
		if err := w.showToken(m, t, row); err != nil {
			return err
		}
		fmt.Fprintf(w.stderr, "token %s: %s, until %s\n  on the new machine: salvor join https://%s --token-file FILE\n", row.ID, rolesText(row.Roles),
			time.UnixMilli(row.Expires).UTC().Format(time.RFC3339), c.Address())
		return nil
	})
}

// tokenJSON is a token as the contract has it.
type tokenJSON struct {
	trust.Token
	Text string `json:"token,omitempty"` // unless it was written into a file
	File string `json:"file,omitempty"`
}

// showToken hands the token over, the one time it can be.
func (w *world) showToken(m *minting, t trust.Credential, row trust.Token) error {
	text := t.Text().Reveal()
	if m.out != "" {
		text = ""
	}
	if m.json {
		return w.printJSON(tokenJSON{row, text, m.out})
	}
	if text == "" {
		return nil
	}
	_, err := fmt.Fprintln(w.stdout, text)
	return err
}

func rolesText(roles []api.Role) string {
	parts := make([]string, len(roles))
	for i, r := range roles {
		parts[i] = string(r)
	}
	return strings.Join(parts, " and ")
}
