package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// TestEveryLinkIsKnown: links are extracted once more from all that a finished
// crawl stored, and the frontier knows each that is in scope, with an outcome
// (protocol 5). The crawl is killed and resumed on its way.
func TestEveryLinkIsKnown(t *testing.T) {
	s := site.Site{Pages: size(300, 3000)}
	web := oddServer(t, linkedPages(s))
	c := newCrawl(t, buildRace, "--max-hops", "4", "--exclude", "secret")
	p := c.start(web.URL + "/")
	eventually(t, time.Minute, "some pages", func() bool { return p.Ended() || strings.Count(c.log(), "\n") > 100 })
	if err := p.Signal(9); err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	c.save(2*time.Minute, exitDone, web.URL+"/")
	c.sound()

	rules := scope.Rules{Seeds: []string{web.URL + "/"}, MaxHops: 4, Requisites: true, Exclude: []string{"secret"}, Sets: defaultSets()}
	a := newAudit(t, c.dir, rules)
	a.run()
	t.Logf("%d links of %d captures looked up in %d known URLs", a.links, a.pages, len(a.known))
	if a.links < 30*s.Pages || a.excluded == 0 || a.revisits == 0 {
		t.Errorf("only %d links, %d of them excluded, %d revisits: nothing was tested", a.links, a.excluded, a.revisits)
	}
}

func defaultSets() (names []string) {
	for _, s := range scope.Sets() {
		if s.Default {
			names = append(names, s.Name)
		}
	}
	return names
}

// linkedPages are a synthetic site and all the odd places a link can stand in.
func linkedPages(s site.Site) map[string]http.HandlerFunc {
	pages := map[string]http.HandlerFunc{
		"/robots.txt": says("text/plain", "User-agent: *\nDisallow: /private\nSitemap: /maps.xml\n"),
		"/": says("text/html", `<base href="/odd/"><a href="/index.html">site</a><a href=a><area href="b?x=1&amp;y=2"><img src=1.png srcset="2.png 1x, 3.png 2x">
			<picture><source srcset="4.png, 5.png 3x"></picture><video src=v.mp4 poster=p.png></video><link rel=stylesheet href=s.css><link rel=alternate type="application/rss+xml" href=feed>
			<iframe src=frame></iframe><object data=o.bin></object><form action=search></form><meta http-equiv=refresh content="5; url=later">
			<div style="background:url('6.png')"></div><style>@import "i.css"; a{background:url(7.png)}</style><svg><image xlink:href="8.svg"/></svg>
			<a href="/private/x">forbidden</a><a href="/secret">excluded</a><a href="http://other.invalid/">outside</a><a href="mailto:a@b">mail</a>
			<a href="/chain/1">deep</a><a href="/gz">gzip</a><a href="/utf16">u</a><a href="/latin">l</a><a href="/headers">h</a><a href="/moved">m</a><a href="/none">404</a>
			<a href="/d1/same">same</a><a href="#here">self</a><a href="&#x61;b%20c">entity</a>`),
		"/odd/frame":  says("text/html", `<a href=in-frame>x</a><frame src=inner>`),
		"/odd/s.css":  says("text/css", `@import url(deep.css); a{background:url("9.png")}`),
		"/odd/feed":   says("application/rss+xml", `<rss><channel><item><link>/odd/news</link></item></channel></rss>`),
		"/maps.xml":   says("application/xml", `<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"><sitemap><loc>/map.xml.gz</loc></sitemap></sitemapindex>`),
		"/map.xml.gz": says("application/gzip", gzipped(`<urlset><url><loc>/mapped/1</loc></url><url><loc>/mapped/2</loc></url></urlset>`)),
		"/gz": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, gzipped(`<a href="/from/gzip">x</a>`))
		},
		"/utf16": says("text/html", "\xff\xfe"+wide(`<a href="/from/utf16">x</a>`)),
		"/latin": says("text/html; charset=iso-8859-1", "<a href=\"/from/latin?q=\xe4\">x</a>"),
		"/headers": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			w.Header().Add("Link", `</from/link>; rel=next, </style.css>; rel=stylesheet`)
		},
		"/moved": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/to?from=moved", http.StatusFound) },
		"/none": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `<a href="/from/404">x</a>`)
		},
		// The same bytes lead elsewhere: what comes later is a revisit.
		"/d1/same": says("text/html", `<a href="relative">x</a>`),
		"/d2/same": says("text/html", `<a href="relative">x</a>`),
		"/d3/same": says("text/html", `<a href="relative">x</a>`),
	}
	for i := range 7 {
		pages[fmt.Sprintf("/chain/%d", i)] = says("text/html", fmt.Sprintf(`<a href="/chain/%d">on</a><img src="/chain/%d.png"><a href="/d%d/same">same</a>`, i+1, i, i))
	}
	for i := range s.Pages {
		pages[s.Path(i)] = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.Write(s.Page(i))
		}
	}
	return pages
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func wide(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.Write([]byte{c, 0})
	}
	return b.String()
}

// audit compares what lies in an archive with what its frontier knows.
type audit struct {
	t      *testing.T
	dir    string
	scope  *scope.Scope
	crawl  api.Crawl
	known  map[salvor.Key]api.Known
	bodies map[string][]byte // payloads by digest, for revisits

	pages, links, excluded, revisits int
}

func newAudit(t *testing.T, dir string, rules scope.Rules) *audit {
	t.Helper()
	a := &audit{t: t, dir: dir, known: map[salvor.Key]api.Known{}, bodies: map[string][]byte{}}
	var err error
	if a.scope, err = scope.Compile(rules); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	node, err := coordinator.Start(ctx, coordinator.Config{Dir: filepath.Join(dir, "state", "coordinator"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer node.Close(context.WithoutCancel(ctx))
	if a.crawl, err = node.Crawl(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if err := node.Walk(ctx, 1, nil, func(k api.Known) error { a.known[k.Key] = k; return nil }); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *audit) key(url string) salvor.Key {
	return salvor.ItemKey(a.crawl.HashKey, "", url, nil)
}

func (a *audit) run() {
	a.t.Helper()
	segments, err := rig.WARCs(a.dir)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, look := range []func(*rig.Record){a.keep, a.look} {
		for _, s := range segments {
			if err := rig.ReadWARC(s, func(r *rig.Record) error {
				if strings.HasPrefix(r.URI(), "http") && (r.Type() == "response" || r.Type() == "revisit") {
					look(r)
				}
				return nil
			}); err != nil {
				a.t.Fatal(err)
			}
		}
	}
}

// keep remembers a payload that a revisit may point at.
func (a *audit) keep(r *rig.Record) {
	if d := r.Get("warc-payload-digest"); d != "" && r.Type() == "response" {
		_, body, err := r.HTTP()
		if err != nil {
			a.t.Errorf("%s: %v", r.URI(), err)
		}
		a.bodies[d] = body
	}
}

// look extracts the links of a capture and looks each of them up.
func (a *audit) look(r *rig.Record) {
	page, ok := a.known[a.key(r.URI())]
	if !ok {
		a.t.Errorf("%s is in the archive, but not known", r.URI())
		return
	}
	u, err := canon.Parse(r.URI())
	if err != nil {
		a.t.Fatal(err)
	}
	a.pages++
	parent := scope.Parent{URL: u, Hop: page.Hop, Class: page.Class}
	extract.Links(a.document(r, page), func(l extract.Link) {
		d := a.scope.Decide(parent, l.Kind, l.URL)
		if d.In || d.Record {
			a.find(r.URI(), l, d)
		}
	})
}

func (a *audit) find(page string, l extract.Link, d scope.Decision) {
	a.links++
	got, ok := a.known[a.key(l.URL.Href)]
	switch {
	case !ok:
		a.t.Errorf("%s of %s (%s, %s) is not known", l.URL.Href, page, l.Kind, d.Rule)
	case got.State != api.StateSettled:
		a.t.Errorf("%s of %s has no outcome", l.URL.Href, page)
	case got.Outcome == salvor.Excluded:
		a.excluded++
		if d.In && !strings.HasPrefix(got.Reason, "robots") {
			a.t.Errorf("%s of %s is in by %s, but was excluded by %s", l.URL.Href, page, d.Rule, got.Reason)
		}
	case !d.In && strings.HasPrefix(d.Rule, "exclude"):
		a.t.Errorf("%s of %s is out by %s, but is %v", l.URL.Href, page, d.Rule, got.Outcome)
	}
}

// document is a capture as the extractor takes it, decoded by other means than
// the crawler's.
func (a *audit) document(r *rig.Record, page api.Known) extract.Document {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(r.Block)), nil)
	if err != nil {
		a.t.Fatalf("%s: %v", r.URI(), err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body) // of a revisit there is none
	if r.Type() == "revisit" {
		a.revisits++
		body = a.bodies[r.Get("warc-payload-digest")]
	}
	typ, params, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if id := r.Get("warc-identified-payload-type"); id != "" {
		typ = id
	}
	if strings.HasSuffix(typ, "gzip") || resp.Header.Get("Content-Encoding") == "gzip" {
		zr, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			a.t.Fatalf("%s: %v", r.URI(), err)
		}
		if body, err = io.ReadAll(zr); err != nil {
			a.t.Fatalf("%s: %v", r.URI(), err)
		}
	}
	if strings.HasSuffix(typ, "gzip") {
		typ = "application/xml" // the one packed sitemap
	}
	return extract.Document{
		Base: r.URI(), Type: typ, Charset: strings.ToLower(params["charset"]), Status: resp.StatusCode, Body: body,
		Header: resp.Header.Values, Robots: page.Class == salvor.ClassRobots, List: page.Class == salvor.ClassSitemap,
	}
}
