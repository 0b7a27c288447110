// Package webjson is how nodes answer in JSON over HTTP: values, and errors with
// their class and remedy, mapped once to a status.
package webjson

import (
	"encoding/json"
	"net/http"

	"salvor"
)

// Problem is the JSON of an error.
type Problem struct {
	Class string `json:"class"`
	Error string `json:"error"`
	Hint  string `json:"hint,omitempty"`
}

var statuses = map[salvor.ErrorClass]int{
	salvor.Invalid: 400, salvor.Forbidden: 403, salvor.NotFound: 404, salvor.Conflict: 409,
	salvor.TooNew: 409, salvor.Exhausted: 429, salvor.Unavailable: 503, salvor.Interrupted: 503,
}

// Error answers with an error.
func Error(w http.ResponseWriter, err error) { Write(w, Status(err), ProblemOf(err)) }

// Status is the HTTP status of an error.
func Status(err error) int {
	if status, ok := statuses[salvor.ClassOf(err)]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// ProblemOf is an error as JSON.
func ProblemOf(err error) Problem {
	return Problem{salvor.ClassOf(err).String(), err.Error(), salvor.HintOf(err)}
}

// Write answers with a value.
func Write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // whoever went away does not read it
}
