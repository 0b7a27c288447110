package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"salvor"
)

// groupKey annotates a flag with the heading it is listed under.
const groupKey = "group"

const helpWidth = 80

// help prints a command's help: purpose, usage, examples, then the flags by
// group. It is plain text of 80 columns, so that help2man can read it too.
func help(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "%s\n\n", firstOf(cmd.Long, cmd.Short))
	fmt.Fprintf(w, "Usage: %s\n", cmd.UseLine())
	if cmd.Example != "" {
		fmt.Fprintf(w, "\nExamples:\n%s\n", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() || c.Name() == "help" {
				fmt.Fprintf(w, "  %-12s %s\n", c.Name(), c.Short)
			}
		}
	}
	for _, g := range groupsOf(cmd.LocalFlags()) {
		fmt.Fprintf(w, "\n%s:\n", g.title)
		for _, f := range g.flags {
			flagHelp(w, f)
		}
	}
	if codes := cmd.Annotations["exit"]; codes != "" {
		fmt.Fprintf(w, "\nExit codes:\n%s\n", codes)
	}
	if more := cmd.Annotations["more"]; more != "" {
		fmt.Fprintf(w, "\n%s\n", more)
	}
}

type flagGroup struct {
	title string
	flags []*pflag.Flag
}

// groupsOf keeps the order in which flags and groups were declared.
func groupsOf(fs *pflag.FlagSet) []flagGroup {
	var out []flagGroup
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		title := "Flags"
		if a := f.Annotations[groupKey]; len(a) > 0 {
			title = a[0]
		}
		for i := range out {
			if out[i].title == title {
				out[i].flags = append(out[i].flags, f)
				return
			}
		}
		out = append(out, flagGroup{title, []*pflag.Flag{f}})
	})
	return out
}

const flagColumn = 28

func flagHelp(w io.Writer, f *pflag.Flag) {
	head := "      --" + f.Name
	if f.Shorthand != "" {
		head = "  -" + f.Shorthand + ", --" + f.Name
	}
	arg, usage := pflag.UnquoteUsage(f)
	switch {
	case f.NoOptDefVal != "" && f.Value.Type() != "bool":
		head += " [" + arg + "]"
	case arg != "":
		head += " " + arg
	}
	lines := wrap(usage, helpWidth-flagColumn)
	if len(head) > flagColumn-2 {
		fmt.Fprintln(w, head)
		head = ""
	}
	for _, l := range lines {
		fmt.Fprintf(w, "%-*s%s\n", flagColumn, head, l)
		head = ""
	}
}

func wrap(s string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(s) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// flagError turns what the flag parser found into our form.
func flagError(cmd *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	seeHelp := fmt.Sprintf("see: %s --help", cmd.CommandPath())
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		name := "--" + e.GetFlag().Name
		cause := e.Unwrap()
		if salvor.HintOf(cause) != "" {
			return salvor.Errorf(salvor.Invalid, "%s: %w", name, cause).WithHint("%s", salvor.HintOf(cause))
		}
		return salvor.Errorf(salvor.Invalid, "%s: %q: %w", name, e.GetValue(), cause).WithHint("%s", seeHelp)
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if near := nearest(cmd, e.GetSpecifiedName()); near != "" {
			return salvor.Errorf(salvor.Invalid, "there is no flag --%s", e.GetSpecifiedName()).WithHint("did you mean --%s?", near)
		}
	}
	return salvor.Errorf(salvor.Invalid, "%w", err).WithHint("%s", seeHelp)
}

// nearest is the flag whose name is written most like name, if any is.
func nearest(cmd *cobra.Command, name string) string {
	best, at := "", 3
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if d := distance(name, f.Name); d < at {
			best, at = f.Name, d
		}
	})
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diag, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diag+cost)
		}
	}
	return row[len(b)]
}

func firstOf(s ...string) string {
	for _, x := range s {
		if x != "" {
			return x
		}
	}
	return ""
}
