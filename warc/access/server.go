package access

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"salvor"
	"salvor/api/webjson"
)

// Server answers researchers, for one or more collections:
//
//	GET /COLL/cdx?url=...                     the CDX server API
//	GET /COLL/TIMESTAMPid_/URL                a capture as it was answered
//	GET /COLL/URL                             the TimeGate of URL (RFC 7089)
//	GET /COLL/timemap/link|json|cdxj/URL      its TimeMap
//	GET /COLL/warc/FILE                       a WARC file, or a range of it
//	GET /COLL/record/urn:uuid:...             a record by its id
//	GET /COLL/wasapi/v1/webdata               the WARC files, for partners (WASAPI)
//	GET /COLL/                                a page to search
//
// Paths are pywb's, so that what knows those knows these.
type Server struct {
	Prefix      string               // of all paths, "/archive" say; "" none
	Collections func() []*Collection // that there are now
	// May says whether somebody may see a collection; nil lets everybody.
	May func(r *http.Request, c *Collection) error
	// Origin is whose pages may read answers from a browser, https://viewer.example say;
	// "" nobody's: else any page that a person looks at could read the archive.
	Origin string
}

// Of is a fixed list of collections.
func Of(list ...*Collection) func() []*Collection {
	return func() []*Collection { return list }
}

// ServeHTTP implements http.Handler. The path is taken as it was sent: a URL in it is
// not to be cleaned.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	if err := s.serve(w, r); err != nil && r.Context().Err() == nil {
		webjson.Error(w, err)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	if r.Method == http.MethodOptions {
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		if s.Origin != "" {
			w.Header().Set("Access-Control-Allow-Origin", s.Origin)
			w.Header().Set("Access-Control-Allow-Headers", "Accept-Datetime, Range, Authorization")
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	path := strings.TrimPrefix(strings.TrimPrefix(r.RequestURI, s.Prefix), "/")
	name, rest, slash := strings.Cut(path, "/")
	if i := strings.IndexAny(path, "/?"); i >= 0 && path[i] == '?' { // OutbackCDX' form
		name, rest, slash = path[:i], "cdx"+path[i:], true
	}
	if name == "" {
		return s.front(w, r)
	}
	c, err := s.collection(r, name)
	if err != nil {
		return err
	}
	if !slash {
		http.Redirect(w, r, s.root(name), http.StatusFound)
		return nil
	}
	return (&visit{s: s, c: c, w: w, r: r, base: base(r) + s.root(name)}).serve(rest)
}

func (s *Server) collection(r *http.Request, name string) (*Collection, error) {
	all := s.Collections()
	i := slices.IndexFunc(all, func(c *Collection) bool { return c.Name == name })
	if i < 0 {
		return nil, salvor.Errorf(salvor.NotFound, "there is no collection %.80q", name).WithHint("%s/ lists the collections", s.Prefix)
	}
	if s.May != nil {
		if err := s.May(r, all[i]); err != nil {
			return nil, err
		}
	}
	return all[i], nil
}

// root is the path of a collection.
func (s *Server) root(name string) string { return s.Prefix + "/" + name + "/" }

// base is how the client called us.
func base(r *http.Request) string {
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

// visit is one request to a collection.
type visit struct {
	s    *Server
	c    *Collection
	w    http.ResponseWriter
	r    *http.Request
	base string // http://HOST/COLL/
}

func (v *visit) ctx() context.Context { return v.r.Context() }

// serve answers what stands behind the collection in the path. A query is that of the
// CDX server and of the pages; anywhere else it is a part of the URL that was asked for.
func (v *visit) serve(rest string) error {
	path, query, _ := strings.Cut(rest, "?")
	switch path {
	case "":
		return v.page(query)
	case "cdx":
		return v.cdx(query, pywb)
	case "cdx/search/cdx":
		return v.cdx(query, wayback)
	case "wasapi/v1/webdata":
		return v.wasapi(query)
	case "style.css":
		return v.style()
	}
	word, more, _ := strings.Cut(rest, "/")
	switch word {
	case "timemap":
		return v.timemap(more)
	case "timegate":
		return v.timegate(more)
	case "warc":
		file, _, _ := strings.Cut(more, "?")
		return v.file(file)
	case "record":
		return v.record(more)
	case "*":
		return v.calendar(more)
	}
	if at, mod, ok := timestamped(word); ok && more != "" {
		return v.replay(at, mod, more)
	}
	return v.timegate(rest)
}

// timestamped takes 20200101id_ apart.
func timestamped(word string) (at, mod string, ok bool) {
	i := 0
	for i < len(word) && word[i] >= '0' && word[i] <= '9' {
		i++
	}
	at, mod = word[:i], word[i:]
	return at, mod, i >= 4 && i <= 17 && (mod == "" || len(mod) <= 4 && strings.HasSuffix(mod, "_"))
}

// target is the URL that a path ends with. Some clients escape it.
func target(rest string) (string, error) {
	if low := strings.ToLower(rest[:min(len(rest), 12)]); strings.HasPrefix(low, "http%3a") || strings.HasPrefix(low, "https%3a") {
		u, err := url.PathUnescape(rest)
		if err != nil {
			return "", salvor.Errorf(salvor.Invalid, "%.80q is no URL", rest)
		}
		rest = u
	}
	if rest == "" {
		return "", salvor.Errorf(salvor.Invalid, "no URL is given").WithHint("put it at the end of the path, as it is: .../http://example.org/")
	}
	// Some clients and proxies make one slash of two.
	for _, scheme := range []string{"http:/", "https:/"} {
		if r, ok := strings.CutPrefix(rest, scheme); ok && !strings.HasPrefix(r, "/") {
			rest = scheme + "/" + r
		}
	}
	if !strings.Contains(rest, "://") && !strings.HasPrefix(rest, "urn:") && !strings.HasPrefix(rest, "dns:") {
		rest = "http://" + rest
	}
	return rest, nil
}
