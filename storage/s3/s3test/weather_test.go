package s3test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// weather stands before a server and passes on what it is sent, or not.
type weather struct {
	*httptest.Server
	mode atomic.Int32
	met  atomic.Int64 // requests that had bad luck
}

// Kinds of weather.
const (
	fair      = iota
	unwilling // every answer is 503
	cutting   // uploads are cut in the midst
)

// newWeather listens on loopback for a server.
func newWeather(endpoint string) (*weather, error) {
	to, err := url.Parse(endpoint)
	if err != nil {
		return nil, err
	}
	pass := httputil.NewSingleHostReverseProxy(to)
	pass.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	w := &weather{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.serve(pass, rw, r) }))
	return w, nil
}

func (w *weather) serve(pass http.Handler, rw http.ResponseWriter, r *http.Request) {
	mode := w.mode.Load()
	if mode != fair {
		w.met.Add(1)
	}
	switch {
	case mode == unwilling:
		_, _ = io.Copy(io.Discard, r.Body)
		http.Error(rw, "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>", http.StatusServiceUnavailable)
		return
	case mode == cutting && r.Method == http.MethodPut && r.ContentLength > 0:
		r.Body = &cutBody{r.Body, r.ContentLength / 2}
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
