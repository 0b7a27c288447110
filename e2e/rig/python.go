package rig

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Checkers are the Python programs that read our archives: warcio and pywb, as
// e2e/check/install.sh installed them.
type Checkers struct {
	bin     string // of the virtual environment
	scripts string // e2e/check
}

// FindCheckers finds what `make checkers` installed.
func FindCheckers() (*Checkers, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	c := &Checkers{
		bin:     filepath.Join(root, ".cache", "checkers", "bin"),
		scripts: filepath.Join(root, "e2e", "check"),
	}
	if _, err := os.Stat(filepath.Join(c.bin, "..", "installed.txt")); err != nil {
		return nil, fmt.Errorf("python checkers (make checkers): %w", ErrMissing)
	}
	return c, nil
}

// Root is the directory of the module we are run in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = up
	}
}

// Run runs a program of the environment and gives what it prints; an exit code
// other than 0 is an error that quotes it.
func (c *Checkers) Run(ctx context.Context, dir, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, name), args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s%s", name, args[0], err, tail(out.String()), tail(errs.String()))
	}
	return out.Bytes(), nil
}

// tail is the end of an output, where the reason stands.
func tail(s string) string {
	if len(s) > 4000 {
		return "...\n" + s[len(s)-4000:]
	}
	return s
}

// Seen is what warcio says of a record.
type Seen struct {
	File         string `json:"file"`
	Offset       int64  `json:"offset"`
	Length       int64  `json:"length"`
	Type         string `json:"type"`
	URI          string `json:"uri"`
	Date         string `json:"date"`
	Status       string `json:"status"`
	Location     string `json:"location"`
	SHA256       string `json:"sha256"` // of the entity
	Size         int64  `json:"size"`
	Truncated    string `json:"truncated"`
	RefersToURI  string `json:"refers_to_uri"`
	RefersToDate string `json:"refers_to_date"`
}

// Records lists what warcio finds in WARC files.
func (c *Checkers) Records(ctx context.Context, files []string) ([]Seen, error) {
	return jsonLines[Seen](c, ctx, append([]string{filepath.Join(c.scripts, "records.py")}, files...))
}

// Reached is a URL that links of a static site lead to, and what its server
// will answer.
type Reached struct {
	URL    string `json:"url"`
	Status int    `json:"status"`
	File   string `json:"file"`
}

// Reach finds what links reach in the tree root, served at origin.
func (c *Checkers) Reach(ctx context.Context, root, origin, start string) ([]Reached, error) {
	return jsonLines[Reached](c, ctx, []string{filepath.Join(c.scripts, "reach.py"), root, origin, start})
}

// CountParquet counts the captures of a Parquet export by media type, with DuckDB.
func (c *Checkers) CountParquet(ctx context.Context, file string) (map[string]int64, error) {
	all, err := jsonLines[map[string]int64](c, ctx, []string{filepath.Join(c.scripts, "parquet.py"), file})
	if err != nil || len(all) != 1 {
		return nil, fmt.Errorf("parquet.py: %d lines: %w", len(all), err)
	}
	return all[0], nil
}

func jsonLines[T any](c *Checkers, ctx context.Context, args []string) ([]T, error) {
	out, err := c.Run(ctx, "", "python3", args...)
	if err != nil {
		return nil, err
	}
	var all []T
	s := bufio.NewScanner(bytes.NewReader(out))
	s.Buffer(nil, 4<<20)
	for s.Scan() {
		var v T
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(args[0]), err)
		}
		all = append(all, v)
	}
	return all, s.Err()
}

// Wayback is pywb replaying files.
type Wayback struct {
	URL string // http://ADDRESS:PORT/rescue
	p   *Process
}

// Replay lets pywb add files to a collection in dir, index them itself and
// serve them.
func (c *Checkers) Replay(ctx context.Context, dir string, files []string) (*Wayback, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// pywb sends usage nowhere; its file lock and templates stay in dir.
	if _, err := c.Run(ctx, dir, "wb-manager", "init", "rescue"); err != nil {
		return nil, err
	}
	if _, err := c.Run(ctx, dir, "wb-manager", append([]string{"add", "rescue"}, files...)...); err != nil {
		return nil, err
	}
	return c.wayback(dir)
}

// ReplayRemote lets pywb replay a collection that somebody else serves, COLL/ of
// http://HOST/COLL/: its index, and its WARC files.
func (c *Checkers) ReplayRemote(dir, coll string) (*Wayback, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("collections:\n  rescue:\n    index_paths: cdx+%scdx\n    archive_paths: %swarc/\n", coll, coll)
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o644); err != nil {
		return nil, err
	}
	return c.wayback(dir)
}

// ReplayFile lets pywb serve a CDXJ file as it is; the WARC files that it names are
// not there.
func (c *Checkers) ReplayFile(dir, cdxj string) (*Wayback, error) {
	config := fmt.Sprintf("collections:\n  rescue:\n    index_paths: %s\n    archive_paths: %s\n", cdxj, dir)
	if err := os.WriteFile(filepath.Join(dir, "config.yaml"), []byte(config), 0o644); err != nil {
		return nil, err
	}
	return c.wayback(dir)
}

// wayback serves what is in a directory.
func (c *Checkers) wayback(dir string) (*Wayback, error) {
	addr, err := FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(addr, ":")
	p, err := Start(dir, nil, filepath.Join(c.bin, "wayback"), "-b", "127.0.0.1", "-p", port, "-d", dir)
	if err != nil {
		return nil, err
	}
	w := &Wayback{URL: "http://" + addr + "/rescue", p: p}
	if err := WaitListening(addr, 30*time.Second); err != nil {
		w.Stop()
		return nil, fmt.Errorf("wayback: %w\n%s", err, tail(p.Stderr()))
	}
	return w, nil
}

// Stop ends it.
func (w *Wayback) Stop() {
	_ = w.p.cmd.Process.Kill()
	<-w.p.Done()
}

// Get replays the capture of a URL nearest to a 14-digit time ("" is the
// newest), as it came from its server.
func (w *Wayback) Get(ctx context.Context, timestamp, target string) (status int, body []byte, err error) {
	if timestamp == "" {
		timestamp = "2"
	}
	// url.Parse would spell the target anew.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL, nil)
	if err != nil {
		return 0, nil, err
	}
	path := "/rescue/" + timestamp + "id_/" + target
	req.URL = &url.URL{Scheme: "http", Host: req.URL.Host, Opaque: path}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// Errors is what wayback wrote on its standard error.
func (w *Wayback) Errors() string { return tail(w.p.Stderr()) }
