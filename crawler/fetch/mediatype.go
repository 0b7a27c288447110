package fetch

import (
	"io"
	"net/http"
	"strings"
)

// declared is the media type and charset the header names, lower case, or ""
// where it names none that can be one.
func declared(h Header) (kind, charset string) {
	kind, params, _ := strings.Cut(h.Get("Content-Type"), ";")
	kind, _, _ = strings.Cut(kind, ",")
	kind = strings.ToLower(strings.Trim(kind, " \t"))
	major, minor, ok := strings.Cut(kind, "/")
	if !ok || major == "" || minor == "" || major == "*" || strings.ContainsFunc(major+minor, notToken) {
		kind = ""
	}
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if strings.EqualFold(strings.Trim(name, " \t"), "charset") {
			return kind, strings.ToLower(strings.Trim(value, " \t\"'"))
		}
	}
	return kind, ""
}

// vague reports types that say no more than "some bytes" (WHATWG MIME
// Sniffing 7 and what servers use instead).
func vague(kind string) bool {
	switch kind {
	case "", "application/octet-stream", "binary/octet-stream", "application/unknown", "unknown/unknown",
		"application/x-download", "application/force-download", "application/binary":
		return true
	}
	return false
}

// sniff is the type the first bytes look like, or "".
func sniff(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	kind, _, _ := strings.Cut(http.DetectContentType(b), ";")
	if kind == "application/octet-stream" {
		return ""
	}
	return kind
}

// linkTypes are media types that can hold links and are scanned for them, by
// minor type; everything ending in +xml or +json is one too.
var linkTypes = map[string]bool{
	"text/html": true, "application/xhtml+xml": true, "text/xml": true, "application/xml": true,
	"text/css": true, "text/plain": true, "text/uri-list": true, "text/vtt": true, "text/markdown": true,
	"application/json": true, "text/json": true, "application/ld+json": true, "application/x-json": true,
	"application/javascript": true, "text/javascript": true, "application/x-javascript": true,
	"text/ecmascript": true, "application/ecmascript": true,
	"application/rss": true, "application/x-rss+xml": true, "text/rss": true, "text/opml": true, "text/x-opml": true,
	"application/vnd.apple.mpegurl": true, "application/x-mpegurl": true, "audio/mpegurl": true, "audio/x-mpegurl": true,
	"multipart/related": true, "text/x-component": true, "application/vnd.wap.xhtml+xml": true,
}

func holdsLinks(kind string) bool {
	return linkTypes[kind] || strings.HasSuffix(kind, "+xml") || strings.HasSuffix(kind, "+json")
}

// packedList reports a sitemap stored as a gzip file (sitemaps.org, "gzip").
func packedList(url, kind string) bool {
	switch kind {
	case "", "application/gzip", "application/x-gzip", "application/octet-stream", "text/xml", "application/xml":
		path, _, _ := strings.Cut(url, "?")
		path = strings.ToLower(path)
		return strings.HasSuffix(path, ".xml.gz") || strings.HasSuffix(path, ".txt.gz")
	}
	return false
}

// unpackedList is the type inside such a file.
func unpackedList(url string) string {
	path, _, _ := strings.Cut(url, "?")
	if strings.HasSuffix(strings.ToLower(path), ".txt.gz") {
		return "text/plain"
	}
	return "application/xml"
}

// identify sets Type, ViewType and ViewCharset.
func (c *Capture) identify(maxView int64) {
	c.view.max = maxView
	if c.PayloadLen == 0 {
		return
	}
	kind, charset := declared(c.Header)
	c.Type = kind
	if list := packedList(c.URL, kind); list || vague(kind) {
		head := c.peekEntity(512)
		if list && isGzip(head) {
			c.Type, c.ViewType, c.ViewCharset = "application/gzip", unpackedList(c.URL), charset
			c.view.packed = true
			return
		}
		if found := sniff(head); found != "" && vague(kind) {
			c.Type = found
		}
	}
	if holdsLinks(c.Type) {
		c.ViewType, c.ViewCharset = c.Type, charset
	}
}

// peekEntity is the begin of the entity, its content coding removed.
func (c *Capture) peekEntity(n int) []byte {
	r, done := c.decoded(func(string) {})
	defer done()
	b := make([]byte, n)
	n, _ = io.ReadFull(r, b) // what cannot be decoded is not known either
	return b[:n]
}
