// Package client is how a command line reaches a cluster: where it finds the
// cluster's address and its key, and what it says when it cannot get in.
//
// It is for the commands of salvor. It guarantees that a key is never looked
// for on a command line, that nothing is said to a node that the key does not
// vouch for, and that each way of not getting in has its own words.
package client

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"salvor"
	"salvor/storage/durable"
)

// Config says which cluster, and who asks.
type Config struct {
	Server []string // URLs (https://HOST:PORT) or HOST:PORT of coordinators, in the order in which they are tried
	Key    string   // the key's text; it names the cluster's certificate authority too
	Agent  string   // User-Agent of the requests, as in "salvor/v1.2"
	// Patience is how long Everywhere waits for groups; 0 is 10 s.
	Patience time.Duration
}

// File is the JSON of client.json, which is written where a cluster is made.
type File struct {
	Server  []string `json:"server"`
	KeyFile string   `json:"key_file"` // relative to the file's directory
}

// FileName is that of the File in a directory.
const FileName = "client.json"

// Query says where to look.
type Query struct {
	Server  []string            // of --server, separated by commas
	KeyFile string              // of --key-file
	Dir     string              // of --dir; "" looks around, see places
	Env     func(string) string // the environment
	Work    string              // the working directory; "" is the process's
}

// Environment variables that stand in for flags.
const (
	EnvServer  = "SALVOR_SERVER" // separated by commas
	EnvKeyFile = "SALVOR_KEY_FILE"
	EnvKey     = "SALVOR_KEY"
)

// maxKey bounds a file with a key.
const maxKey = 64 << 10

// Find puts together what flags, environment and files say, the address and
// the key each from the first of them that names one.
func Find(q Query) (Config, error) {
	var c Config
	f, dir, err := q.file()
	if err != nil {
		return c, err
	}
	if c.Server = q.servers(f); len(c.Server) == 0 {
		return c, salvor.Errorf(salvor.Invalid, "no cluster was named").
			WithHint("name one of its coordinators: --server https://HOST:PORT or %s; or --dir DIR, where the cluster was made", EnvServer)
	}
	for _, s := range c.Server {
		if _, err := Address(s); err != nil {
			return c, err
		}
	}
	c.Key, err = q.key(f, dir)
	return c, err
}

func (q Query) servers(f File) []string {
	if named := split(q.Server...); len(named) > 0 {
		return named
	}
	if named := split(q.Env(EnvServer)); len(named) > 0 {
		return named
	}
	return f.Server
}

// split takes lists with commas apart.
func split(lists ...string) (out []string) {
	for _, list := range lists {
		for s := range strings.SplitSeq(list, ",") {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// key reads the key's text.
func (q Query) key(f File, dir string) (string, error) {
	path := q.KeyFile
	switch {
	case path != "":
	case q.Env(EnvKeyFile) != "":
		path = q.Env(EnvKeyFile)
	case q.Env(EnvKey) != "":
		return strings.TrimSpace(q.Env(EnvKey)), nil
	case f.KeyFile != "":
		path = f.KeyFile
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
	default:
		return "", salvor.Errorf(salvor.Invalid, "no key was given").
			WithHint("name its file: --key-file FILE or %s; salvor key create makes one", EnvKeyFile)
	}
	text, err := readSmall(path)
	if err != nil {
		return "", err
	}
	if strings.TrimSpace(text) == "" {
		return "", salvor.Errorf(salvor.Invalid, "%s holds no key: it is empty", path).WithHint("name the file that salvor key create wrote")
	}
	return strings.TrimSpace(text), nil
}

func readSmall(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		err = durable.Error(err, "open", path)
		return "", salvor.Errorf(salvor.ClassOf(err), "key file: %w", err).WithHint("name a file that this user can read")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKey))
	if err != nil {
		return "", durable.Error(err, "read", path)
	}
	return string(b), nil
}

// places are where a client.json is looked for, when no directory was named:
// here, in the directory a node is put into unless told otherwise, and in the
// user's configuration.
func (q Query) places() []string {
	out := []string{q.Work, filepath.Join(q.Work, "salvor-node")}
	if x := q.Env("XDG_CONFIG_HOME"); x != "" {
		return append(out, filepath.Join(x, "salvor"))
	}
	if h := q.Env("HOME"); h != "" {
		out = append(out, filepath.Join(h, ".config", "salvor"))
	}
	return out
}

// file is the first client.json there is, and its directory.
func (q Query) file() (f File, dir string, err error) {
	if q.Dir != "" {
		f, err = readFile(q.Dir)
		if errors.Is(err, fs.ErrNotExist) {
			err = salvor.Errorf(salvor.NotFound, "there is no %s in %s", FileName, q.Dir).
				WithHint("name the directory that salvor cluster init made, or --server and --key-file")
		}
		return f, q.Dir, err
	}
	for _, dir := range q.places() {
		f, err := readFile(dir)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, dir, err
		}
	}
	return File{}, "", nil
}

func readFile(dir string) (f File, err error) {
	path := filepath.Join(dir, FileName)
	b, err := os.ReadFile(path)
	if err != nil {
		return f, durable.Error(err, "read", path)
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return f, salvor.Errorf(salvor.Invalid, "%s: %w", path, err).
			WithHint(`it should read like {"server": ["https://127.0.0.1:7420"], "key_file": "admin.key"}`)
	}
	return f, nil
}
