package access

import (
	"bytes"
	"strings"

	"salvor"
	"salvor/warc/cdx"
	"salvor/warc/cdx/index"
)

// Match is which captures a query means, beside those of its URL.
type Match string

// The kinds of Match, as pywb's matchType and OutbackCDX' have them.
const (
	MatchExact  Match = "exact"  // the URL's key
	MatchPrefix Match = "prefix" // all keys that begin with it
	MatchHost   Match = "host"   // its host
	MatchDomain Match = "domain" // its host and the hosts below that
	MatchRange  Match = "range"  // its key and all that come after it
	MatchAll    Match = "all"    // everything
)

func exactSpan(key string) index.Span {
	return index.Span{From: []byte(key + " "), To: []byte(key + "!")}
}

// span is the part of the index that a query is about. A star in the URL says the
// match too: *.example.org is a domain, http://example.org/a* a prefix.
func span(url string, m Match) (index.Span, error) {
	if m == "" {
		url, m = starred(url)
	}
	key := cdx.SURT(url)
	host, _, _ := strings.Cut(key, ")")
	switch m {
	case MatchAll:
		return index.Span{}, nil
	case MatchExact:
		return exactSpan(key), nil
	case MatchPrefix:
		if strings.HasSuffix(url, "/") && !strings.HasSuffix(key, "/") {
			key += "/" // a key has none at its end
		}
		return index.Span{From: []byte(key), To: after([]byte(key))}, nil
	case MatchHost:
		return index.Span{From: []byte(host + ")"), To: []byte(host + "*")}, nil
	case MatchDomain:
		return index.Span{From: []byte(host + ")"), To: []byte(host + "-")}, nil // ")" and "," come before "-"
	case MatchRange:
		return index.Span{From: []byte(key + " ")}, nil
	}
	return index.Span{}, salvor.Errorf(salvor.Invalid, "matchType is %.40q", m).WithHint("it is one of exact, prefix, host, domain, range")
}

func starred(url string) (string, Match) {
	if rest, ok := strings.CutPrefix(url, "*."); ok {
		return rest, MatchDomain
	}
	if rest, ok := strings.CutSuffix(url, "*"); ok {
		return rest, MatchPrefix
	}
	return url, MatchExact
}

// after is the first text that comes after all that begin with b.
func after(b []byte) []byte {
	b = bytes.Clone(b)
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			return b[:i+1]
		}
	}
	return nil
}
