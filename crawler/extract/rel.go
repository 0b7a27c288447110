package extract

import (
	"bytes"
	"strings"
)

// linkRel is what a link element or Link header says of its URL.
type linkRel struct {
	rel, typ, as, imagesrcset []byte
}

// link takes a link element.
func (s *scan) link() {
	t := &s.tag
	l := linkRel{}
	l.rel, _ = t.get(attrRel)
	l.typ, _ = t.get(attrType)
	l.as, _ = t.get(attrAs)
	l.rel = s.value(l.rel)
	if kind, ok := l.kind(); ok {
		s.attr(attrHref, kind)
	}
	s.set(attrImagesrcset)
}

// kind is what the link is for; false means that nothing lies there to fetch.
// What shows the page wins over what leads away from it.
func (l *linkRel) kind() (Kind, bool) {
	found, ok := Page, len(trim(l.rel)) == 0
	for _, rel := range bytes.Fields(l.rel) {
		kind, here := relKind(strings.ToLower(string(rel)), l)
		if here && (!ok || kind == Requisite) {
			found, ok = kind, true
		}
	}
	return found, ok
}

// relKind knows the registered relations that are not plain pages
// (https://html.spec.whatwg.org/#linkTypes, RFC 8288 and common practice).
func relKind(rel string, l *linkRel) (Kind, bool) {
	switch rel {
	case "stylesheet", "icon", "shortcut", "apple-touch-icon", "apple-touch-icon-precomposed", "mask-icon", "fluid-icon",
		"apple-touch-startup-image", "preload", "modulepreload", "manifest", "image_src", "stylesheet/less":
		return Requisite, true
	case "prefetch":
		if len(l.as) > 0 && !equalFold(trim(l.as), "document") {
			return Requisite, true
		}
		return Page, true
	case "alternate":
		if t := strings.ToLower(string(trim(l.typ))); strings.HasPrefix(t, "application/rss+xml") ||
			strings.HasPrefix(t, "application/atom+xml") || strings.HasPrefix(t, "application/rdf+xml") {
			return Feed, true
		}
		return Page, true
	case "sitemap":
		return Sitemap, true
	case "preconnect", "dns-prefetch", "pingback", "webmention", "edituri", "wlwmanifest", "expect", "hub", "noopener", "noreferrer", "nofollow":
		return 0, false
	}
	return Page, true
}
