// Package rig runs real programs for end-to-end tests and benches: nginx, the
// built salvor, wget and the Python checkers. Everything listens on loopback,
// lives in a directory the caller names, and ends with the caller.
//
// It shares no code with the product: what it reads of an archive it reads by
// itself, so that a mistake there cannot hide behind the same mistake here.
package rig

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Nginx is a running web server of our own.
type Nginx struct {
	URL string // http://ADDRESS:PORT, without a final slash
	Log string // access log: status, a space, the request line

	cmd *exec.Cmd
	dir string
}

// NginxConfig says what to serve.
type NginxConfig struct {
	Dir     string // for config, logs and temporary files
	Root    string // files to serve
	Address string // "" is 127.0.0.1
	Server  string // more directives inside the server block
	NoLog   bool   // no access log: for benches
}

const nginxConf = `daemon off;
master_process off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid %[1]s/nginx.pid;
error_log %[1]s/error.log warn;
%[6]s
events { worker_connections 2048; }
http {
  include /etc/nginx/mime.types;
  default_type application/octet-stream;
  log_format short '$status $request';
  access_log %[5]s;
  client_body_temp_path %[1]s/body;
  proxy_temp_path %[1]s/proxy;
  fastcgi_temp_path %[1]s/fastcgi;
  uwsgi_temp_path %[1]s/uwsgi;
  scgi_temp_path %[1]s/scgi;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  keepalive_timeout 60s;
  server {
    listen %[2]s;
    server_name localhost;
    root %[3]s;
    index index.html;
    absolute_redirect off;
    %[4]s
  }
}
`

// StartNginx serves until Stop.
func StartNginx(c NginxConfig) (*Nginx, error) {
	bin, err := LookPath("nginx")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return nil, err
	}
	// The port was free a moment ago; another process may take it first.
	for range 3 {
		var n *Nginx
		if n, err = startNginx(bin, c); err == nil {
			return n, nil
		}
	}
	return nil, err
}

func startNginx(bin string, c NginxConfig) (*Nginx, error) {
	if c.Address == "" {
		c.Address = "127.0.0.1"
	}
	addr, err := FreePort(c.Address)
	if err != nil {
		return nil, err
	}
	n := &Nginx{URL: "http://" + addr, Log: filepath.Join(c.Dir, "access.log"), dir: c.Dir}
	log, user := n.Log+" short", ""
	if c.NoLog {
		log = "off"
	}
	if os.Geteuid() == 0 {
		user = "user root;" // the files lie in directories that only we may enter
	}
	conf := filepath.Join(c.Dir, "nginx.conf")
	text := fmt.Sprintf(nginxConf, c.Dir, addr, c.Root, c.Server, log, user)
	if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
		return nil, err
	}
	n.cmd = exec.Command(bin, "-p", c.Dir, "-e", filepath.Join(c.Dir, "error.log"), "-c", conf)
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start nginx: %w", err)
	}
	if err := WaitListening(addr, 10*time.Second); err != nil {
		n.Stop()
		return nil, fmt.Errorf("start nginx: %w: %s", err, n.errors())
	}
	return n, nil
}

// Stop ends it.
func (n *Nginx) Stop() {
	_ = n.cmd.Process.Signal(syscall.SIGTERM)
	_ = n.cmd.Wait()
}

// CPU is the processor time it has used; final after Stop.
func (n *Nginx) CPU() time.Duration {
	if s := n.cmd.ProcessState; s != nil {
		return s.UserTime() + s.SystemTime()
	}
	return 0
}

func (n *Nginx) errors() string {
	b, _ := os.ReadFile(filepath.Join(n.dir, "error.log"))
	return string(b)
}

// Requests counts what was asked for so far, without reading the whole log
// again.
func (n *Nginx) Requests() *Requests { return &Requests{path: n.Log} }

// Requests counts the lines of a growing access log.
type Requests struct {
	path string
	off  int64
	n    int
}

// Count is the number of requests so far.
func (r *Requests) Count() int {
	f, err := os.Open(r.path)
	if err != nil {
		return r.n
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	for {
		k, err := f.ReadAt(buf, r.off)
		r.n += bytes.Count(buf[:k], []byte{'\n'})
		r.off += int64(k)
		if err != nil || k == 0 {
			return r.n
		}
	}
}

// Hit is one request of the access log.
type Hit struct {
	Status string
	Method string
	Target string // as on the wire
}

// Hits reads the whole access log.
func (n *Nginx) Hits() ([]Hit, error) {
	f, err := os.Open(n.Log)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var hits []Hit
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		w := strings.Fields(s.Text())
		if len(w) < 3 {
			return nil, fmt.Errorf("access log: cannot read line %q", s.Text())
		}
		hits = append(hits, Hit{w[0], w[1], strings.Join(w[2:max(3, len(w)-1)], " ")})
	}
	return hits, s.Err()
}

// FreePort is an address with a port nobody listens on at the moment.
func FreePort(ip string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// WaitListening returns when addr takes connections.
func WaitListening(addr string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for {
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return c.Close()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("nothing listens on %s after %s", addr, limit)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ErrMissing says that a program of the rig is not installed.
var ErrMissing = errors.New("not installed")

// LookPath finds a program, in /usr/sbin too.
func LookPath(name string) (string, error) {
	if p, err := exec.LookPath(name); err == nil {
		return p, nil
	}
	p := filepath.Join("/usr/sbin", name)
	if _, err := os.Stat(p); err != nil {
		return "", fmt.Errorf("%s: %w", name, ErrMissing)
	}
	return p, nil
}
