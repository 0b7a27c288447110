package scope

import (
	"regexp"
	"strings"

	"salvor"
	"salvor/crawler/canon"
)

// Kinds are what a value rule may tell apart: how a URL came to be known, and what
// its path's ending and its words say of it. Nothing is asked of a server: a
// script that answers with pictures is a page here.
var Kinds = []string{
	"seed", "sitemap", "page", "requisite", "guess", // how it is known
	"image", "thumbnail", "original", "video", "audio", "media", "document", "style", "script", "font", "data", // what it says it is
}

var endings = map[string][]string{
	"image":    {"jpg", "jpeg", "png", "gif", "webp", "avif", "svg", "bmp", "tif", "tiff", "heic", "ico", "jxl", "jfif"},
	"video":    {"mp4", "webm", "mkv", "mov", "avi", "mpg", "mpeg", "m4v", "flv", "wmv", "ogv", "3gp", "ts", "m3u8", "mpd"},
	"audio":    {"mp3", "ogg", "oga", "opus", "flac", "wav", "m4a", "aac", "wma", "mid", "mod"},
	"document": {"pdf", "doc", "docx", "odt", "rtf", "txt", "epub", "ps", "djvu", "xls", "xlsx", "ods", "csv", "ppt", "pptx", "odp"},
	"style":    {"css"},
	"script":   {"js", "mjs"},
	"font":     {"woff", "woff2", "ttf", "otf", "eot"},
	"data":     {"json", "xml", "zip", "gz", "tgz", "7z", "rar", "tar", "bz2", "xz", "iso"},
}

// small are the words by which hosts mark a picture that is there larger too:
// thumb, _t., /small/, 150x150, ?w=200, =s72.
var small = regexp.MustCompile(`(?i)(thumb|thmb|[/_.-]tn[/_.-]|[_-][tsq]\.[a-z]+$|[/_.-](small|mini|preview|icon|avatar|square)s?[/_.-]|\b\d{2,3}x\d{2,3}\b|[?&](w|h|width|height|size|resize)=\d{1,3}\b|[=/]s\d{2,3}(-[a-z]+)?(/|$))`)

func isKind(kind string, u canon.URL, c salvor.Class) bool {
	switch kind {
	case "seed":
		return c == salvor.ClassSeed
	case "sitemap":
		return c == salvor.ClassSitemap
	case "guess":
		return c == salvor.ClassSpeculative
	case "requisite":
		return c == salvor.ClassRequisite
	case "page":
		return c <= salvor.ClassPage && c != salvor.ClassSitemap && formOf(u) == ""
	case "media":
		f := formOf(u)
		return f == "image" || f == "video" || f == "audio"
	case "thumbnail":
		return formOf(u) == "image" && small.MatchString(u.Path)
	case "original":
		return formOf(u) == "image" && !small.MatchString(u.Path)
	}
	return formOf(u) == kind
}

// formOf is what the ending of a URL's path says; "" that of a page, or none.
func formOf(u canon.URL) string {
	path := pathOf(u)
	name := path[strings.LastIndexByte(path, '/')+1:]
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return ""
	}
	return forms[strings.ToLower(name[dot+1:])]
}

// forms is endings the other way round.
var forms = func() map[string]string {
	m := map[string]string{}
	for form, list := range endings {
		for _, e := range list {
			m[e] = form
		}
	}
	return m
}()
