package trust

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"salvor/api/webjson"

	"salvor"
)

// Paths that Handler serves.
const (
	PathJoin  = "/v1/join"
	PathRenew = "/v1/renew"
)

// maxBody of a request or an answer here, in bytes.
const maxBody = 64 << 10

// Handler serves POST /v1/join, to anybody with a join token, and POST
// /v1/renew, to nodes. Requests and answers are JSON. It needs no Gate before
// it, and the connection must be of ServerTLS.
func (a *Authority) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+PathJoin, a.serveJoin)
	mux.HandleFunc("POST "+PathRenew, a.serveRenew)
	return mux
}

func (a *Authority) serveJoin(w http.ResponseWriter, r *http.Request) {
	if wait := a.limit.spent(r.RemoteAddr); wait > 0 {
		writeError(w, tooMany(w, wait))
		return
	}
	var q joinWire
	if err := readBody(w, r, &q); err != nil {
		writeError(w, err)
		return
	}
	q.JoinRequest.Token = NewSecret(q.Token)
	answer, err := a.Join(r.Context(), q.JoinRequest)
	if c := salvor.ClassOf(err); err != nil && (c == salvor.Forbidden || c == salvor.Invalid) {
		a.limit.fail(r.RemoteAddr)
	}
	reply(w, answer.wire(), err)
}

// renewRequest is the JSON of POST /v1/renew.
type renewRequest struct {
	CSR string `json:"csr"`
}

func (a *Authority) serveRenew(w http.ResponseWriter, r *http.Request) {
	p, err := a.nodeOf(r)
	if err != nil {
		writeError(w, err)
		return
	}
	var q renewRequest
	if err := readBody(w, r, &q); err != nil {
		writeError(w, err)
		return
	}
	answer, err := a.Renew(r.Context(), *p, q.CSR)
	reply(w, answer.wire(), err)
}

func (a *Authority) nodeOf(r *http.Request) (*Peer, error) {
	if r.TLS == nil {
		return nil, salvor.Errorf(salvor.Forbidden, "nodes are known by their certificates, and this connection has no TLS")
	}
	p, err := a.id.PeerOf(*r.TLS)
	if err == nil && p == nil {
		err = salvor.Errorf(salvor.Forbidden, "only a node can renew its certificate, and this connection showed none")
	}
	return p, err
}

// tooMany sets how long to wait, and says so.
func tooMany(w http.ResponseWriter, wait time.Duration) error {
	s := int(wait/time.Second) + 1
	w.Header().Set("Retry-After", strconv.Itoa(s))
	return salvor.Errorf(salvor.Unavailable, "too many failed attempts from this address").WithHint("try again in %d seconds", s)
}

func readBody(w http.ResponseWriter, r *http.Request, v any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	if err := d.Decode(v); err != nil {
		return salvor.Errorf(salvor.Invalid, "the request is not the JSON it should be, or larger than %d bytes", maxBody) // the cause may quote a secret
	}
	return nil
}

func reply(w http.ResponseWriter, answer any, err error) {
	if err != nil {
		writeError(w, err)
		return
	}
	webjson.Write(w, http.StatusOK, answer)
}

func writeError(w http.ResponseWriter, err error) {
	status := webjson.Status(err)
	if w.Header().Get("Retry-After") != "" {
		status = http.StatusTooManyRequests
	}
	if w.Header().Get("WWW-Authenticate") != "" {
		status = http.StatusUnauthorized
	}
	webjson.Write(w, status, webjson.ProblemOf(err))
}

// post sends JSON and reads JSON. An error of the server comes out with its
// class; what failed on the way is Unavailable.
func post(ctx context.Context, c *http.Client, url, path string, q, answer any) error {
	b, err := json.Marshal(q)
	if err != nil {
		return salvor.Errorf(salvor.Internal, "write the request: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+path, bytes.NewReader(b))
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "%q is no URL to reach a cluster at", url)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := c.Do(r)
	if err != nil {
		return unreached(url, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return unreached(url, err)
	}
	if res.StatusCode != http.StatusOK {
		return understood(url, res.StatusCode, text)
	}
	if err := json.Unmarshal(text, answer); err != nil || len(text) > maxBody {
		return salvor.Errorf(salvor.Internal, "%s answered something that is no answer", url) // may hold a key: not quoted
	}
	return nil
}

func unreached(url string, err error) error {
	if e, ok := errors.AsType[*salvor.Error](err); ok { // of a handshake
		return salvor.Errorf(e.Class, "%s: %w", url, e).WithHint("%s", e.Hint)
	}
	if e, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e := refused(e.Err)
		return salvor.Errorf(salvor.Forbidden, "%s: %w", url, e).WithHint("%s", salvor.HintOf(e))
	}
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == "remote error" { // how crypto/tls names an alert
		return salvor.Errorf(salvor.Forbidden, "%s refused this node's certificate: %w", url, alert.Err).
			WithHint("the node was removed, its certificate has expired, or a clock is wrong: see `salvor cluster status` and both machines' clocks")
	}
	return salvor.Errorf(salvor.Unavailable, "%s cannot be reached: %w", url, err).
		WithHint("check the address, and that a coordinator runs there and no firewall is in between")
}

// understood makes an error of what a server answered.
func understood(url string, status int, text []byte) error {
	var p webjson.Problem
	if json.Unmarshal(text, &p) == nil && p.Error != "" {
		for c := salvor.Internal; c <= salvor.Interrupted; c++ {
			if c.String() == p.Class {
				return &salvor.Error{Class: c, Err: errors.New(p.Error), Hint: p.Hint}
			}
		}
	}
	class := salvor.Invalid
	if status >= 500 || status == http.StatusTooManyRequests {
		class = salvor.Unavailable
	}
	return salvor.Errorf(class, "%s answered with HTTP status %d", url, status).WithHint("check that the address is a coordinator's")
}
