package signed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"salvor"
	"salvor/storage"
)

// call is one request to a coordinator.
type call struct {
	method string // default GET, or POST with a message
	path   string
	q      url.Values
	send   any                  // as JSON
	body   func() (body, error) // or these bytes, anew for each try
}

// body is what is sent of a blob.
type body struct {
	io.ReadCloser
	size int64
	// wrong is the blob's own error after a failure, as opposed to the network's.
	wrong func() error
}

// json makes a call once at each endpoint until one answers, and reads the
// answer.
func (s *Store) json(ctx context.Context, doing, key string, c call, to any) error {
	resp, err := s.do(ctx, doing, key, c)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return s.network(ctx, doing, key, err)
	}
	if err := failed(b); err != nil { // found after the coordinator had begun its answer
		return err
	}
	if err := json.Unmarshal(b, to); err != nil {
		return salvor.Errorf(salvor.Unavailable, "%s %s: the coordinator's answer cannot be read: %w", doing, key, err)
	}
	return nil
}

// do makes a call at each endpoint, beginning with the one that answered last,
// until one gives an answer that another would give as well. Its body is to be
// closed.
func (s *Store) do(ctx context.Context, doing, key string, c call) (*http.Response, error) {
	endpoints := s.c.Endpoints()
	if len(endpoints) == 0 {
		return nil, salvor.Errorf(salvor.Unavailable, "%s %s: no coordinator is known", doing, key)
	}
	at := s.at.Load()
	var err error
	for i := range uint32(len(endpoints)) {
		var resp *http.Response
		resp, err = s.at1(ctx, endpoints[(at+i)%uint32(len(endpoints))], doing, key, c)
		if err == nil {
			s.at.Store(at + i)
			return resp, nil
		}
		if salvor.ClassOf(err) != salvor.Unavailable || ctx.Err() != nil {
			return nil, err
		}
	}
	s.at.Store(at + 1)
	return nil, err
}

// at1 makes a call at one endpoint.
func (s *Store) at1(ctx context.Context, endpoint, doing, key string, c call) (*http.Response, error) {
	req, b, err := c.request(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	resp, err := s.c.HTTP.Do(req)
	if b.ReadCloser != nil {
		b.Close()
		if wrong := b.wrong(); wrong != nil {
			if err == nil {
				resp.Body.Close()
			}
			return nil, wrong
		}
	}
	if err != nil {
		return nil, s.network(ctx, doing, key, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, s.network(ctx, doing, key, err)
	}
	if err := failed(text); err != nil {
		return nil, err
	}
	return nil, foreign(endpoint, resp.StatusCode)
}

func (c call) request(ctx context.Context, endpoint string) (*http.Request, body, error) {
	method, in, b := c.method, io.Reader(nil), body{}
	switch {
	case c.send != nil:
		text, err := json.Marshal(c.send)
		if err != nil {
			return nil, b, salvor.Errorf(salvor.Internal, "write a request: %w", err)
		}
		method, in = http.MethodPost, bytes.NewReader(text)
	case c.body != nil:
		var err error
		if b, err = c.body(); err != nil {
			return nil, b, err
		}
		in = struct{ io.Reader }{b}
	case method == "":
		method = http.MethodGet
	}
	to := strings.TrimSuffix(endpoint, "/") + Root + c.path
	if c.q != nil {
		to += "?" + c.q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, to, in)
	if err != nil {
		if b.ReadCloser != nil {
			b.Close()
		}
		return nil, b, salvor.Errorf(salvor.Invalid, "%q is no address of a coordinator: %w", endpoint, err)
	}
	if c.body != nil {
		if req.ContentLength = b.size; b.size == 0 {
			req.Body = http.NoBody
		}
	}
	return req, b, nil
}

// network gives an error of the connection its class.
func (s *Store) network(ctx context.Context, doing, key string, err error) error {
	if ctxErr := storage.ContextError(ctx, doing, key); ctxErr != nil {
		return ctxErr
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its URL is long
	}
	return salvor.Errorf(salvor.Unavailable, "%s %s: ask a coordinator: %w", doing, key, err)
}

// Waits between tries: a random time below a limit that doubles each time.
const (
	firstWait = 100 * time.Millisecond
	maxWait   = 10 * time.Second
)

// retry calls f until it succeeds, fails for a reason that another try does
// not change, or RetryFor is over.
func (s *Store) retry(ctx context.Context, doing, key string, f func() error) error {
	t := s.newTries()
	for {
		err := f()
		if err == nil || salvor.ClassOf(err) != salvor.Unavailable || ctx.Err() != nil {
			return err
		}
		if err := t.wait(ctx, doing, key, err); err != nil {
			return err
		}
	}
}

// tries paces the attempts of one operation.
type tries struct {
	s     *Store
	until time.Time
	n     int
}

func (s *Store) newTries() *tries { return &tries{s: s, until: time.Now().Add(s.c.RetryFor)} }

// progressed begins the time anew.
func (t *tries) progressed() { t.until, t.n = time.Now().Add(t.s.c.RetryFor), 0 }

// wait returns nil when it is time to try again, else the error to end with.
func (t *tries) wait(ctx context.Context, doing, key string, err error) error {
	limit := min(maxWait, firstWait<<min(t.n, 10))
	t.n++
	d := time.Duration(rand.Int64N(int64(limit)))
	if time.Now().Add(d).After(t.until) {
		return err
	}
	if t.s.c.OnTrouble != nil {
		t.s.c.OnTrouble(err)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return storage.ContextError(ctx, doing, key)
	}
}
