package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/server"
	"salvor/cmd/salvor/internal/value"
	"salvor/coordinator/trust"
)

// serve runs a node until it is stopped.
func (w *world) serve(ctx context.Context, c server.Config) error {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	stop, quit := make(chan struct{}), make(chan struct{})
	defer close(quit)
	signals, release := w.Signals()
	defer release()
	go stopOn(signals, stop, kill, quit)
	return server.Run(ctx, c, server.Options{
		Version: w.Version, Log: w.stderr, Stop: stop, OpenStore: w.OpenStore, Ready: w.started,
	})
}

// stopOn is what signals do to a node: the first stops it cleanly, the second
// at once.
func stopOn(signals <-chan os.Signal, stop chan<- struct{}, kill context.CancelFunc, quit <-chan struct{}) {
	var heard time.Time
	for asked := 0; ; {
		select {
		case <-quit:
			return
		case <-signals:
		}
		if asked > 0 && time.Since(heard) < echo {
			continue
		}
		heard = time.Now()
		if asked++; asked == 1 {
			close(stop)
			continue
		}
		kill()
		return
	}
}

// started says how to reach a node that serves.
func (w *world) started(s server.Started) {
	if s.Founded != "" {
		fmt.Fprintf(w.stderr, "made a cluster of this machine in %s; the admin's key is in %s\n", s.Dir, s.Founded)
	}
	at := "works for its cluster"
	if s.Address != "" {
		at = "serves https://" + s.Address
	}
	fmt.Fprintf(w.stderr, "node %s %s\n", s.Name, at)
}

func (w *world) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "cluster", Short: "Make a cluster, and let machines in", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(w.initCommand(), w.tokenCommand(), w.restoreCommand())
	return cmd
}

const initExamples = `  salvor cluster init --listen 0.0.0.0:7420 --advertise node1.example.org:7420 --store "s3://rescues/2026"
  salvor server`

func (w *world) initCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "init [flags]",
		Short: "Make a cluster and its first node",
		Long: `Init makes the cluster's certificate authority, its first node and the first
admin's API key in DIR, and writes the settings to DIR/salvor.yaml. It dials nobody.
Start the node with: salvor server`,
		Example: initExamples, Args: noArgs, DisableFlagsInUseLine: true,
	}
	a := nodeFlags(cmd)
	helpFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := w.settle(cmd.Flags(), a)
		if err != nil {
			return err
		}
		id, key, err := server.Found(c, w.Version)
		if err != nil {
			return err
		}
		if err := saveSettings(c); err != nil {
			return err
		}
		fmt.Fprintf(w.stdout, "%s\n", key)
		fmt.Fprintf(w.stderr, "made the cluster %s with node %s in %s\n  the admin's key is in %s: keep a copy, it is shown nowhere again\n  start it: salvor server%s\n",
			id.Settings().ID, id.Peer().Name, c.Dir, key, dirFlag(c))
		return nil
	}
	return cmd
}

// dirFlag is what must be said to name the directory again.
func dirFlag(c server.Config) string {
	if c.Dir == server.Defaults().Dir {
		return ""
	}
	return " --dir " + quote(c.Dir)
}

// saveSettings writes what differs from the defaults, for the next start.
func saveSettings(c server.Config) error {
	var b strings.Builder
	b.WriteString(server.SettingsHead)
	plain := server.Defaults().Settled().Settings()
	for i, s := range c.Settings() {
		if s == plain[i] {
			continue
		}
		line, err := settingLine(s)
		if err != nil {
			return err
		}
		b.Write(line)
	}
	return server.SaveSettings(c, []byte(b.String()))
}

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

const restoreExamples = `  # every coordinator is lost: on a new machine
  salvor cluster restore --store "s3://rescues/2026" --listen 0.0.0.0:7420 --advertise node1.example.org:7420
  salvor server`

func (w *world) restoreCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore [flags]",
		Short: "Bring a cluster back from its store",
		Long: `Restore makes the first node of a cluster that was lost, from the newest copies of
its state in the store; what was stored after them is found by the node when it runs.
With the old authority (identity/ca.crt and identity/ca.key of a coordinator, from a
backup) put into DIR/identity before, workers and keys go on; without it everybody
joins anew. Never while a coordinator of the old cluster may still run.`,
		Example: restoreExamples, Args: noArgs, DisableFlagsInUseLine: true,
	}
	var force bool
	register(cmd.Flags(), optionGroup{"Restoring", []option{
		{name: "force", value: truth(&force), noArg: "true", usage: "take the cluster over although a coordinator was at work a few minutes ago"},
	}})
	a := nodeFlags(cmd)
	helpFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := w.settle(cmd.Flags(), a)
		if err != nil {
			return err
		}
		id, at, err := server.Restore(cmd.Context(), c, w.Version, w.OpenStore, force)
		if err != nil {
			return err
		}
		if err := saveSettings(c); err != nil {
			return err
		}
		fmt.Fprintf(w.stderr, "brought back the cluster %s as it was %s ago, with node %s in %s\n  start it: salvor server%s\n",
			id.Settings().ID, progress.Span(w.Now().Sub(at).Round(time.Second)), id.Peer().Name, c.Dir, dirFlag(c))
		return nil
	}
	return cmd
}

const joinExamples = `  salvor join https://node1.example.org:7420 --token-file worker.token
  salvor join https://node1.example.org:7420 --token-file node2.token --listen 0.0.0.0:7420 --advertise node2.example.org:7420`

func (w *world) joinCommand() *cobra.Command {
	var tokenFile string
	var only, asJSON bool
	cmd := &cobra.Command{
		Use:   "join [flags] URL",
		Short: "Bring this machine into a cluster, and run its node",
		Long: `Join makes this machine a node of the cluster that a coordinator at URL belongs to,
and runs it. The token says what it may be, and which cluster is the right one:
nothing secret is sent to any other. The next time salvor server is enough.`,
		Example: joinExamples, DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return salvor.Errorf(salvor.Invalid, "a machine joins one cluster, and %d were named", len(args)).WithHint("salvor join https://HOST:PORT --token-file FILE")
			}
			return nil
		},
	}
	register(cmd.Flags(), optionGroup{"Joining", []option{
		{name: "token-file", value: filled(&tokenFile, "name a file, or - for standard input"), usage: "read the join token from `FILE`; - is standard input. SALVOR_TOKEN holds one too"},
		{name: "no-start", value: truth(&only), noArg: "true", usage: "join, and do not run the node"},
		{name: "json", value: truth(&asJSON), noArg: "true", usage: "print what the machine is now as JSON"},
	}})
	a := nodeFlags(cmd)
	helpFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return w.join(cmd, a, args[0], tokenFile, only, asJSON)
	}
	return cmd
}

func (w *world) join(cmd *cobra.Command, a *nodeAsked, url, tokenFile string, only, asJSON bool) error {
	c, err := w.settle(cmd.Flags(), a)
	if err != nil {
		return err
	}
	token, err := w.token(tokenFile)
	if err != nil {
		return err
	}
	var want []api.Role // none: all that the token allows
	if cmd.Flags().Changed("roles") {
		want = c.Roles
	}
	if c.Grouped {
		return salvor.Errorf(salvor.Invalid, "a machine that joins takes the groups of its cluster").WithHint("leave groups out")
	}
	fmt.Fprintf(w.stderr, "asking %s to let this machine in\n", url)
	id, err := server.Join(cmd.Context(), c, w.Version, url, token, want)
	if err != nil {
		return err
	}
	p := id.Peer()
	c.Roles = p.Roles
	if err := saveSettings(c); err != nil {
		return err
	}
	if asJSON {
		if err := json.NewEncoder(w.stdout).Encode(map[string]any{"id": p.ID, "name": p.Name, "roles": p.Roles, "cluster": p.Cluster, "dir": c.Dir}); err != nil {
			return err
		}
	}
	fmt.Fprintf(w.stderr, "this machine is node %s (%s) of the cluster %s now\n", p.Name, rolesText(p.Roles), p.Cluster)
	if only {
		fmt.Fprintf(w.stderr, "  start it: salvor server%s\n", dirFlag(c))
		return nil
	}
	return w.serve(cmd.Context(), c)
}

// maxToken bounds what is read where a token should be.
const maxToken = 4 << 10

// token reads a join token, which never stands on a command line.
func (w *world) token(file string) (trust.Credential, error) {
	text := w.env("SALVOR_TOKEN")
	switch {
	case file == "-":
		b, err := io.ReadAll(io.LimitReader(w.stdin, maxToken))
		if err != nil {
			return trust.Credential{}, salvor.Errorf(salvor.Invalid, "read the token from standard input: %w", err)
		}
		text = string(b)
	case file != "":
		b, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return trust.Credential{}, salvor.Errorf(salvor.NotFound, "there is no file %s", file).WithHint("name the file with the token: --token-file FILE")
		}
		if err != nil {
			return trust.Credential{}, salvor.Errorf(salvor.Invalid, "read the token: %w", err)
		}
		text = string(b[:min(len(b), maxToken)])
	case text == "":
		return trust.Credential{}, salvor.Errorf(salvor.Invalid, "a token is needed to join").
			WithHint("on a machine of the cluster: salvor cluster token --role worker; then name its file with --token-file")
	}
	return trust.ParseToken(text)
}
