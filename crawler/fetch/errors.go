package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"salvor"
)

// ErrNoSuchHost is what a Resolver's error wraps when the name does not exist.
var ErrNoSuchHost = errors.New("no such host")

// Class is how a fetch failed: no answer worth a record was received.
type Class string

const (
	ClassInvalid    Class = "invalid"          // not a URL this client can ask for
	ClassNoSuchHost Class = "dns_no_such_host" // the name does not exist
	ClassDNS        Class = "dns_failed"       // no answer from the name servers
	ClassRefused    Class = "refused_address"  // the guard forbids the address
	ClassConnect    Class = "connect"          // nobody listens, or no way there
	ClassTLS        Class = "tls"              // no handshake, or TLSVerify and an invalid certificate
	ClassProxy      Class = "proxy"            // the operator's proxy is away or said no
	ClassTimeout    Class = "timeout"          // connected, then not one byte in time
	ClassEmpty      Class = "empty"            // closed without one byte
	ClassReset      Class = "reset"            // reset without one byte
	ClassInterim    Class = "interim_storm"    // 1xx answers without end
	ClassSpool      Class = "spool"            // no room here for the body
	ClassCancelled  Class = "cancelled"        // the context or the Client ended
	ClassInternal   Class = "internal"         // an error this list forgot
)

// Error is why there is no capture.
type Error struct {
	Class Class
	URL   string
	Err   error
}

func (e *Error) Error() string {
	if e.URL == "" {
		return fmt.Sprintf("%s: %v", e.Class, e.Err)
	}
	return fmt.Sprintf("fetch %s: %s: %v", e.URL, e.Class, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Transient reports whether another try later may do better.
func (e *Error) Transient() bool {
	switch e.Class {
	case ClassInvalid, ClassNoSuchHost, ClassRefused, ClassInterim:
		return false
	}
	return true
}

// Local reports whether the trouble is on this machine or its operator's
// proxy, so that the attempt says nothing about the host.
func (e *Error) Local() bool {
	return e.Class == ClassSpool || e.Class == ClassProxy || e.Class == ClassCancelled
}

// Timeout reports whether a time limit ended the fetch.
func (e *Error) Timeout() bool {
	if e.Class == ClassTimeout || errors.Is(e.Err, os.ErrDeadlineExceeded) || errors.Is(e.Err, context.DeadlineExceeded) {
		return true
	}
	ne, ok := errors.AsType[net.Error](e.Err)
	return ok && ne.Timeout()
}

// Status is the code Heritrix writes for such an end into crawl.log (Heritrix
// 3, "Status codes" in its glossary).
func (e *Error) Status() int {
	switch e.Class {
	case ClassNoSuchHost, ClassDNS:
		return -1
	case ClassConnect, ClassTLS, ClassProxy:
		return -2
	case ClassEmpty, ClassReset, ClassInterim:
		return -3
	case ClassTimeout:
		return -4
	case ClassInvalid:
		return -7
	case ClassRefused:
		return -5001
	case ClassCancelled:
		return -7000
	}
	return -5
}

// fail makes an Error, keeping the class of one that is already inside.
func fail(c Class, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Class: c, Err: err}
}

func failf(c Class, format string, args ...any) *Error {
	return &Error{Class: c, Err: fmt.Errorf(format, args...)}
}

// refused is the guard's answer; the hint names the flag that opens it.
func refused(reason string, addr fmt.Stringer, hint string) *Error {
	return &Error{Class: ClassRefused, Err: salvor.Errorf(salvor.Forbidden, "address %s is %s", addr, reason).
		WithHint("give --allow-net %s if this crawl may reach it", hint)}
}
