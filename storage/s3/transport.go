package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"salvor"
)

// errStalled says that the other side stopped moving bytes. A request that
// hangs would otherwise hold a finished segment for ever.
var errStalled = errors.New("no byte moved for too long")

func (c Config) transport() (http.RoundTripper, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: c.DialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   c.DialTimeout,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
		WriteBufferSize:       64 << 10, // few system calls for large bodies
		ReadBufferSize:        64 << 10,
		DisableCompression:    true, // objects come as they are stored
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.DialContext != nil {
		t.DialContext = c.DialContext
	}
	if c.CAFile != "" {
		pool, err := pool(c.CAFile)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = pool
	}
	var rt http.RoundTripper = t
	if c.Wrap != nil {
		rt = c.Wrap(rt)
	}
	return &watched{rt, c.StallTimeout, c.AnswerTimeout, c.AssembleWithin}, nil
}

func pool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "ca-file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, salvor.Errorf(salvor.Invalid, "ca-file %s holds no certificate", file).
			WithHint("it must be PEM: -----BEGIN CERTIFICATE-----")
	}
	return pool, nil
}

// watched ends requests that make no progress. It watches the bodies, not the
// connection: while an upload runs nothing comes back, and while parts are
// joined nothing moves at all.
type watched struct {
	next                    http.RoundTripper
	stall, answer, assemble time.Duration
}

// Watch wraps next so that requests end which make no progress: no byte of a
// body moves for stall, or no answer begins for answer after the last byte was
// sent.
func Watch(next http.RoundTripper, stall, answer time.Duration) http.RoundTripper {
	return &watched{next, stall, answer, answer}
}

// askFirst is the size from which a server is asked whether it will take a body
// at all: a refusal then comes as an answer, not as a connection that is cut
// while the body is sent, and costs nothing.
const askFirst = 2 << 20

func (w *watched) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	answer := w.answer
	if req.Method == http.MethodPost && req.URL.Query().Has("uploadId") {
		answer = w.assemble
	}
	dog := time.AfterFunc(max(w.stall, answer), func() { cancel(errStalled) })
	req = req.Clone(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		dog.Reset(w.stall)
		if req.ContentLength > askFirst {
			req.Header.Set("Expect", "100-continue")
		}
		req.Body = &sending{ReadCloser: req.Body, dog: dog, stall: w.stall, answer: answer}
	} else {
		dog.Reset(answer)
	}
	resp, err := w.next.RoundTrip(req)
	if body, ok := req.Body.(*sending); ok {
		body.end()
	}
	dog.Stop()
	if err != nil {
		cancel(nil)
		return nil, stalledOr(ctx, err)
	}
	resp.Body = &receiving{ctx, resp.Body, cancel, dog, w.stall}
	return resp, nil
}

// stalledOr names the watchdog when it was the one that ended a request.
func stalledOr(ctx context.Context, err error) error {
	if context.Cause(ctx) == errStalled {
		return errStalled
	}
	return err
}

// sending resets the watchdog with everything the network takes.
type sending struct {
	io.ReadCloser
	dog           *time.Timer
	stall, answer time.Duration

	mu   sync.Mutex
	over bool
}

func (s *sending) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return 0, errOver
	}
	n, err := s.ReadCloser.Read(p)
	if err != nil {
		s.dog.Reset(s.answer)
	} else {
		s.dog.Reset(s.stall)
	}
	return n, err
}

var errOver = errors.New("the request is over")

// end keeps the network from reading on after a request has failed or was
// answered early: the buffer behind the body is used again.
func (s *sending) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}

// receiving runs the watchdog only while a read waits: a slow reader is not
// the server's fault.
type receiving struct {
	ctx    context.Context
	body   io.ReadCloser
	cancel context.CancelCauseFunc
	dog    *time.Timer
	stall  time.Duration
}

func (r *receiving) Read(p []byte) (int, error) {
	r.dog.Reset(r.stall)
	n, err := r.body.Read(p)
	r.dog.Stop()
	if err != nil && err != io.EOF {
		err = stalledOr(r.ctx, err)
	}
	return n, err
}

func (r *receiving) Close() error {
	r.dog.Stop()
	err := r.body.Close()
	r.cancel(nil)
	return err
}
