package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/coordinator/frontier"
	"salvor/coordinator/trust"
	"salvor/storage/durable"
)

// keyFile of the first admin, in the node's directory.
const keyFile = "admin.key"

// Found makes a cluster of one node in c.Dir: its authority, its identity, the
// first admin's key, and the file by which the command line finds both. It
// returns the key's file.
func Found(c Config, version string) (*trust.Identity, string, error) {
	if !c.Has(api.RoleCoordinator) {
		return nil, "", salvor.Errorf(salvor.Invalid, "the first node of a cluster is a coordinator, and roles says %v", c.Roles).
			WithHint("add coordinator to roles; a machine that only works joins a cluster: salvor join URL --token-file FILE")
	}
	for _, name := range []string{"coordinator", "worker", "store"} { // an authority may lie there
		if fileExists(c.path(name)) {
			return nil, "", salvor.Errorf(salvor.Conflict, "%s holds %s of a node already", c.Dir, name).WithHint("choose another directory with --dir")
		}
	}
	return found(c, version, api.ClusterSettings{Groups: c.Groups, Level: uint16(level(c)), Store: c.Store})
}

func found(c Config, version string, settings api.ClusterSettings) (*trust.Identity, string, error) {
	id, err := trust.Found(c.identityDir(), trust.Founding{
		Settings: settings,
		Roles:    c.Roles, Address: c.Advertise, Host: hostname(), Level: uint16(level(c)), Version: version,
		KeyFile: c.path(keyFile),
	})
	if err != nil {
		return nil, "", err
	}
	f := client.File{Server: []string{"https://" + c.Advertise}, KeyFile: keyFile}
	return id, c.path(keyFile), writeJSONFile(c.path(client.FileName), f)
}

// level is the feature level a node runs at.
func level(c Config) int {
	if c.Level > 0 {
		return c.Level
	}
	return int(frontier.Level)
}

// Join makes this machine a node of the cluster at an address. A conflict where a
// node runs in its directory.
func Join(ctx context.Context, c Config, version, address string, token trust.Credential, roles []api.Role) (*trust.Identity, error) {
	o := trust.JoinOptions{Patience: joinFor, Dir: c.identityDir(), Roles: roles, Host: hostname(), Level: uint16(level(c)), Version: version}
	if c.Has(api.RoleCoordinator) || c.Has(api.RoleAccess) {
		o.Address = c.Advertise
	}
	lock, err := lockDir(c.Dir) // a node that runs keeps its identity
	if err != nil {
		return nil, err
	}
	id, _, _, err := trust.Join(ctx, address, token, o)
	return id, errors.Join(err, lock.Close())
}

// joinFor is how long a person waits who joins: for an election, not for a machine
// that is not there.
const joinFor = 10 * time.Second

// SettingsHead begins a file of settings that a command wrote, which commands
// may write anew.
const SettingsHead = "# Settings of this node, as they were given when it was made: salvor help server\n"

// SaveSettings writes a node's settings file, unless a person wrote one.
func SaveSettings(c Config, lines []byte) error {
	path := filepath.Join(c.Dir, "salvor.yaml")
	if b, err := os.ReadFile(path); err == nil && !bytes.HasPrefix(b, []byte(SettingsHead)) {
		return nil // somebody wrote it
	}
	return durable.WriteFile(path, func(w io.Writer) error {
		_, err := w.Write(lines)
		return err
	})
}

func writeJSONFile(path string, v any) error {
	return durable.WriteFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(v)
	})
}
