package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/server"
	"salvor/coordinator/trust"
)

const joinExamples = `  salvor join https://node1.example.org:7420 --token-file worker.token
  salvor join https://node1.example.org:7420 --token-file node2.token --listen 0.0.0.0:7420 --advertise node2.example.org:7420`

// envToken holds a join token.
const envToken = "SALVOR_TOKEN"

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
	slow := time.AfterFunc(slowAnswer, func() { fmt.Fprintln(w.stderr, "no answer yet; it is asked again for a few seconds") })
	id, err := server.Join(cmd.Context(), c, w.Version, url, token, want)
	slow.Stop()
	if err != nil && !errors.Is(err, server.ErrInUse) {
		err = clusterError(err)
	}
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

// slowAnswer is when a person is told that nothing was heard yet.
const slowAnswer = 2 * time.Second

// maxToken bounds what is read where a token should be.
const maxToken = 4 << 10

// token reads a join token, which never stands on a command line.
func (w *world) token(file string) (trust.Credential, error) {
	text := w.env(envToken)
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
