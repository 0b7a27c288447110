package e2e

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"salvor/e2e/rig"
)

// club is a wiki of some namespaces that link to each other, with users, a
// history and pictures.
func club() (users []string, pages []rig.Page, media map[string][]byte) {
	users = []string{"alice", "bob", "carol"}
	names := func(ns string) (out []string) {
		for i := range 9 {
			out = append(out, fmt.Sprintf("%s:page%d", ns, i))
		}
		return out
	}
	media = make(map[string][]byte)
	start := "====== The Club ======\nWelcome.\n"
	for n, ns := range []string{"members", "events", "history", "recipes:summer"} {
		list := "====== " + ns + " ======\n"
		picture := fmt.Sprintf("picture%d.svg", n)
		media[picture] = fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><title>%s</title></svg>`, ns)
		for i, id := range names(ns) {
			list += "  * [[" + ":" + id + "]]\n"
			p := rig.Page{ID: id, Texts: []string{fmt.Sprintf("====== %s ======\nmarker-%d-%d, see [[:%s:page%d]] and [[:nowhere:page%d]]. {{:%s}}\n", id, n, i, ns, (i+1)%9, i, picture)}}
			if i%3 == 0 {
				p.Texts = append(p.Texts, p.Texts[0]+"Changed by Bob.\n")
			}
			pages = append(pages, p)
		}
		pages = append(pages, rig.Page{ID: ns + ":start", Texts: []string{list}})
		start += "  * [[:" + ns + ":start]]\n"
	}
	return users, append(pages, rig.Page{ID: "start", Texts: []string{start}}), media
}

// TestWiki: a dynamic site behind its real web server. Every page is saved as
// readers see it, and the exclude set keeps out the thousands of views that
// are no pages: editors, differences, old lists.
func TestWiki(t *testing.T) {
	installed(t, rig.WikiDir+"/doku.php", "dokuwiki")
	users, pages, media := club()
	w, err := rig.StartWiki(t.TempDir(), users, pages, media)
	rig.Need(t, err)
	defer w.Stop()
	c := newCrawl(t, buildPlain, "--exclude-set", "wiki")
	c.save(5*time.Minute, exitDone, w.URL+"/doku.php?id=start")
	a := c.sound()
	bodies := texts(t, a)
	for _, p := range pages {
		text := bodies[w.URL+"/doku.php?id="+p.ID]
		if text == "" && p.ID == "start" {
			text = bodies[w.URL+"/doku.php?id=start"]
		}
		marker, _, _ := strings.Cut(p.Texts[0], ",")
		_, marker, _ = strings.Cut(marker, "\n")
		if text == "" {
			t.Errorf("page %s is not in the archive", p.ID)
		} else if !strings.Contains(text, strings.TrimSpace(strings.Split(marker, "\n")[0])) && strings.HasPrefix(marker, "marker") {
			t.Errorf("page %s was saved without its text", p.ID)
		}
	}
	for name, body := range media {
		if !savedUnderAnyName(bodies, name, string(body)) {
			t.Errorf("%s is not in the archive", name)
		}
	}
	noTraps(t, a)
	if twice := a.Twice(); len(twice) > 0 {
		tell(t, "saved more than once", twice)
	}
	r := c.report()
	if r.Totals.Excluded == 0 || int(r.Totals.Captures) != len(a.ByURI()) {
		t.Errorf("report.json: %+v, in the WARC files %d URLs", r.Totals, len(a.ByURI()))
	}
	t.Logf("%d pages, %d URLs captured, %d excluded", len(pages), len(a.ByURI()), r.Totals.Excluded)
	askedOnce(t, w.Nginx)
}

// texts are the payloads of all 200 answers, by URL.
func texts(t *testing.T, a *rig.Archive) map[string]string {
	t.Helper()
	out := make(map[string]string)
	for _, s := range a.Segments {
		err := rig.ReadWARC(s, func(r *rig.Record) error {
			if r.Type() != "response" || !strings.HasPrefix(r.URI(), "http") {
				return nil
			}
			status, body, err := r.HTTP()
			if status == 200 {
				out[r.URI()] = string(body)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func savedUnderAnyName(bodies map[string]string, name, body string) bool {
	for uri, b := range bodies {
		if strings.Contains(uri, name) && b == body {
			return true
		}
	}
	return false
}

// noTraps looks for views of pages that the exclude set must keep out.
func noTraps(t *testing.T, a *rig.Archive) {
	t.Helper()
	var trapped []string
	for uri := range a.ByURI() {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		switch do := q.Get("do"); {
		case do == "edit", do == "diff", do == "login", do == "revisions", do == "backlink", do == "recent", do == "index", do == "media", do == "resendpwd", do == "register", q.Has("rev"):
			trapped = append(trapped, uri)
		}
	}
	tell(t, "traps", trapped)
}
