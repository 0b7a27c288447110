package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
)

// Exit codes. They are part of the contract docs/exit-codes.md.
const (
	exitDone        = 0 // every URL has a final answer or a recorded exclusion
	exitInternal    = 1
	exitUsage       = 2
	exitFailed      = 3 // finished with URLs failed
	exitDeadline    = 4
	exitLimit       = 5
	exitInterrupted = 6
	exitNoSpace     = 7
	exitLocked      = 8
	exitNewer       = 9

	// Of the commands that talk to a cluster.
	exitTrouble = 10 // something in the cluster needs a person
	exitChanged = 11 // the name is taken, or somebody else changed it meanwhile
	exitAway    = 12 // no answer of the cluster: the same command again completes it
)

// exitHelp is the list in `salvor help save`.
const exitHelp = `  0  every URL in scope has a final answer of its server or a recorded exclusion
  1  an error inside salvor, or of the machine
  2  a mistake on the command line or in a file it names
  3  finished, but some URLs failed, or no seed could be fetched
  4  the deadline was reached first
  5  --limit-urls or --limit-bytes was reached first
  6  interrupted: the same command resumes
  7  no space left
  8  the directory is in use by another process
  9  the directory was written by a newer version`

var classExit = map[salvor.ErrorClass]int{
	salvor.Internal:    exitInternal,
	salvor.Unavailable: exitInternal,
	salvor.Invalid:     exitUsage,
	salvor.NotFound:    exitUsage,
	salvor.Forbidden:   exitUsage,
	salvor.Exhausted:   exitNoSpace,
	salvor.TooNew:      exitNewer,
	salvor.Conflict:    exitLocked,
	salvor.Interrupted: exitInterrupted,
}

var reasonExit = map[job.Reason]int{
	job.Done:        exitDone,
	job.Failed:      exitFailed,
	job.Deadline:    exitDeadline,
	job.Limit:       exitLimit,
	job.Interrupted: exitInterrupted,
	job.NoSpace:     exitNoSpace,
}

// ended is a run that came to an end which has been told already; only its
// exit code is left.
type ended struct{ code int }

func (e ended) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// exit tells an error, once, and maps it to the exit code.
func (w *world) exit(cmd *cobra.Command, err error) int {
	if err == nil {
		return exitDone
	}
	if e, ok := errors.AsType[ended](err); ok {
		return e.code
	}
	code := codeOf(err)
	for i, line := range strings.Split(err.Error(), "\n") {
		if i == 0 {
			line = "salvor: " + line
		}
		fmt.Fprintln(w.stderr, progress.Clean(line))
	}
	hint := salvor.HintOf(err)
	if hint != "" {
		fmt.Fprintln(w.stderr, "  "+progress.Clean(hint))
	}
	if wantsJSON(cmd) {
		// On a broken pipe nobody is left to tell.
		_ = progress.WriteJSON(w.stdout, "error", w.Now(), errorJSON{code, salvor.ClassOf(err).String(), err.Error(), hint})
	}
	return code
}

// errorJSON is why a run could not begin or go on.
type errorJSON struct {
	ExitCode int    `json:"exit_code"`
	Class    string `json:"class"`
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
}

func codeOf(err error) int {
	if e, ok := errors.AsType[coded](err); ok {
		return e.code
	}
	if errors.Is(err, context.Canceled) && salvor.ClassOf(err) == salvor.Internal {
		return exitInterrupted
	}
	return classExit[salvor.ClassOf(err)]
}

// wantsJSON reads --json even where parsing the flags failed later on.
func wantsJSON(cmd *cobra.Command) bool {
	if cmd == nil {
		return false
	}
	f := cmd.Flags().Lookup("json")
	return f != nil && f.Value.String() == "true"
}
