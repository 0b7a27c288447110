// Package input reads the files that people hand to `salvor save`: seeds,
// cookies, exclude rules, headers.
//
// A file with bad lines is refused as a whole, and all of its bad lines are
// named at once, so that it is mended in one go.
package input

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"

	"salvor"
	"salvor/cmd/salvor/internal/progress"
	"salvor/storage/durable"
)

const (
	maxLine = 1 << 20 // bytes; a URL of a megabyte is none
	maxBad  = 20      // bad lines that are listed
)

// BadLine is one line that means nothing.
type BadLine struct {
	Line int
	Text string // what is wrong with it
}

// BadLines is a file that was refused.
type BadLines struct {
	File  string
	Lines []BadLine // the first ones
	More  int       // that are not listed
}

// Error lists the lines, one under the other when there are several.
func (e *BadLines) Error() string {
	var b strings.Builder
	for i, l := range e.Lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s:%d: %s", e.File, l.Line, l.Text)
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n%s: %s", e.File, progress.Counted(int64(e.More), "more bad line"))
	}
	return b.String()
}

func (e *BadLines) add(line int, format string, args ...any) {
	if len(e.Lines) == maxBad {
		e.More++
		return
	}
	e.Lines = append(e.Lines, BadLine{line, fmt.Sprintf(format, args...)})
}

// err is nil when nothing was bad.
func (e *BadLines) err(hint string) error {
	if len(e.Lines) == 0 {
		return nil
	}
	return (&salvor.Error{Class: salvor.Invalid, Err: e}).WithHint("%s", hint)
}

// Open opens a file for one of the parsers; "-" is standard input. name is
// what its lines are cited by.
func Open(path string, stdin io.Reader) (r io.ReadCloser, name string, err error) {
	if path == "-" {
		return io.NopCloser(stdin), "stdin", nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, "", Unreadable(err, path)
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		_ = f.Close()
		return nil, "", salvor.Errorf(salvor.Invalid, "read %s: it is a directory", path).WithHint("name a text file")
	}
	return f, path, nil
}

// Unreadable is a file that cannot be read, with the remedy.
func Unreadable(err error, path string) error {
	err = durable.Error(err, "read", path)
	class, hint := salvor.ClassOf(err), "name a text file that can be read, or - for standard input"
	switch {
	case class == salvor.Exhausted:
		return err
	case class == salvor.NotFound:
		hint = "check the path; one that does not begin with / is looked for below the current directory"
	case class == salvor.Forbidden:
		hint = "make it readable for this user"
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		class = salvor.Invalid
	}
	return salvor.Errorf(class, "%w", err).WithHint("%s", hint)
}

const byteOrderMark = "\ufeff"

// scan calls f for each line, trimmed, without its end (LF or CRLF) and
// without a byte order mark, which begins a line in the middle where files
// were put together. Blank lines are left out; comments are not,
// because cookie files hide cookies in them.
func scan(r io.Reader, bad *BadLines, f func(n int, text string)) error {
	br := bufio.NewReaderSize(r, 1<<16)
	if start, _ := br.Peek(2); len(start) == 2 && (start[0] == 0xff && start[1] == 0xfe || start[0] == 0xfe && start[1] == 0xff) {
		bad.add(1, "the file is UTF-16, not UTF-8")
		return nil
	}
	for n := 1; ; n++ {
		line, long, err := readLine(br)
		text := strings.TrimSpace(strings.TrimLeft(string(line), byteOrderMark))
		switch {
		case long:
			bad.add(n, "longer than %d bytes", maxLine)
		case !utf8.ValidString(text):
			bad.add(n, "not UTF-8")
		case strings.ContainsRune(text, 0):
			bad.add(n, "holds a NUL byte: no text file")
		case text != "":
			f(n, text)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return durable.Error(err, "read", bad.File)
		}
	}
}

// readLine reads to the end of a line but keeps no more than maxLine of it.
func readLine(br *bufio.Reader) (line []byte, long bool, err error) {
	for {
		part, err := br.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			long, line = true, line[:0]
		}
		if !long {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, long, err
		}
	}
}

func comment(text string) bool { return strings.HasPrefix(text, "#") }
