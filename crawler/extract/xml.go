package extract

import (
	"bytes"

	"salvor/crawler/robots"
)

// xmlDocument looks through XML by its root element.
func (s *scan) xmlDocument(b []byte) {
	s.xml = true
	switch root(b) {
	case "urlset":
		s.elements(b, sitemapLink)
	case "sitemapindex":
		s.elements(b, indexLink)
	case "rss", "feed", "rdf":
		s.elements(b, feedLink)
	default: // XHTML, SVG and what has links as they have
		s.html(b)
	}
}

// isList reports whether a root element is that of a sitemap or feed.
func isList(root string) bool {
	switch root {
	case "urlset", "sitemapindex", "rss", "feed", "rdf":
		return true
	}
	return false
}

// root is the local name of the first element, in lower case.
func root(b []byte) string {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 || i+n+1 >= len(b) {
			return ""
		}
		i += n + 1
		switch c := b[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			end := i
			for end < len(b) && ends[b[end]]&endsName == 0 {
				end++
			}
			return string(bytes.ToLower(local(b[i:end])))
		case bytes.HasPrefix(b[i:], []byte("!--")):
			i = comment(b, i+3)
		default:
			i = after(b, i, '>')
		}
		if i < 0 {
			return ""
		}
	}
}

// local is a name without its prefix.
func local(name []byte) []byte {
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		return name[i+1:]
	}
	return name
}

// elements calls link for each start tag with the text after it.
func (s *scan) elements(b []byte, link func(s *scan, text func() []byte)) {
	for i := 0; ; {
		n := bytes.IndexByte(b[i:], '<')
		if n < 0 || i+n+1 >= len(b) {
			return
		}
		i += n + 1
		switch c := b[i]; {
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			if i = s.tag.readTag(b, i); i > 0 {
				from := i
				link(s, func() []byte { return s.content(b[from:]) })
			}
		case c == '!':
			i = s.markup(b, i+1)
		default:
			i = after(b, i, '>')
		}
		if i < 0 {
			return
		}
	}
}

// content is an element's text, up to the next tag.
func (s *scan) content(b []byte) []byte {
	b = bytes.TrimLeft(b, " \t\r\n")
	if bytes.HasPrefix(b, []byte("<![CDATA[")) {
		text, _, _ := bytes.Cut(b[len("<![CDATA["):], cdataEnd)
		return s.text(text)
	}
	if i := bytes.IndexByte(b, '<'); i >= 0 {
		b = b[:i]
	}
	return s.value(trim(b))
}

// sitemapLink reads https://www.sitemaps.org/protocol.html and its extensions
// for images, videos and translations.
func sitemapLink(s *scan, text func() []byte) {
	switch name := s.tag.name; string(name) {
	case "loc":
		s.ref(text(), Page, "urlset/loc")
	case "image:loc", "video:content_loc", "video:thumbnail_loc", "video:player_loc":
		s.ref(text(), Requisite, "urlset/media")
	default:
		switch string(local(name)) {
		case "link":
			s.attr(attrHref, Page)
		case "loc": // a sitemap with prefixes throughout
			s.ref(text(), Page, "urlset/loc")
		}
	}
}

func indexLink(s *scan, text func() []byte) {
	if string(local(s.tag.name)) == "loc" {
		s.ref(text(), Sitemap, "sitemapindex/loc")
	}
}

// feedLink reads RSS 0.9 to 2.0 with its common modules, and Atom (RFC 4287).
func feedLink(s *scan, text func() []byte) {
	switch string(local(s.tag.name)) {
	case "link":
		if s.tag.has&(1<<attrHref) != 0 {
			s.atomLink()
			return
		}
		s.ref(text(), Page, "feed/link")
	case "comments", "docs":
		s.webRef(text(), Page, "feed/comments")
	case "guid", "id":
		s.webRef(text(), Page, "feed/guid")
	case "url", "logo", "icon":
		s.webRef(text(), Requisite, "feed/image")
	case "enclosure", "content", "thumbnail", "player":
		s.attr(attrURL, Requisite)
		s.attr(attrSrc, Requisite)
	case "image":
		s.attr(attrHref, Requisite)
	}
}

// webRef notes a text only if it is an absolute URL: elsewhere it may be
// anything.
func (s *scan) webRef(text []byte, kind Kind, context string) {
	if bytes.HasPrefix(text, []byte("http://")) || bytes.HasPrefix(text, []byte("https://")) {
		s.ref(text, kind, context)
	}
}

func (s *scan) atomLink() {
	rel, _ := s.tag.get(attrRel)
	switch string(trim(rel)) {
	case "self", "hub", "edit", "edit-media", "service.post", "license":
	case "next", "prev", "previous", "first", "last", "prev-archive", "next-archive", "current":
		s.attr(attrHref, Feed)
	case "enclosure", "icon":
		s.attr(attrHref, Requisite)
	default:
		s.attr(attrHref, Page)
	}
}

// textSitemap reads one URL a line.
func (s *scan) textSitemap(b []byte) {
	for line := range bytes.Lines(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))) {
		s.webRef(trim(line), Page, "sitemap/line")
	}
}

// robots takes the Sitemap lines of a robots.txt.
func (s *scan) robots(b []byte) {
	if s.doc.Status != 0 && (s.doc.Status < 200 || s.doc.Status > 299) {
		return
	}
	for _, u := range robots.Parse(b).Sitemaps() {
		s.ref([]byte(u), Sitemap, "robots.txt/Sitemap")
	}
}
