package extract

import (
	"bytes"
	"strings"

	"salvor/crawler/canon"
)

// Links emits every link of a document, headers first, then in the order of
// their places. It calls emit on the caller's goroutine.
func Links(d Document, emit func(Link)) Info {
	base, err := canon.NewBase(d.Base)
	if err != nil {
		return Info{}
	}
	s := scans.Get().(*scan)
	s.doc, s.emit, s.base = d, emit, base
	s.headers()
	s.flush()
	s.seen.reset() // the same text may mean another URL under a <base>
	if len(d.Body) > 0 {
		s.body()
	}
	s.flush()
	info := s.info
	s.release()
	return info
}

// body looks through the entity by its type. Types are often wrong about XML,
// so what begins as a sitemap or feed is one.
func (s *scan) body() {
	typ := strings.ToLower(s.doc.Type)
	typ, _, _ = strings.Cut(typ, ";")
	typ = strings.TrimSpace(typ)
	switch {
	case s.doc.Robots || isRobots(s.base.URL()):
		s.robots(s.doc.Body)
	case typ == "text/css":
		s.css(s.charset(s.doc.Body, false), cssContexts)
	case typ == "text/html" && looksXML(s.doc.Body) && isList(root(s.doc.Body)):
		s.xmlDocument(s.charset(s.doc.Body, true))
	case typ == "text/html" || typ == "application/xhtml+xml":
		s.xml = typ != "text/html"
		s.html(s.charset(s.doc.Body, true))
		s.info.Charset = s.dec.label()
	case isXMLType(typ) || looksXML(s.doc.Body):
		s.xmlDocument(s.charset(s.doc.Body, true))
	case typ == "text/plain" && (s.doc.List || strings.Contains(strings.ToLower(s.base.URL().Path), "sitemap")):
		s.textSitemap(s.doc.Body)
	case typ == "" && bytes.HasPrefix(trim(s.doc.Body), []byte("<")):
		s.html(s.charset(s.doc.Body, true))
	}
}

func isRobots(u canon.URL) bool {
	path, _, _ := strings.Cut(u.Path, "?")
	return path == "/robots.txt"
}

func isXMLType(t string) bool {
	return t == "text/xml" || t == "application/xml" || strings.HasSuffix(t, "+xml")
}

// looksXML reports whether a body of another type is a sitemap or feed.
func looksXML(b []byte) bool {
	b = trim(bytes.TrimPrefix(b[:min(len(b), 512)], []byte("\xef\xbb\xbf")))
	for _, p := range []string{"<?xml", "<urlset", "<sitemapindex", "<rss", "<feed"} {
		if len(b) >= len(p) && string(b[:len(p)]) == p {
			return true
		}
	}
	return false
}

// HasLinks reports whether documents of a media type are looked through: what
// others hold is not worth keeping in memory.
func HasLinks(typ string) bool {
	typ, _, _ = strings.Cut(strings.ToLower(typ), ";")
	switch typ = strings.TrimSpace(typ); typ {
	case "", "text/html", "text/css", "text/plain":
		return true
	}
	return isXMLType(typ)
}
