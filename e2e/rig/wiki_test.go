package rig

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestWikiServes(t *testing.T) {
	if _, err := os.Stat(WikiDir); err != nil {
		Need(t, ErrMissing)
	}
	w, err := StartWiki(t.TempDir(), []string{"alice"}, []Page{
		{ID: "start", Texts: []string{"====== Hello ======\n[[:club:page]]", "====== Hello again ======\n[[:club:page]] {{:p.svg}}"}},
		{ID: "club:page", Texts: []string{"the text"}},
	}, map[string][]byte{"p.svg": []byte("<svg/>")})
	Need(t, err)
	defer w.Stop()
	for path, want := range map[string]string{
		"/doku.php?id=start":                   "Hello again",
		"/doku.php?id=club:page":               "the text",
		"/doku.php?id=start&do=revisions":      "edit 1",
		"/lib/exe/fetch.php?media=p.svg":       "<svg/>",
		"/doku.php?id=no:such":                 "does not exist yet",
		"/lib/tpl/dokuwiki/images/favicon.ico": "",
	} {
		resp, err := http.Get(w.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("%s: status %d, %v, no %q in\n%.2000s", path, resp.StatusCode, err, want, body)
		}
		resp.Body.Close()
	}
}
