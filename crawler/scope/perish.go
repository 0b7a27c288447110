package scope

import (
	"strconv"
	"strings"
)

// expiries are parameters of a query that say until when its URL is good, in the
// schemes of the large object stores and CDNs, and how their values look: a moment
// in Unix seconds, or anything beside a signature.
var expiries = []struct {
	name string
	unix bool
}{
	{"x-amz-expires", false}, {"x-goog-expires", false}, {"expires", true}, {"exp", true}, {"e", true}, {"expiry", true},
	{"se", false}, {"hdnts", false}, {"hdnea", false}, {"oe", false},
}

// signatures are parameters one of which a signed URL has.
var signatures = []string{
	"x-amz-signature", "x-goog-signature", "signature", "sig", "sign", "hmac", "hash", "token", "md5", "policy", "oh", "hdnts", "hdnea",
}

// perishes says whether a URL is signed and good for some time only: an hour
// later it is an error, whatever becomes of the site. Such a URL is fetched before
// everything else. What it is given is path and query.
func perishes(path string) bool {
	_, query, ok := strings.Cut(path, "?")
	if !ok || len(query) < len("exp=1700000000") {
		return false
	}
	ends, signed := false, false
	for pair := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		if len(name) > len("x-goog-signature") || value == "" {
			continue
		}
		name = strings.ToLower(name)
		for _, e := range expiries {
			ends = ends || name == e.name && (!e.unix || moment(value))
		}
		for _, s := range signatures {
			signed = signed || name == s
		}
	}
	return ends && signed
}

// moment says whether a text is a moment in Unix seconds, of 2001 to 2096.
func moment(s string) bool {
	n, err := strconv.ParseInt(s, 10, 64)
	return err == nil && n >= 1_000_000_000 && n < 4_000_000_000
}
