package access_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestMemento holds what RFC 7089 wants of TimeGate, TimeMap and memento.
func TestMemento(t *testing.T) {
	s := newShelf(t)
	for _, at := range []string{"2024-01-01T00:00:00Z", "2025-06-01T12:00:00Z", "2026-11-24T01:02:03Z"} {
		s.page("http://a.test/x?b=1&a=2", at, html, at)
	}
	srv := served(t, s.open())
	coll := srv.URL + "/town/"
	uri := "http://a.test/x?b=1&a=2"

	for accept, want := range map[string]string{
		"":                              "20261124010203",
		"Sun, 01 Jun 2025 12:00:00 GMT": "20250601120000",
		"Mon, 01 Jan 2001 00:00:00 GMT": "20240101000000",
		"Fri, 01 Aug 2025 00:00:00 GMT": "20250601120000",
	} {
		for _, gate := range []string{coll + "timegate/" + uri, coll + uri} {
			var head []string
			if accept != "" {
				head = []string{"Accept-Datetime", accept}
			}
			resp, _ := ask(t, gate, head...)
			link := resp.Header.Get("Link")
			if resp.StatusCode != 302 || resp.Header.Get("Location") != coll+want+"/"+uri || !strings.EqualFold(resp.Header.Get("Vary"), "accept-datetime") ||
				resp.Header.Get("Memento-Datetime") != "" || !strings.Contains(link, "<"+uri+`>; rel="original"`) || !strings.Contains(link, `rel="timemap"; type="application/link-format"`) {
				t.Errorf("%s at %q: %d %v", gate, accept, resp.StatusCode, resp.Header)
			}
		}
	}
	if resp, _ := ask(t, coll+"timegate/"+uri, "Accept-Datetime", "yesterday"); resp.StatusCode != 400 {
		t.Errorf("a date that is none: %d", resp.StatusCode)
	}
	if resp, _ := ask(t, coll+"timegate/http://none.test/"); resp.StatusCode != 404 || !strings.Contains(resp.Header.Get("Link"), `rel="original"`) {
		t.Errorf("what was not captured: %d %v", resp.StatusCode, resp.Header)
	}

	resp, body := ask(t, coll+"timemap/link/"+uri)
	want := "<" + uri + `>; rel="original",
<` + coll + "timegate/" + uri + `>; rel="timegate",
<` + coll + "timemap/link/" + uri + `>; rel="self"; type="application/link-format"; from="Mon, 01 Jan 2024 00:00:00 GMT"; until="Tue, 24 Nov 2026 01:02:03 GMT",
<` + coll + "20240101000000/" + uri + `>; rel="first memento"; datetime="Mon, 01 Jan 2024 00:00:00 GMT",
<` + coll + "20250601120000/" + uri + `>; rel="memento"; datetime="Sun, 01 Jun 2025 12:00:00 GMT",
<` + coll + "20261124010203/" + uri + `>; rel="last memento"; datetime="Tue, 24 Nov 2026 01:02:03 GMT"
`
	if resp.Header.Get("Content-Type") != "application/link-format" || body != want {
		t.Errorf("TimeMap:\n%s\nwant\n%s", body, want)
	}
	var m struct {
		Original string `json:"original_uri"`
		Mementos struct {
			List []struct{ Datetime, URI string } `json:"list"`
		} `json:"mementos"`
	}
	if _, body = ask(t, coll+"timemap/json/"+uri); json.Unmarshal([]byte(body), &m) != nil || m.Original != uri || len(m.Mementos.List) != 3 || m.Mementos.List[1].Datetime != "2025-06-01T12:00:00Z" {
		t.Errorf("as JSON: %s", body)
	}
	if _, body = ask(t, coll+"timemap/cdxj/"+uri); strings.Count(body, "\n") != 3 || !strings.HasPrefix(body, "test,a)/x?a=2&b=1 20240101000000 {") {
		t.Errorf("as CDXJ: %s", body)
	}
	memento, body := ask(t, coll+"20250601120000/"+uri)
	if memento.Header.Get("Memento-Datetime") != "Sun, 01 Jun 2025 12:00:00 GMT" || body != "2025-06-01T12:00:00Z" || !strings.Contains(memento.Header.Get("Link"), `rel="timegate"`) {
		t.Errorf("memento: %v %s", memento.Header, body)
	}
}
