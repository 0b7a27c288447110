package api

import "fmt"

// Unheard is the error of a Feedback that a part of a cluster took: Reports are
// those that are to be said again.
type Unheard struct {
	Reports []HostFeedback
	Err     error // of those who did not take them
}

func (e *Unheard) Error() string {
	return fmt.Sprintf("how %d hosts answered is not known to all: %v", len(e.Reports), e.Err)
}

func (e *Unheard) Unwrap() error { return e.Err }
