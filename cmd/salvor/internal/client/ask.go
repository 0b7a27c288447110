package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"salvor"
)

// Address is host:port of a server that a person named: HOST:PORT, or a URL of
// https. The port may be left out.
func Address(s string) (string, error) {
	bad := salvor.Errorf(salvor.Invalid, "%q is no address of a coordinator", s).WithHint("write https://HOST:PORT or HOST:PORT, for example https://127.0.0.1:7420")
	text, isURL := s, false
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		if scheme != "https" {
			return "", salvor.Errorf(salvor.Invalid, "%q is no https URL", s).WithHint("coordinators speak TLS only: write https://HOST:PORT")
		}
		text, isURL = strings.TrimSuffix(rest, "/"), true
	}
	u, err := url.Parse("https://" + text)
	switch {
	case err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "":
		return "", bad
	case u.User != nil:
		// It may be a password: it is not repeated.
		return "", salvor.Errorf(salvor.Invalid, "the address of a coordinator holds a name or a password").WithHint("a key lets you in: --key-file FILE")
	case u.Port() == "" && isURL:
		return net.JoinHostPort(u.Hostname(), defaultPort), nil
	case u.Port() == "":
		return "", bad
	}
	return u.Host, nil
}

const (
	defaultPort = "7420"
	// answerWithin bounds one question to one server.
	answerWithin = 10 * time.Second
	// dialWithin bounds a connection, so that one dead server of a list does
	// not keep a person waiting for the others.
	dialWithin = 3 * time.Second
	// maxAnswer bounds what is read: a status of hundreds of nodes.
	maxAnswer = 16 << 20
)

// asker asks servers over HTTP, with a key.
type asker struct {
	http   *http.Client
	agent  string
	end    func()
	within time.Duration // bounds one question; 0 answerWithin
}

// slow asks what takes a server a while.
func (a *asker) slow() *asker {
	b := *a
	b.within = 2 * time.Minute
	return &b
}

// do sends a body, if there is one, to one server, and reads JSON from it.
func (a *asker) do(ctx context.Context, method, addr, path string, body []byte, into any) error {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(a.within, answerWithin))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "https://"+addr+path, bytes.NewReader(body))
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "ask %s: %w", addr, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := a.http.Do(req)
	if err != nil {
		return unreached(addr, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return unreached(addr, err)
	}
	if res.StatusCode != http.StatusOK {
		return answered(addr, res.StatusCode, b)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return salvor.Errorf(salvor.Internal, "%s answers something else than a coordinator would: %w", addr, err).
			WithHint("is it a node of Salvor, of this version?")
	}
	return nil
}

// any asks one server after the other, until one answers. An answer that another
// server would give too ends it.
func (a *asker) any(ctx context.Context, addrs []string, path string, into any) (from string, err error) {
	return a.send(ctx, http.MethodGet, addrs, path, nil, into)
}

// send is any with a body. What it asks for may be done twice.
func (a *asker) send(ctx context.Context, method string, addrs []string, path string, body []byte, into any) (from string, err error) {
	var errs []error
	for _, addr := range addrs {
		err := a.do(ctx, method, addr, path, body, into)
		if err == nil {
			return addr, nil
		}
		if c := salvor.ClassOf(err); c != salvor.Unavailable || ctx.Err() != nil {
			return "", err
		}
		errs = append(errs, err)
	}
	if len(errs) == 1 {
		return "", errs[0]
	}
	var lines []string
	for _, e := range errs {
		lines = append(lines, "  "+e.Error())
	}
	return "", salvor.Errorf(salvor.Unavailable, "none of %d coordinators can be asked:\n%s", len(errs), strings.Join(lines, "\n")).
		WithHint("are their nodes running, and can they be reached from here?")
}

// failure is the body of an answer that is none. Servers leave out what they
// do not know.
type failure struct {
	Class   string `json:"class"`
	Message string `json:"error"`
	Hint    string `json:"hint"`
}

// answered turns an HTTP status into an error of ours.
func answered(addr string, status int, body []byte) error {
	var f failure
	if json.Unmarshal(body, &f) != nil || f.Message == "" {
		f = failure{Message: fmt.Sprintf("HTTP status %d", status)}
	}
	class := classes[f.Class]
	switch {
	case status == http.StatusUnauthorized:
		return salvor.Errorf(salvor.Forbidden, "%s does not accept the key: %s", addr, f.Message).
			WithHint("%s", or(f.Hint, "ask an admin of the cluster for a new one: salvor key create"))
	case status == http.StatusForbidden:
		return salvor.Errorf(salvor.Forbidden, "the key may not do this at %s: %s", addr, f.Message).WithHint("%s", or(f.Hint, "use a key of another role: salvor key create --role"))
	case status == http.StatusNotFound:
		return salvor.Errorf(salvor.NotFound, "%s does not know the question: %s", addr, f.Message).WithHint("is it a coordinator of Salvor, of this version?")
	case status == http.StatusServiceUnavailable, status == http.StatusBadGateway, status == http.StatusGatewayTimeout, status == http.StatusTooManyRequests:
		return salvor.Errorf(salvor.Unavailable, "%s is not ready: %s", addr, f.Message).WithHint("%s", or(f.Hint, "try again in a few seconds; salvor status --server with another coordinator may tell more"))
	}
	return salvor.Errorf(class, "%s: %s", addr, f.Message).WithHint("%s", f.Hint)
}

var classes = map[string]salvor.ErrorClass{}

func init() {
	for c := salvor.Internal; c <= salvor.Interrupted; c++ {
		classes[c.String()] = c
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// unreached says why a server could not be asked.
func unreached(addr string, err error) error {
	if e, ok := errors.AsType[*salvor.Error](err); ok { // the handshake found out who it is not
		return salvor.Errorf(e.Class, "%s: %w", addr, e.Err).WithHint("%s", e.Hint)
	}
	cause := err
	if u, ok := errors.AsType[*url.Error](err); ok {
		cause = u.Err
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, syscall.ECONNREFUSED):
		return salvor.Errorf(salvor.Unavailable, "%s refuses the connection: nothing listens there", addr).WithHint("start the node (salvor server), or name another coordinator with --server")
	case isDNS && dns.IsNotFound:
		return salvor.Errorf(salvor.Unavailable, "there is no host %s", dns.Name).WithHint("check the spelling of --server, and that this machine can resolve names")
	case timedOut(err):
		return salvor.Errorf(salvor.Unavailable, "%s does not answer", addr).WithHint("is the node running, and does a firewall let its port through?")
	case strings.Contains(cause.Error(), "server gave HTTP response to HTTPS client"), strings.Contains(cause.Error(), "first record does not look like a TLS handshake"):
		return salvor.Errorf(salvor.Invalid, "%s is no coordinator: it does not speak TLS", addr).WithHint("name the port of --listen of a node, not that of --metrics-listen")
	}
	return salvor.Errorf(salvor.Unavailable, "%s cannot be asked: %w", addr, cause).WithHint("is the node running?")
}

func timedOut(err error) bool {
	n, ok := errors.AsType[net.Error](err)
	return errors.Is(err, context.DeadlineExceeded) || ok && n.Timeout()
}
