package rig

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"time"
)

// Weather is what stands between a client and an HTTP server on a bad day: it
// passes on what it is sent, or not.
type Weather struct {
	URL  string
	mode atomic.Int32
	srv  *http.Server
	// Met counts the requests that had bad luck.
	Met atomic.Int64
}

// Kinds of weather.
const (
	Fair      = iota
	Unwilling // every answer is 503
	Cutting   // uploads are cut in the midst
	Slow      // 100 KB/s each way
	Silent    // requests are taken and never answered
)

// StartWeather listens on loopback for a server at address.
func StartWeather(address string) (*Weather, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &Weather{URL: "http://" + l.Addr().String()}
	pass := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	pass.ErrorHandler = func(rw http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) }
	w.srv = &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(pass, rw, r) })}
	go func() { _ = w.srv.Serve(l) }() // ends with Stop
	return w, nil
}

// Set changes the weather for requests to come.
func (w *Weather) Set(mode int) { w.mode.Store(int32(mode)) }

// Stop ends the listener and all connections.
func (w *Weather) Stop() { _ = w.srv.Close() }

func (w *Weather) serve(pass http.Handler, rw http.ResponseWriter, r *http.Request) {
	mode := w.mode.Load()
	if mode != Fair {
		w.Met.Add(1)
	}
	switch mode {
	case Unwilling:
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(rw, "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>", http.StatusServiceUnavailable)
		return
	case Silent:
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	case Cutting:
		if r.Method == http.MethodPut && r.ContentLength > 0 {
			r.Body = &cutBody{r.Body, r.ContentLength / 2}
		}
	case Slow:
		r.Body = &slowBody{r.Context(), r.Body}
	}
	pass.ServeHTTP(rw, r)
}

// cutBody fails after some bytes.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (c *cutBody) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("cut")
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// slowBody passes 100 KB a second.
type slowBody struct {
	ctx context.Context
	io.ReadCloser
}

func (s *slowBody) Read(p []byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(100 * time.Millisecond):
	}
	return s.ReadCloser.Read(p[:min(len(p), 10_000)])
}
