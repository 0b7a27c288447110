package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	dialTime = 2 * time.Second
	// A connection that is silent for pingAfter is asked whether it lives, and
	// given up when it does not answer within pingTime: together 3 s.
	pingAfter = 1500 * time.Millisecond
	pingTime  = 1500 * time.Millisecond
)

// NewHTTPClient makes the client that every Client of a process shares: HTTP/2
// with one connection a coordinator, kept alive, through no proxy. config has
// the node's certificate, the cluster's CA and the ServerName of coordinators.
func NewHTTPClient(config *tls.Config) *http.Client {
	if config == nil {
		config = &tls.Config{}
	}
	config = config.Clone()
	if config.ClientSessionCache == nil {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(16)
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	dialer := &tls.Dialer{NetDialer: &net.Dialer{KeepAlive: 15 * time.Second}, Config: config}
	return &http.Client{
		Transport: &http.Transport{
			DialTLSContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				ctx, cancel := context.WithTimeout(ctx, dialTime)
				defer cancel()
				conn, err := dialer.DialContext(ctx, network, addr)
				if err != nil {
					return nil, &notReached{err}
				}
				return conn, nil
			},
			ForceAttemptHTTP2:  true,
			HTTP2:              &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTime},
			IdleConnTimeout:    90 * time.Second,
			DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// notReached is why there is no connection to a node: nothing was sent.
type notReached struct{ err error }

func (e *notReached) Error() string { return e.err.Error() }
func (e *notReached) Unwrap() error { return e.err }

// carrier sends connect's requests to the node and the group they are for.
type carrier struct {
	http  *http.Client
	group []string
}

type addressKey struct{}

// errEmpty holds back a request whose message could not be written; what that
// was is the error that connect returns.
var errEmpty = errors.New("no message")

func (c carrier) Do(r *http.Request) (*http.Response, error) {
	if addr, ok := r.Context().Value(addressKey{}).(string); ok {
		r.URL.Host, r.Host = addr, addr
	}
	if r.ContentLength == 0 {
		return nil, errEmpty
	}
	r.Header[GroupHeader] = c.group
	return c.http.Do(r)
}
