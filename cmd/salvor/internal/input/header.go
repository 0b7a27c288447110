package input

import (
	"io"
	"slices"
	"strings"

	"salvor"
	"salvor/cmd/salvor/internal/job"
)

// reserved are the headers that the transport sets itself: another value
// would break the exchange or its record.
var reserved = []string{"connection", "content-length", "host", "proxy-authorization", "te", "trailer", "transfer-encoding", "upgrade", "user-agent", "cookie", "accept-encoding"}

var reservedHint = map[string]string{
	"user-agent":          "use --user-agent",
	"cookie":              "use --cookies FILE: they go only to the hosts they belong to",
	"proxy-authorization": "write the name and the password into --proxy",
}

// Header reads "Name: value" (RFC 9110 5).
func Header(s string) (job.Header, error) {
	name, value, ok := strings.Cut(s, ":")
	value = strings.Trim(value, " \t")
	switch {
	case !ok:
		return job.Header{}, salvor.Errorf(salvor.Invalid, "a header without a colon").WithHint(`write "Name: value"`)
	case !token(name):
		return job.Header{}, salvor.Errorf(salvor.Invalid, "%q is no header name", shorten(name)).WithHint(`write "Name: value"`)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return job.Header{}, salvor.Errorf(salvor.Invalid, "the value of header %s has a control character", name).WithHint("remove it")
	case slices.Contains(reserved, strings.ToLower(name)):
		hint := reservedHint[strings.ToLower(name)]
		if hint == "" {
			hint = "leave it out"
		}
		return job.Header{}, salvor.Errorf(salvor.Invalid, "the header %s cannot be set", name).WithHint("%s", hint)
	}
	return job.Header{Name: name, Value: job.Secret(value)}, nil
}

// Headers reads one header a line, with comments.
func Headers(r io.Reader, file string) ([]job.Header, error) {
	bad := &BadLines{File: file}
	var out []job.Header
	err := scan(r, bad, func(n int, text string) {
		if comment(text) {
			return
		}
		h, err := Header(text)
		if err != nil {
			bad.add(n, "%v (%s)", err, salvor.HintOf(err))
			return
		}
		out = append(out, h)
	})
	if err != nil {
		return nil, err
	}
	return out, bad.err(`one "Name: value" a line; # begins a comment`)
}

// WARCHeader reads "name: value", a further field of each warcinfo record.
func WARCHeader(s string) ([2]string, error) {
	name, value, ok := strings.Cut(s, ":")
	value = strings.Trim(value, " \t")
	if !ok || !token(name) || strings.ContainsAny(value, "\r\n\x00") {
		return [2]string{}, salvor.Errorf(salvor.Invalid, "%q is no warcinfo field", shorten(s)).WithHint(`write "name: value", in one line`)
	}
	return [2]string{name, value}, nil
}

// token is RFC 9110 5.6.2.
func token(s string) bool {
	if s == "" {
		return false
	}
	for _, c := range []byte(s) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return true
}
