package extract

import (
	"bytes"
	"strings"
)

// plain are the attributes whose value is a URL wherever they stand.
var plain = [...]struct {
	attr attrID
	kind Kind
}{
	{attrBackground, Requisite}, {attrPoster, Requisite}, {attrLowsrc, Requisite}, {attrDynsrc, Requisite},
	{attrCite, Page}, {attrLongdesc, Page},
}

// lazy are the attributes from which scripts fill in URLs later. Their values
// may be anything, so they must look like one.
var lazy = [...]struct {
	attr attrID
	kind Kind
}{
	{attrDataSrc, Requisite}, {attrDataOriginal, Requisite}, {attrDataLazySrc, Requisite}, {attrDataBg, Requisite},
	{attrDataPoster, Requisite}, {attrDataHref, Page}, {attrDataURL, Page},
}

var lazySets = [...]attrID{attrDataSrcset, attrDataOriginalSet, attrDataLazySrcset}

const (
	plainBits = 1<<attrBackground | 1<<attrPoster | 1<<attrLowsrc | 1<<attrDynsrc | 1<<attrCite | 1<<attrLongdesc | 1<<attrStyle
	lazyBits  = 1<<attrDataSrc | 1<<attrDataOriginal | 1<<attrDataLazySrc | 1<<attrDataBg | 1<<attrDataPoster |
		1<<attrDataHref | 1<<attrDataURL | 1<<attrDataSrcset | 1<<attrDataOriginalSet | 1<<attrDataLazySrcset
)

// element takes the links of the start tag at hand.
func (s *scan) element() {
	t := &s.tag
	if t.has == 0 {
		return
	}
	if t.id != tagOther {
		s.known()
	} else if t.has&(1<<attrXlinkHref) != 0 {
		s.attr(attrXlinkHref, Requisite)
	}
	if t.has&plainBits != 0 {
		for _, p := range plain {
			s.attr(p.attr, p.kind)
		}
		if v, ok := t.get(attrStyle); ok && bytes.IndexByte(v, '(') >= 0 {
			s.css(s.value(v), attrContexts)
		}
	}
	if t.has&lazyBits != 0 {
		s.lazy()
	}
}

// attr notes the URL in an attribute, if the tag has it.
func (s *scan) attr(a attrID, kind Kind) {
	if v, ok := s.tag.get(a); ok {
		s.ref(s.value(v), kind, contexts[s.tag.id][a])
	}
}

func (s *scan) set(a attrID) {
	if v, ok := s.tag.get(a); ok {
		s.srcset(s.value(v), contexts[s.tag.id][a])
	}
}

func (s *scan) known() {
	switch s.tag.id {
	case tagA, tagArea:
		s.attr(attrHref, Page)
		s.attr(attrXlinkHref, Page)
	case tagImg, tagSource, tagInput, tagImage, tagFeImage, tagUse:
		s.attr(attrSrc, Requisite)
		s.set(attrSrcset)
		s.attr(attrHref, Requisite)
		s.attr(attrXlinkHref, Requisite)
	case tagScript, tagVideo, tagAudio, tagTrack, tagEmbed, tagBgsound, tagFrame:
		s.attr(attrSrc, Requisite)
		s.attr(attrHref, Requisite)
		s.attr(attrXlinkHref, Requisite)
	case tagIframe:
		s.attr(attrSrc, Requisite)
		s.srcdoc()
	case tagLink:
		s.link()
	case tagMeta:
		s.meta()
	case tagBase:
		// That of a srcdoc document is not ours.
		if v, ok := s.tag.get(attrHref); ok && s.href == nil && s.depth == 0 {
			s.href = append([]byte{}, s.value(v)...)
		}
	case tagForm:
		// What is no method means GET.
		if m, _ := s.tag.get(attrMethod); !equalFold(trim(m), "post") && !equalFold(trim(m), "dialog") {
			s.attr(attrAction, Page)
		}
	case tagObject, tagApplet:
		s.object()
	case tagHTML:
		s.attr(attrManifest, Requisite)
	case tagParam:
		s.param()
	}
}

// lazy takes what a script would load later.
func (s *scan) lazy() {
	for _, l := range lazy {
		if v, ok := s.tag.get(l.attr); ok {
			if v = s.value(v); looksLikeURL(v) {
				s.ref(v, l.kind, contexts[s.tag.id][l.attr])
			}
		}
	}
	for _, a := range lazySets {
		s.set(a)
	}
}

// looksLikeURL tells a reference from the other things that data attributes hold.
func looksLikeURL(v []byte) bool {
	v = trim(v)
	if len(v) < 3 || len(v) > 4096 || bytes.ContainsAny(v, " \t\n\r<>{}\"") {
		return false
	}
	return bytes.IndexByte(v, '/') >= 0 || bytes.IndexByte(v, '.') > 0
}

// object resolves against its codebase.
func (s *scan) object() {
	codebase, _ := s.tag.get(attrCodebase)
	codebase = trim(s.value(codebase))
	for _, a := range [...]attrID{attrData, attrCode, attrArchive} {
		v, ok := s.tag.get(a)
		if !ok {
			continue
		}
		if a != attrArchive {
			s.ref(join(codebase, trim(s.value(v))), Requisite, contexts[s.tag.id][a])
			continue
		}
		for _, part := range bytes.FieldsFunc(s.value(v), func(r rune) bool { return r == ',' || r <= ' ' }) {
			s.ref(join(codebase, part), Requisite, contexts[s.tag.id][a])
		}
	}
}

// join puts a relative reference behind a codebase.
func join(codebase, v []byte) []byte {
	if len(codebase) == 0 || len(v) == 0 || v[0] == '/' || bytes.IndexByte(v, ':') >= 0 {
		return v
	}
	out := append([]byte{}, codebase...)
	if out[len(out)-1] != '/' {
		out = append(out, '/')
	}
	return append(out, v...)
}

// param is how a plug-in learns its film.
func (s *scan) param() {
	name, _ := s.tag.get(attrName)
	switch string(bytes.ToLower(name)) {
	case "src", "movie", "filename", "url", "flashvars.src":
		s.attr(attrValue, Requisite)
	}
}

// srcdoc is a document in an attribute.
func (s *scan) srcdoc() {
	v, ok := s.tag.get(attrSrcdoc)
	if !ok || s.depth >= 2 {
		return
	}
	inner, outer := append([]byte{}, s.value(v)...), s.tag
	dec := s.dec
	s.depth++
	s.dec.enc = nil // it was decoded with the attribute
	s.html(inner)
	s.depth--
	s.tag, s.dec = outer, dec
}

// meta takes refreshes and the pictures that stand for the page elsewhere.
func (s *scan) meta() {
	content, ok := s.tag.get(attrContent)
	if !ok {
		return
	}
	if v, ok := s.tag.get(attrHTTPEquiv); ok {
		if equalFold(trim(v), "refresh") {
			if url, delay, ok := parseRefresh(s.value(content)); ok {
				s.ref(url, refreshKind(delay), "meta/@content refresh")
			}
		}
		return
	}
	for _, a := range [...]attrID{attrProperty, attrName, attrItemprop} {
		if v, ok := s.tag.get(a); ok {
			if context, ok := metaMedia[strings.ToLower(string(trim(v)))]; ok {
				if v = s.value(content); !equalFold(trim(v), "none") { // as msapplication-config says it
					s.ref(v, Requisite, context)
				}
				return
			}
		}
	}
}

// metaMedia are the names of meta elements whose content is a picture or film.
var metaMedia = func() map[string]string {
	m := map[string]string{}
	for _, name := range []string{
		"og:image", "og:image:url", "og:image:secure_url", "og:video", "og:video:url", "og:video:secure_url",
		"og:audio", "og:audio:url", "og:audio:secure_url", "twitter:image", "twitter:image:src",
		"twitter:player:stream", "image", "thumbnail", "thumbnailurl", "msapplication-tileimage",
		"msapplication-square70x70logo", "msapplication-square150x150logo", "msapplication-square310x310logo",
		"msapplication-wide310x150logo", "msapplication-config",
	} {
		m[name] = "meta/@content " + name
	}
	return m
}()
