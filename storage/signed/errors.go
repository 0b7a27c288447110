package signed

import (
	"encoding/json"
	"errors"
	"net/http"

	"salvor"
)

// failure is an error on its way. Every answer that is none of success is one,
// and no other answer has a class.
type failure struct {
	Class   string `json:"class"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

var statuses = map[salvor.ErrorClass]int{
	salvor.Internal:    http.StatusInternalServerError,
	salvor.Invalid:     http.StatusBadRequest,
	salvor.NotFound:    http.StatusNotFound,
	salvor.Conflict:    http.StatusConflict,
	salvor.Forbidden:   http.StatusForbidden,
	salvor.Unavailable: http.StatusServiceUnavailable,
	salvor.Exhausted:   http.StatusInsufficientStorage,
	salvor.TooNew:      http.StatusNotImplemented,
	salvor.Interrupted: http.StatusServiceUnavailable,
}

func failureOf(err error) (int, failure) {
	class := salvor.ClassOf(err)
	return statuses[class], failure{class.String(), err.Error(), salvor.HintOf(err)}
}

// failed reads a failure, if that is what an answer holds. What stopped the
// other side is no reason to stop here: Interrupted becomes Unavailable.
func failed(body []byte) error {
	var f failure
	if json.Unmarshal(body, &f) != nil || f.Class == "" {
		return nil
	}
	e := &salvor.Error{Class: salvor.Internal, Err: errors.New(f.Message), Hint: f.Hint}
	for class := range statuses {
		if class.String() == f.Class {
			e.Class = class
		}
	}
	if e.Class == salvor.Interrupted {
		e.Class = salvor.Unavailable
	}
	return e
}

// foreign is the error of an answer that is not ours: of a proxy in between,
// or of a program that is no coordinator.
func foreign(from string, status int) error {
	class := salvor.Unavailable
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		class = salvor.Forbidden
	}
	return salvor.Errorf(class, "%s answered %d %s, in no form that a coordinator uses", from, status, http.StatusText(status)).
		WithHint("is this the address of a coordinator, and is nothing in between?")
}
