package server

import (
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
	"salvor/storage/s3"
)

// Config is every setting of `salvor server`.
type Config struct {
	Dir       string     // everything of the node
	Listen    string     // host:port of the one port
	Advertise string     // host:port under which other nodes reach it; "" is Listen
	Roles     []api.Role // none: coordinator, worker and access
	Groups    int        // of a cluster that is made now
	Grouped   bool       // somebody said so: another number than the cluster has is a mistake
	Store     string     // URL of a bucket; "" is a directory of the first node

	Connections int     // of the worker, over all crawls
	MaxRate     float64 // requests a second of the worker, the same; 0 no bound
	MaxEgress   int64   // bytes received a second by the worker, the same; 0 no bound
	SpoolMax    int64   // bytes of segments that may wait for the Store
	Cache       int64   // bytes of Pebble's block cache, over all groups

	MetricsListen string // host:port of plain HTTP with health and metrics; "" none
	Checkpoint    time.Duration
	DeadAfter     time.Duration // a voter silent for so long is removed, if enough others are left
	Planner       string        // on; off leaves out the plan of whom to serve first
	Level         int           // feature level to run at; 0 the newest
	LogLevel      string        // debug, info, warn, error
	LogFormat     string        // text, json
	DrainFor      time.Duration // how long a clean stop may take
	OnAlert       string        // command of the shell that reads alerts as JSON; "" none
	AlertWebhook  string        // file with the URL that takes them; "" none

	Probe           string   // ProbeNone, ProbeDirect, ProbeAll
	ProbeResolvers  []string // host:port of name servers that probes ask; none: the system's
	ProbeASN        string   // file of networks, MaxMind DB; "" none
	ProbeRegistries string   // file of registries, as RFC 9224 has it; "" the one that is shipped
}

// PlannerOn and PlannerOff are the values of Planner.
const (
	PlannerOn  = "on"
	PlannerOff = "off"
)

// Defaults are the settings where nobody said otherwise.
func Defaults() Config {
	return Config{
		Dir: "salvor-node", Listen: "127.0.0.1:7420", Groups: 1, Connections: 64, SpoolMax: 10e9, Cache: 256 << 20,
		Checkpoint: 10 * time.Minute, DeadAfter: 5 * time.Minute, Planner: PlannerOn, LogLevel: "info", LogFormat: "text", DrainFor: time.Minute, Probe: ProbeDirect,
	}
}

// Settled fills in what follows from other settings.
func (c Config) Settled() Config {
	if c.Advertise == "" {
		c.Advertise = c.Listen
	}
	if len(c.Roles) == 0 {
		c.Roles = []api.Role{api.RoleCoordinator, api.RoleWorker, api.RoleAccess}
	}
	return c
}

// Check refuses settings that contradict each other, before anything is
// touched.
func (c Config) Check() error {
	host, _, err := net.SplitHostPort(c.Advertise)
	switch {
	case err != nil:
		return salvor.Errorf(salvor.Invalid, "advertise %q is not of the form host:port", c.Advertise).WithHint("write for example: advertise: node1.example.org:7420")
	case c.Has(api.RoleCoordinator) && (host == "" || net.ParseIP(host).IsUnspecified()):
		return salvor.Errorf(salvor.Invalid, "other nodes cannot reach %q", c.Advertise).
			WithHint("say under which name or address they do, for example: --advertise node1.example.org:7420")
	case c.Groups < 1 || c.Groups > api.MaxGroups:
		return salvor.Errorf(salvor.Invalid, "a cluster of %d groups", c.Groups).WithHint("choose 1 to %d; 1 serves some 2,000 pages a second", api.MaxGroups)
	}
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return salvor.Errorf(salvor.Invalid, "listen %q is not of the form host:port", c.Listen).WithHint("write for example: listen: 0.0.0.0:7420")
	}
	for _, a := range []string{c.Listen, c.Advertise} {
		if _, port, _ := net.SplitHostPort(a); !isPort(port) {
			return salvor.Errorf(salvor.Invalid, "%q has no port from 1 to 65535", a).WithHint("write for example 0.0.0.0:7420")
		}
	}
	if c.Level > int(frontier.Level) {
		return salvor.Errorf(salvor.Invalid, "feature level %d is not known to this version, which is of level %d", c.Level, frontier.Level).
			WithHint("leave --feature-level out, or install the newer version")
	}
	if c.Store != "" {
		if _, err := s3.ParseURL(c.Store); err != nil {
			return err
		}
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// Has reports whether the node has a role.
func (c Config) Has(r api.Role) bool { return slices.Contains(c.Roles, r) }

// path is a file or directory of the node.
func (c Config) path(elem ...string) string {
	return filepath.Join(append([]string{c.Dir}, elem...)...)
}

// ParseRoles reads a list such as "coordinator,worker".
func ParseRoles(s string) ([]api.Role, error) {
	var out []api.Role
	for part := range strings.SplitSeq(s, ",") {
		switch r := api.Role(strings.TrimSpace(part)); r {
		case api.RoleCoordinator, api.RoleWorker, api.RoleAccess:
			if !slices.Contains(out, r) {
				out = append(out, r)
			}
		default:
			return nil, salvor.Errorf(salvor.Invalid, "%q is no role of a node", part).WithHint("choose of coordinator, worker and access")
		}
	}
	return out, nil
}

// Setting is one setting by its name, as it is written in a file.
type Setting struct{ Name, Value string }

// Settings are all of them, in the order of the help. What they say is read
// back as it was.
func (c Config) Settings() []Setting {
	roles := make([]string, len(c.Roles))
	for i, r := range c.Roles {
		roles[i] = string(r)
	}
	return []Setting{
		{"listen", c.Listen}, {"advertise", c.Advertise}, {"roles", strings.Join(roles, ",")}, {"store", c.Store},
		{"groups", strconv.Itoa(c.Groups)}, {"connections", strconv.Itoa(c.Connections)},
		{"node-rate", strconv.FormatFloat(c.MaxRate, 'g', -1, 64)},
		{"node-egress", strconv.FormatInt(c.MaxEgress, 10)},
		{"spool-max", strconv.FormatInt(c.SpoolMax, 10)}, {"cache", strconv.FormatInt(c.Cache, 10)},
		{"metrics-listen", c.MetricsListen}, {"checkpoint-every", c.Checkpoint.String()},
		{"dead-after", c.DeadAfter.String()}, {"drain-for", c.DrainFor.String()},
		{"probe", c.Probe}, {"probe-resolver", strings.Join(c.ProbeResolvers, ",")}, {"probe-registries", c.ProbeRegistries}, {"probe-asn", c.ProbeASN},
		{"on-alert", c.OnAlert}, {"alert-webhook", c.AlertWebhook},
		{"planner", c.Planner}, {"feature-level", strconv.Itoa(c.Level)}, {"log-level", c.LogLevel}, {"log-format", c.LogFormat},
	}
}
