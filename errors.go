package salvor

import (
	"errors"
	"fmt"
)

// ErrorClass is what kind of trouble an error is. It decides the exit code and
// the HTTP status, once, at the edge.
type ErrorClass uint8

const (
	Internal    ErrorClass = iota
	Invalid                // the caller said something wrong
	NotFound               // no such thing
	Conflict               // it is there already, or held by another
	Forbidden              // refused by policy: an address, a key
	Unavailable            // try again: no leader, Store away, network
	Exhausted              // no room: disk, budget, limit
	TooNew                 // written by a newer version
	Interrupted            // stopped on request
)

var errorClassNames = [...]string{"internal", "invalid", "not_found", "conflict", "forbidden", "unavailable", "exhausted", "too_new", "interrupted"}

func (c ErrorClass) String() string { return name(errorClassNames[:], int(c)) }

// Error carries a class and, where a person can do something, a remedy.
type Error struct {
	Class ErrorClass
	Err   error
	Hint  string // what to do next, a plain sentence; may be empty
}

func (e *Error) Error() string { return e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a class; %w wraps.
func Errorf(c ErrorClass, format string, args ...any) *Error {
	return &Error{Class: c, Err: fmt.Errorf(format, args...)}
}

// WithHint adds what to do next.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// ClassOf is the class of the first Error in err's chain, else Internal.
func ClassOf(err error) ErrorClass {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return Internal
}

// HintOf is the first hint in err's chain, else "".
func HintOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hint
	}
	return ""
}
