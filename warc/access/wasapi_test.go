package access_test

import (
	"encoding/json"
	"testing"
)

func TestWASAPI(t *testing.T) {
	s := newShelf(t)
	s.page("http://a.test/", "2026-11-24T01:02:03Z", html, "<p>x")
	put(t, s.store, "manifest-sha256.txt", []byte("5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef  warc/"+segmentName+"\n"))
	size := int64(s.file.Len())
	srv := served(t, s.open())
	for query, files := range map[string]int{"": 1, "?filename=test-*": 1, "?filename=x*": 0, "?page=2": 0} {
		var got struct {
			Count    int
			Previous *string
			Files    []struct {
				Filename, Filetype string
				Checksums          map[string]string
				Size               int64
				Locations          []string
			}
		}
		_, body := ask(t, srv.URL+"/town/wasapi/v1/webdata"+query)
		if err := json.Unmarshal([]byte(body), &got); err != nil || len(got.Files) != files || (query == "?page=2") != (got.Previous != nil) {
			t.Errorf("%q: %v %s", query, err, body)
			continue
		}
		for _, f := range got.Files {
			if f.Filename != segmentName || f.Filetype != "warc" || f.Size != size || f.Checksums["sha256"] != "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef" || len(f.Locations) != 1 {
				t.Errorf("%+v", f)
				continue
			}
			if resp, b := ask(t, f.Locations[0]); resp.StatusCode != 200 || int64(len(b)) != size {
				t.Errorf("its location answers %d with %d bytes", resp.StatusCode, len(b))
			}
		}
	}
	for _, bad := range []string{"?page=x", "?page_size=-1", "?filename=%5B"} {
		if resp, _ := ask(t, srv.URL+"/town/wasapi/v1/webdata"+bad); resp.StatusCode != 400 {
			t.Errorf("%s: %d", bad, resp.StatusCode)
		}
	}
}
