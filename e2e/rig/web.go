package rig

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Web serves the files of a directory on several addresses, each a host of its
// own, and notes who asked for what, when. Every page ends with its host's name,
// so that no two hosts have a page in common.
type Web struct {
	URLs []string // http://HOST:PORT

	root    string
	servers []*http.Server
	delay   atomic.Int64
	angry   atomic.Bool

	mu   sync.Mutex
	hits []WebHit
}

// WebHit is one request for a page.
type WebHit struct {
	At     time.Time // it came
	Host   string    // host:port that was asked
	Path   string
	Remote string // address of who asked
	Status int
	Gone   time.Time // who asked went away before the answer; zero: did not
}

// ServeWeb serves root on a free port of each address. There is no robots.txt.
func ServeWeb(root string, ips ...string) (*Web, error) {
	w := &Web{root: root}
	for _, ip := range ips {
		l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
		if err != nil {
			w.Stop()
			return nil, err
		}
		s := &http.Server{Handler: http.HandlerFunc(w.serve)}
		w.servers, w.URLs = append(w.servers, s), append(w.URLs, "http://"+l.Addr().String())
		go func() { _ = s.Serve(l) }() // ends with Stop
	}
	return w, nil
}

// Delay has every answer wait.
func (w *Web) Delay(d time.Duration) { w.delay.Store(int64(d)) }

// Refuse has every answer be 429.
func (w *Web) Refuse(yes bool) { w.angry.Store(yes) }

// Stop ends it.
func (w *Web) Stop() {
	for _, s := range w.servers {
		_ = s.Close()
	}
}

func (w *Web) serve(rw http.ResponseWriter, r *http.Request) {
	at := time.Now()
	body, status := w.answer(r)
	if r.URL.Path != "/robots.txt" {
		remote, _, _ := net.SplitHostPort(r.RemoteAddr)
		w.mu.Lock()
		number := len(w.hits)
		w.hits = append(w.hits, WebHit{At: at, Host: r.Host, Path: r.URL.Path, Remote: remote, Status: status})
		w.mu.Unlock()
		select {
		case <-time.After(time.Duration(w.delay.Load())):
		case <-r.Context().Done():
			w.mu.Lock()
			w.hits[number].Gone = time.Now()
			w.mu.Unlock()
		}
	}
	if status != http.StatusOK {
		http.Error(rw, http.StatusText(status), status)
		return
	}
	rw.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = rw.Write(body) // who went away does not read it
}

func (w *Web) answer(r *http.Request) (body []byte, status int) {
	if w.angry.Load() && r.URL.Path != "/robots.txt" {
		return nil, http.StatusTooManyRequests
	}
	body, err := os.ReadFile(filepath.Join(w.root, filepath.FromSlash(r.URL.Path)))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, http.StatusNotFound
	case err != nil || strings.HasSuffix(r.URL.Path, "/"):
		return nil, http.StatusForbidden
	}
	return append(body, Signature(r.Host)...), http.StatusOK
}

// Signature is the end of a host's pages.
func Signature(host string) string { return "<!-- " + host + " -->\n" }

// Count is how many pages were asked for so far.
func (w *Web) Count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.hits)
}

// Hits are all requests so far, in the order they came.
func (w *Web) Hits() []WebHit {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]WebHit(nil), w.hits...)
}

// Silence is the longest time without a request between two moments, and when
// it began.
func (w *Web) Silence(from, to time.Time) (longest time.Duration, began time.Time) {
	last := from
	for _, h := range append(w.Hits(), WebHit{At: to}) {
		if h.At.Before(from) || h.At.After(to) {
			continue
		}
		if d := h.At.Sub(last); d > longest {
			longest, began = d, last
		}
		last = h.At
	}
	return longest, began
}

// Forward passes the connections that come to listen on to another address,
// until ctx ends.
func Forward(ctx context.Context, listen, to string) (string, error) {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go pass(ctx, in, to)
		}
	}()
	return l.Addr().String(), nil
}
