package platform

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// web is the server of one platform.
type web struct {
	http *http.Server
	once sync.Once
	done chan struct{} // the server has returned
}

func serve(l net.Listener, h http.Handler) *web {
	w := &web{
		http: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(discard{}, "", 0)},
		done: make(chan struct{}),
	}
	go func() {
		defer close(w.done)
		_ = w.http.Serve(l) // ends with end
	}()
	return w
}

// end closes the port and every connection, as a plug that is pulled does.
func (w *web) end() {
	w.once.Do(func() { _ = w.http.Close() })
}

func (w *web) wait() { <-w.done }

// discard is for what a server has to say of clients that go away.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// ServeHTTP implements http.Handler.
func (x *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.set.once.Do(func() { close(x.set.first) })
	v := x.gate.decide(x.set.Now(), r.Method)
	if v.delay > 0 && !sleep(r.Context(), v.delay) {
		return
	}
	switch {
	case v.gone, x.gate.dead(x.set.Now()): // it may have died while it was busy
		x.count(http.StatusServiceUnavailable)
		x.suspended(w)
	case v.status == http.StatusOK:
		x.answer(w, r)
	default:
		x.count(v.status)
		if v.retryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(v.retryAfter.Seconds())))
		}
		http.Error(w, http.StatusText(v.status), v.status)
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// suspended is what the provider of a dead platform says. One that refuses
// connections does not even say that.
func (x *Site) suspended(w http.ResponseWriter) {
	if x.Spec.Manner.End == Refused {
		panic(http.ErrAbortHandler) // cuts the connection, as net/http documents
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = fmt.Fprintf(w, "<!DOCTYPE html><title>Account suspended</title><h1>This account has been suspended</h1><p>%s</p>\n", x.Spec.Name)
}

// answer gives what was asked for.
func (x *Site) answer(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		x.count(http.StatusOK)
		_, _ = fmt.Fprintln(w, "thank you")
		return
	}
	i, ok := x.Index(r.URL.Path)
	if !ok {
		x.other(w, r)
		return
	}
	body, mediaType := x.Body(i)
	if x.write(w, mediaType, body) == nil && r.Method == http.MethodGet {
		x.note(i)
	}
}

// other is what has no value of its own.
func (x *Site) other(w http.ResponseWriter, r *http.Request) {
	x.count(http.StatusOK)
	base := x.URL[:len(x.URL)-1]
	switch path := r.URL.Path; {
	case path == "/robots.txt" && x.Spec.Listed:
		_ = x.write(w, "text/plain", fmt.Appendf(nil, "User-agent: *\nAllow: /\nSitemap: %s/sitemap.xml\n", base))
	case path == "/robots.txt":
		_ = x.write(w, "text/plain", []byte("User-agent: *\nAllow: /\n"))
	case path == "/sitemap.xml" && x.Spec.Listed:
		_ = x.write(w, "application/xml", x.sitemap(base))
	case path == "/api/v1/items":
		_ = x.write(w, "application/json", fmt.Appendf(nil, "{\"first\":%d,\"last\":%d}\n", x.lists, x.spec.Pages-1))
	default:
		http.NotFound(w, r)
	}
}

// write sends an answer whole, or returns why not.
func (x *Site) write(w http.ResponseWriter, mediaType string, body []byte) error {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err := w.Write(body)
	if err != nil {
		return err
	}
	if err := http.NewResponseController(w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// note remembers that a resource was served whole.
func (x *Site) note(i int) {
	at := x.set.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tally.Answers++
	if x.served[i] >= 0 {
		x.tally.Repeats++
		return
	}
	x.served[i] = at
	x.whole++
	x.value += x.Value(i)
}

func (x *Site) count(status int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tally.Answers++
	switch status {
	case http.StatusTooManyRequests:
		x.tally.Refusals++
	case http.StatusForbidden:
		x.tally.Banned++
	case http.StatusServiceUnavailable:
		x.tally.Errors++
	}
}
