package canon

import (
	"errors"
	"strconv"
	"strings"

	"salvor"
)

// Parse gives an absolute URL its canonical form. Its error says what a person
// can do about it.
func Parse(raw string) (URL, error) {
	if scheme, rest, _ := strings.Cut(raw, ":"); (scheme == "http" || scheme == "https") && strings.HasPrefix(rest, "//") && len(raw) <= MaxLen {
		if u, err, ok := fastAbsolute(scheme, rest); ok && err == nil {
			return u, nil
		}
	}
	u, err := parse(raw, nil)
	if err != nil {
		return URL{}, explain(raw, err)
	}
	return u, nil
}

// ParseSeed is Parse for what people type. Without a scheme it adds https://,
// or http:// where the port is 80, provided that the text looks like a host: it
// has a dot, a port or a slash, or is "localhost".
func ParseSeed(raw string) (URL, error) {
	s := strings.TrimSpace(raw)
	if s == "" {
		return URL{}, salvor.Errorf(salvor.Invalid, "empty URL").WithHint("name a URL, for example https://example.org/")
	}
	if hasScheme(s) {
		return Parse(s)
	}
	host, rest := s, ""
	if i := strings.IndexAny(s, "/?#\\"); i >= 0 {
		host, rest = s[:i], s[i:]
	}
	if !looksLikeHost(host, rest) {
		return URL{}, explain(raw, ErrInvalid)
	}
	scheme := "https://"
	if strings.HasSuffix(host, ":80") {
		scheme = "http://"
	}
	u, err := parse(scheme+s, nil)
	if err != nil {
		return URL{}, explain(raw, err)
	}
	return u, nil
}

// hasScheme tells "http:x" from "host:8080/x".
func hasScheme(s string) bool {
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !isScheme(scheme) {
		return false
	}
	if strings.HasPrefix(rest, "//") {
		return true
	}
	port, _, _ := strings.Cut(rest, "/")
	port, _, _ = strings.Cut(port, "?")
	port, _, _ = strings.Cut(port, "#")
	_, err := strconv.ParseUint(port, 10, 32)
	return err != nil
}

func isScheme(s string) bool {
	for i := range len(s) {
		if class[s[i]]&schemeByte == 0 {
			return false
		}
	}
	return s != "" && isAlpha(s[0])
}

func looksLikeHost(host, rest string) bool {
	switch {
	case host == "" || strings.ContainsAny(host, " \t"):
		return false
	case host == "http" || host == "https": // http//example.org
		return false
	case strings.HasPrefix(host, "."): // a path
		return false
	}
	return host == "localhost" || strings.ContainsAny(host, ".:") || rest != ""
}

// explain turns what is wrong into one line with its remedy.
func explain(raw string, err error) error {
	shown := strconv.QuoteToGraphic(raw)
	if len(raw) > 200 {
		shown = strconv.QuoteToGraphic(raw[:200]) + "..."
	}
	e := salvor.Errorf(salvor.Invalid, "%w: %s", err, shown)
	switch {
	case errors.Is(err, ErrTooLong):
		return e.WithHint("URLs up to %d bytes are taken; this one has %d", MaxLen, len(raw))
	case errors.Is(err, ErrScheme):
		return e.WithHint("only http:// and https:// URLs can be saved")
	}
	return e.WithHint("write it in full, for example https://example.org/page")
}
