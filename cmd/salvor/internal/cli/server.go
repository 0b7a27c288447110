package cli

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/server"
	"salvor/cmd/salvor/internal/value"
)

// nodeFile is the settings file in a node's directory, read where no --config
// names another.
const nodeFile = "salvor.yaml"

// nodeAsked is what a command line says of a node.
type nodeAsked struct {
	server.Config
	config string
}

func (a *nodeAsked) groups() []optionGroup {
	c := &a.Config
	return []optionGroup{
		{"Node", []option{
			{name: "dir", value: filled(&c.Dir, "name a directory"), usage: "directory `DIR` of the node (default salvor-node)"},
			{name: "config", value: filled(&a.config, "name a file"), usage: "read settings from `FILE`: YAML, the long names of these flags (default DIR/salvor.yaml where that is)"},
			{name: "listen", value: one(&c.Listen, hostPort), usage: "listen on `HOST:PORT` for nodes, people and scripts (default 127.0.0.1:7420)"},
			{name: "advertise", value: one(&c.Advertise, hostPort), usage: "other nodes reach this one at `HOST:PORT` (default that of --listen)"},
			{name: "roles", value: rolesValue(&c.Roles), usage: "`ROLES` of coordinator, worker, access, with commas (default all)"},
			{name: "store", value: one(&c.Store, storeURL), usage: "keep what is saved in the bucket of this `URL` (docs/store.md); without it in DIR/store, which is for one machine"},
			{name: "groups", value: whole(&c.Groups, 1, api.MaxGroups), usage: "split the frontier into `N` Raft groups, 1 to 16, for good: only when a cluster is made (default 1)"},
		}},
		{"Work", []option{
			{name: "connections", value: whole(&c.Connections, 1, 10000), usage: "fetch over at most `N` connections, all crawls together (default 64)"},
			{name: "node-rate", value: one(&c.MaxRate, value.Rate), usage: "make at most `N` requests a second, all crawls together, whatever the hosts allow (default 0: no bound)"},
			{name: "node-egress", value: one(&c.MaxEgress, value.ByteRate), usage: "receive at most `B` bytes a second, all crawls together, for example 2MB (default 0: no bound)"},
			{name: "spool-max", value: one(&c.SpoolMax, value.Size), usage: "fetch nothing new while `SIZE` of segments wait for the store (default 10GB)"},
			{name: "cache", value: one(&c.Cache, value.Size), usage: "use `SIZE` of memory for the frontier's blocks (default 256MiB)"},
		}},
		{"Operation", []option{
			{name: "metrics-listen", value: one(&c.MetricsListen, hostPort), usage: "serve /livez, /readyz and /metrics without TLS or key on `HOST:PORT` too"},
			{name: "checkpoint-every", value: one(&c.Checkpoint, value.Duration), usage: "copy the frontier into the store every `TIME` (default 10m)"},
			{name: "dead-after", value: one(&c.DeadAfter, value.Duration), usage: "remove a coordinator that was silent for `TIME`, while enough others are left (default 5m)"},
			{name: "drain-for", value: one(&c.DrainFor, value.Duration), usage: "take at most `TIME` for a clean stop (default 1m)"},
			{name: "probe", value: choice(&c.Probe, server.ProbeNone, server.ProbeDirect, server.ProbeAll), usage: "look at the sites that are saved, whether they are about to go: `HOW` is none, direct (the sites themselves) or all (registries and further name servers too; default direct)"},
			{name: "probe-resolver", value: many(&c.ProbeResolvers, hostPort), usage: "probes ask the name server at `HOST:PORT` (repeatable; default those of the system)"},
			{name: "probe-asn", value: filled(&c.ProbeASN, "name a file"), usage: "read who announces which addresses from `FILE`, a MaxMind DB of autonomous systems (default none: networks are told by address)"},
			{name: "probe-registries", value: filled(&c.ProbeRegistries, "name a file"), usage: "read the registries of domains from `FILE`, IANA's dns.json (default the list that is shipped)"},
			{name: "on-alert", value: text(&c.OnAlert), usage: "run `CMD` in a shell for what needs a person; it reads the alert as JSON (docs/operating.md)"},
			{name: "alert-webhook", value: filled(&c.AlertWebhook, "name a file that holds the URL"), usage: "send alerts as JSON to the URL in `FILE`"},
			{name: "planner", value: choice(&c.Planner, server.PlannerOn, server.PlannerOff), usage: "`HOW` workers are divided: on plans whom they serve first, off serves hosts in turn (default on)"},
			{name: "feature-level", value: whole(&c.Level, 0, 65535), usage: "run as a node of this feature level `N` does, for an upgrade in steps (default 0: the newest)"},
			{name: "log-level", value: choice(&c.LogLevel, "debug", "info", "warn", "error"), usage: "log `LEVEL` and above: debug, info, warn, error (default info)"},
			{name: "log-format", value: choice(&c.LogFormat, "text", "json"), usage: "log as `FORMAT`: text or json (default text)"},
		}},
	}
}

// nodeFlags declares the settings of a node on a command.
func nodeFlags(cmd *cobra.Command) *nodeAsked {
	a := &nodeAsked{Config: server.Defaults()}
	for _, g := range a.groups() {
		register(cmd.Flags(), g)
	}
	return a
}

// settle reads the environment and the settings file, in that order: what the
// command line says counts most, then the environment, then the file.
func (w *world) settle(fs *pflag.FlagSet, a *nodeAsked) (server.Config, error) {
	if err := w.fromEnv(fs); err != nil {
		return server.Config{}, err
	}
	file := a.config
	if file == "" {
		if inDir := filepath.Join(a.Dir, nodeFile); exists(inDir) {
			file = inDir
		}
	}
	if file != "" {
		if err := configure(fs, "server", file); err != nil {
			return server.Config{}, configError(err)
		}
	}
	a.Grouped = fs.Changed("groups")
	c := a.Config.Settled()
	return c, c.Check()
}

// envName is the variable of a setting: SALVOR_METRICS_LISTEN.
func envName(flag string) string {
	return "SALVOR_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnv sets what the environment says and the command line does not.
func (w *world) fromEnv(fs *pflag.FlagSet) (err error) {
	if err := w.misspelt(fs); err != nil {
		return err
	}
	fs.VisitAll(func(f *pflag.Flag) {
		v := w.env(envName(f.Name))
		if err != nil || f.Changed || v == "" || f.Name == "help" {
			return
		}
		if serr := fs.Set(f.Name, v); serr != nil {
			err = salvor.Errorf(salvor.Invalid, "%s: %w", envName(f.Name), plainError(serr)).WithHint("%s", salvor.HintOf(serr))
		}
	})
	return err
}

// misspelt refuses a variable that is written almost like that of a setting, and
// sets nothing.
func (w *world) misspelt(fs *pflag.FlagSet) error {
	known := slices.Clone(personal)
	fs.VisitAll(func(f *pflag.Flag) { known = append(known, envName(f.Name)) })
	return w.almost(known)
}

// personal are the variables of people and scripts, beside those of a node.
var personal = []string{client.EnvServer, client.EnvKey, client.EnvKeyFile, envToken}

// almost refuses a variable that is written almost like one that is known. Others
// may be anybody's: Kubernetes makes SALVOR_SERVICE_HOST and SALVOR_PORT for a
// service of that name.
func (w *world) almost(known []string) error {
	for _, name := range w.envNames {
		if slices.Contains(known, name) || !strings.HasPrefix(name, envName("")) || w.env(name) == "" {
			continue
		}
		best, at := "", 3
		for _, k := range known {
			if d := distance(name, k); d < at {
				best, at = k, d
			}
		}
		if best != "" {
			return salvor.Errorf(salvor.Invalid, "there is no setting for the variable %s", name).WithHint("did you mean %s?", best)
		}
	}
	return nil
}

// plainError leaves out pflag's own words, which speak of the command line.
func plainError(err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return e.Unwrap()
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func hostPort(s string) (string, error) {
	if _, _, err := net.SplitHostPort(s); err != nil {
		return "", salvor.Errorf(salvor.Invalid, "%q is not of the form host:port", s).WithHint("write for example 127.0.0.1:7420 or node1.example.org:7420")
	}
	return s, nil
}

const serverExamples = `  # one machine: everything in ./salvor-node, nothing else needed
  salvor server

  # a node that other machines can reach
  salvor cluster init --listen 0.0.0.0:7420 --advertise node1.example.org:7420 --store "s3://rescues/2026"
  salvor server`

func (w *world) serverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "server [flags]",
		Short: "Run a node of a cluster",
		Long: `Server runs a node: a coordinator, a worker, or both. In a new directory it makes
a cluster of one machine first. Every flag is also a setting of the configuration
file and an environment variable: --metrics-listen is metrics-listen: and
SALVOR_METRICS_LISTEN. The first SIGINT or SIGTERM stops cleanly, a second at once;
SIGKILL loses nothing.`,
		Example:               serverExamples,
		Args:                  noArgs,
		DisableFlagsInUseLine: true,
	}
	a := nodeFlags(cmd)
	helpFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := w.settle(cmd.Flags(), a)
		if err != nil {
			return err
		}
		return w.serve(cmd.Context(), c)
	}
	return cmd
}

func (w *world) configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the settings of a node", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	cmd.AddCommand(
		w.configSub("check", "Say whether a node's settings are right", func(server.Config) error {
			_, err := fmt.Fprintln(w.stdout, "the settings are right")
			return err
		}),
		w.configSub("show", "Print a node's settings as YAML", w.showConfig),
	)
	return cmd
}

func (w *world) configSub(name, short string, then func(server.Config) error) *cobra.Command {
	cmd := &cobra.Command{Use: name + " [flags]", Short: short, Args: noArgs, DisableFlagsInUseLine: true,
		Long: short + ",\nas flags, environment and file say them together."}
	a := nodeFlags(cmd)
	helpFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := w.settle(cmd.Flags(), a)
		if err != nil {
			return err
		}
		return then(c)
	}
	return cmd
}

// showConfig prints what is in force, in the form of a settings file. No
// setting is a secret.
func (w *world) showConfig(c server.Config) error {
	for _, s := range c.Settings() {
		line, err := settingLine(s)
		if err != nil {
			return err
		}
		if _, err := w.stdout.Write(line); err != nil {
			return err
		}
	}
	return nil
}

func settingLine(s server.Setting) ([]byte, error) {
	if s.Value == "" {
		return fmt.Appendf(nil, "# %s: not set\n", s.Name), nil
	}
	return yaml.Marshal(map[string]string{s.Name: s.Value})
}

// roleList is roles, given with commas, or one after the other as in a list of YAML.
type roleList struct {
	at   *[]api.Role
	text []string
}

func rolesValue(at *[]api.Role) pflag.Value { return &roleList{at: at} }

func (v *roleList) Set(s string) error {
	all, err := server.ParseRoles(strings.Join(append(v.text, s), ","))
	if err == nil {
		*v.at, v.text = all, append(v.text, s)
	}
	return err
}
func (v *roleList) String() string { return strings.Join(v.text, ",") }
func (v *roleList) Type() string   { return "list" }
