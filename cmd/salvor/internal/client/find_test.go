package client

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salvor"
)

func TestAddress(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"https://127.0.0.1:7420", "127.0.0.1:7420"},
		{"https://127.0.0.1:7420/", "127.0.0.1:7420"},
		{"https://node1.example.org", "node1.example.org:7420"},
		{"node1.example.org:1", "node1.example.org:1"},
		{"[::1]:7420", "[::1]:7420"},
		{"https://[::1]", "[::1]:7420"},
		{"http://127.0.0.1:7420", `"http://127.0.0.1:7420" is no https URL`},
		{"127.0.0.1", `"127.0.0.1" is no address of a coordinator`},
		{"https://a:1/path", `"https://a:1/path" is no address of a coordinator`},
		{"https://", `"https://" is no address of a coordinator`},
		{"", `"" is no address of a coordinator`},
		{"https://joe:s3cret@a:1", "the address of a coordinator holds a name or a password"},
	} {
		got, err := Address(c.in)
		if err != nil {
			got = err.Error()
			if salvor.ClassOf(err) != salvor.Invalid || salvor.HintOf(err) == "" {
				t.Errorf("%q: class %v, hint %q", c.in, salvor.ClassOf(err), salvor.HintOf(err))
			}
		}
		if got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzAddress(f *testing.F) {
	for _, s := range []string{"https://127.0.0.1:7420", "[::1]:1", "a:b@c:1", "https://a%zz", "://", "a:1?x#y"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Address(s)
		if err != nil {
			if salvor.ClassOf(err) != salvor.Invalid {
				t.Errorf("%q: class %v", s, salvor.ClassOf(err))
			}
			return
		}
		if again, err := Address(got); err != nil || again != got {
			t.Errorf("%q is read as %q, and that as %q, %v", s, got, again, err)
		}
	})
}

// written makes files below a new directory.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestFind tries who counts more: flags, the environment, the files.
func TestFind(t *testing.T) {
	const made = `{"server": ["https://10.0.0.1:7420", "10.0.0.2:7420"], "key_file": "admin.key"}`
	all := map[string]string{
		"here/client.json": made, "here/admin.key": "key of here\n",
		"home/.config/salvor/client.json": strings.ReplaceAll(made, "10.0.0", "10.2.0"), "home/.config/salvor/admin.key": "key of home\n",
		"xdg/salvor/client.json": strings.ReplaceAll(made, "10.0.0", "10.3.0"), "xdg/salvor/admin.key": "key of xdg\n",
		"node/salvor-node/client.json": strings.ReplaceAll(made, "10.0.0", "10.4.0"), "node/salvor-node/admin.key": "key of node\n",
		"other.key": "other key", "empty.key": " \n", "empty/x": "", "bad/client.json": "{",
	}
	dir := written(t, all)
	at := func(p string) string { return filepath.Join(dir, p) }
	for _, c := range []struct {
		name string
		q    Query
		env  map[string]string
		want string
	}{
		{"flags", Query{Server: []string{"a:1", "b:2"}, KeyFile: at("other.key")}, map[string]string{EnvServer: "c:3", EnvKey: "k"}, "a:1 b:2|other key"},
		{"environment", Query{Work: at("here")}, map[string]string{EnvServer: " c:3, d:4,", EnvKey: " k "}, "c:3 d:4|k"},
		{"a file of the environment", Query{Work: at("here")}, map[string]string{EnvKeyFile: at("other.key"), EnvKey: "k"}, "https://10.0.0.1:7420 10.0.0.2:7420|other key"},
		{"--dir", Query{Dir: at("here")}, nil, "https://10.0.0.1:7420 10.0.0.2:7420|key of here"},
		{"here", Query{Work: at("here")}, map[string]string{"HOME": at("home")}, "https://10.0.0.1:7420 10.0.0.2:7420|key of here"},
		{"the node's directory", Query{Work: at("node")}, map[string]string{"HOME": at("home")}, "https://10.4.0.1:7420 10.4.0.2:7420|key of node"},
		{"home", Query{Work: at("empty")}, map[string]string{"HOME": at("home")}, "https://10.2.0.1:7420 10.2.0.2:7420|key of home"},
		{"another configuration", Query{Work: at("empty")}, map[string]string{"HOME": at("home"), "XDG_CONFIG_HOME": at("xdg")}, "https://10.3.0.1:7420 10.3.0.2:7420|key of xdg"},
		{"flag before --dir", Query{Dir: at("here"), Server: []string{"a:1"}}, nil, "a:1|key of here"},
		{"nothing", Query{Work: at("empty")}, nil, "invalid: no cluster was named"},
		{"no key", Query{Work: at("empty"), Server: []string{"a:1"}}, nil, "invalid: no key was given"},
		{"no such key", Query{Server: []string{"a:1"}, KeyFile: at("none.key")}, nil, "not_found: key file: open DIR/none.key: no such file or directory"},
		{"empty key", Query{Server: []string{"a:1"}, KeyFile: at("empty.key")}, nil, "invalid: DIR/empty.key holds no key: it is empty"},
		{"--dir without a file", Query{Dir: at("empty")}, nil, "not_found: there is no client.json in DIR/empty"},
		{"a broken file", Query{Dir: at("bad")}, nil, "invalid: DIR/bad/client.json: unexpected end of JSON input"},
		{"a bad address", Query{Server: []string{"a"}, KeyFile: at("other.key")}, nil, `invalid: "a" is no address of a coordinator`},
	} {
		c.q.Env = func(name string) string { return c.env[name] }
		got, err := Find(c.q)
		text := strings.Join(got.Server, " ") + "|" + got.Key
		if err != nil {
			text = strings.ReplaceAll(salvor.ClassOf(err).String()+": "+err.Error(), dir, "DIR")
			if salvor.HintOf(err) == "" {
				t.Errorf("%s: no remedy", c.name)
			}
		}
		if diff := cmp.Diff(c.want, text); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}
