package warc

import (
	"mime"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// recordTypes says which fields a type must (+) and must not (-) have
// (WARC 1.1, 5 and 6).
var recordTypes = map[string][]string{
	"warcinfo":     {"-WARC-Target-URI", "-WARC-Concurrent-To", "-WARC-Refers-To", "-WARC-Profile", "-WARC-IP-Address", "-WARC-Warcinfo-ID"},
	"response":     {"+WARC-Target-URI", "-WARC-Refers-To", "-WARC-Filename", "-WARC-Profile"},
	"resource":     {"+WARC-Target-URI", "-WARC-Refers-To", "-WARC-Filename", "-WARC-Profile"},
	"request":      {"+WARC-Target-URI", "-WARC-Refers-To", "-WARC-Filename", "-WARC-Profile"},
	"metadata":     {"-WARC-Filename", "-WARC-Profile"},
	"revisit":      {"+WARC-Target-URI", "+WARC-Profile", "-WARC-Filename"},
	"conversion":   {"+WARC-Target-URI", "-WARC-Concurrent-To", "-WARC-Filename", "-WARC-Profile", "-WARC-IP-Address"},
	"continuation": {"+WARC-Target-URI", "+WARC-Segment-Number", "+WARC-Segment-Origin-ID", "-WARC-Concurrent-To", "-WARC-Refers-To", "-WARC-Filename", "-WARC-Profile", "-WARC-IP-Address"},
}

// fieldKinds says what a known field's value looks like.
var fieldKinds = map[string]func(string) bool{
	"warc-record-id":               isBracketedURI,
	"warc-concurrent-to":           isBracketedURI,
	"warc-refers-to":               isBracketedURI,
	"warc-warcinfo-id":             isBracketedURI,
	"warc-segment-origin-id":       isBracketedURI,
	"warc-date":                    isDate,
	"warc-refers-to-date":          isDate,
	"warc-target-uri":              isTarget,
	"warc-refers-to-target-uri":    isTarget,
	"warc-profile":                 isURI,
	"warc-ip-address":              isAddress,
	"warc-block-digest":            isDigest,
	"warc-payload-digest":          isDigest,
	"content-type":                 isMediaType,
	"warc-identified-payload-type": isMediaType,
	"warc-segment-number":          isCount,
	"warc-segment-total-length":    isCount,
	"content-length":               isCount,
	"warc-truncated":               isToken,
	"warc-filename":                func(v string) bool { return v != "" },
	"warc-type":                    isToken,
}

// repeatable fields may stand more than once; WARC-Protocol by the proposal
// iipc/warc-specifications#42.
var repeatable = map[string]bool{"warc-concurrent-to": true, "warc-protocol": true}

// versions that were standards or widely written drafts.
var versions = map[string]bool{"WARC/0.17": true, "WARC/0.18": true, "WARC/1.0": true, "WARC/1.1": true}

// checkHeader reports what is wrong with a record's header.
func checkHeader(rec *Record, problem func(format string, args ...any)) {
	if !versions[strings.ToUpper(rec.Version)] {
		problem("version is %.40q", rec.Version)
	}
	seen := make(map[string]bool)
	for _, f := range rec.Fields {
		name := strings.ToLower(f.Name)
		if seen[name] && !repeatable[name] && fieldKinds[name] != nil {
			problem("field %s stands more than once", f.Name)
		}
		seen[name] = true
		if ok := fieldKinds[name]; ok != nil && !ok(f.Value) {
			problem("field %s has the value %.100q", f.Name, f.Value)
		}
		if !isToken(f.Name) {
			problem("field name %.80q is not a token", f.Name)
		}
	}
	for _, name := range []string{"WARC-Record-ID", "WARC-Date", "WARC-Type", "Content-Length"} {
		if !seen[strings.ToLower(name)] {
			problem("field %s is missing", name)
		}
	}
	checkType(rec, seen, problem)
}

func checkType(rec *Record, seen map[string]bool, problem func(format string, args ...any)) {
	typ := strings.ToLower(rec.Get("WARC-Type"))
	rules, known := recordTypes[typ]
	if !known && typ != "" {
		problem("record type %.40q is not known", typ)
	}
	for _, rule := range rules {
		name := rule[1:]
		switch has := seen[strings.ToLower(name)]; {
		case rule[0] == '+' && !has:
			problem("field %s is missing in a %s record", name, typ)
		case rule[0] == '-' && has:
			problem("field %s must not stand in a %s record", name, typ)
		}
	}
	if rec.Length > 0 && typ != "continuation" && !seen["content-type"] {
		problem("field Content-Type is missing")
	}
	if ct := rec.Get("Content-Type"); ct != "" && !fits(strings.ToLower(typ), strings.ToLower(ct)) {
		problem("a %.40s record has the content type %.80q", typ, ct)
	}
	checkSegments(rec, typ, seen, problem)
}

// fits knows the content types that contradict a record's type (WARC 1.1, 6.2,
// and the msgtype parameter of RFC 9112, 10.2).
func fits(typ, ct string) bool {
	switch full := declaredType([]byte(ct)); {
	case typ == "warcinfo":
		return full == "application/warc-fields"
	case typ != "response" && typ != "request" || full != "application/http":
		return true
	}
	_, params, err := mime.ParseMediaType(ct)
	return err == nil && (params["msgtype"] == "" || params["msgtype"] == typ)
}

// checkSegments follows WARC 1.1, 5.18-5.20: the first segment has number 1,
// continuations have higher ones.
func checkSegments(rec *Record, typ string, seen map[string]bool, problem func(format string, args ...any)) {
	if !seen["warc-segment-number"] {
		return
	}
	n, _ := strconv.ParseInt(rec.Get("WARC-Segment-Number"), 10, 64)
	switch {
	case typ == "continuation" && n < 2:
		problem("a continuation has segment number %d", n)
	case typ != "continuation" && n != 1:
		problem("a %s record has segment number %d", typ, n)
	}
}

func isBracketedURI(v string) bool {
	return len(v) > 2 && v[0] == '<' && v[len(v)-1] == '>' && isURI(v[1:len(v)-1])
}

// isURI is lenient about characters: spaces are the only ones that break
// other tools.
func isURI(v string) bool {
	scheme, rest, ok := strings.Cut(v, ":")
	if !ok || rest == "" || strings.ContainsAny(v, " \t<>") {
		return false
	}
	u, err := url.Parse(scheme + ":")
	return err == nil && u.Scheme != ""
}

// isTarget takes angle brackets too: the grammar of WARC 1.0 had them, and
// wget writes them.
func isTarget(v string) bool { return isURI(v) || isBracketedURI(v) }

func isDate(v string) bool {
	v = strings.ToUpper(v) // RFC 3339, 5.6 allows either case
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04Z", "2006-01-02T15Z", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(layout, v); err == nil {
			return t.Year() > 0 && (len(v) < 11 || v[len(v)-1] == 'Z')
		}
	}
	return false
}

func isAddress(v string) bool {
	_, err := netip.ParseAddr(v)
	return err == nil
}

func isDigest(v string) bool {
	alg, text, ok := strings.Cut(v, ":")
	return ok && isToken(alg) && text != "" && !strings.ContainsAny(text, " \t:")
}

func isMediaType(v string) bool {
	full, params, _ := strings.Cut(v, ";")
	return mediaType(strings.TrimSpace(full)) != "" && !strings.ContainsAny(params, "\x00")
}

func isCount(v string) bool {
	n, err := strconv.ParseInt(v, 10, 64)
	return err == nil && n >= 0 && v[0] != '+'
}

func isToken(v string) bool { return cleanName([]byte(v)) }
