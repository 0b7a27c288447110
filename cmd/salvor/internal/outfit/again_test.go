package outfit

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/canon"
	"salvor/storage"
	"salvor/storage/mem"
	"salvor/warc/cdx"
)

// TestAgain: pages that were saved before their host's date are queued once more,
// each once, and only those; to run it again queues nothing.
func TestAgain(t *testing.T) {
	since := time.Date(2026, 12, 15, 0, 0, 0, 0, time.UTC)
	early, late := since.Add(-time.Hour), since.Add(time.Hour)
	crawl := api.Crawl{ID: 3, Name: "one", Canon: canon.Version, HashKey: [16]byte{1}}
	known := map[salvor.Key]*api.Known{}
	store := mem.New()
	var lines []cdx.Line
	add := func(url string, at time.Time, k api.Known) {
		lines = append(lines, cdx.Line{Key: cdx.SURT(url), Timestamp: at.Format("20060102150405"), URL: url, Mime: "text/html", Status: "200", Digest: "VGMT4NSHA2AWVOR6EVYXQUGCNSONBWE5", Filename: "a.warc.gz"})
		u, err := canon.Parse(url)
		if err != nil {
			t.Fatal(err)
		}
		k.Key, k.Host = salvor.ItemKey(crawl.HashKey, "", u.Href, nil), u.Host
		if k.At == 0 {
			k.At = at.UnixMilli()
		}
		known[k.Key] = &k
	}
	saved := api.Known{State: api.StateSettled, Outcome: salvor.Saved, Item: salvor.Item{Class: salvor.ClassPage, Band: salvor.BandPage}}
	add("https://a.example/", early, saved)
	revisit := saved
	revisit.Outcome = salvor.Revisit
	add("https://a.example/same", early, revisit)
	add("https://a.example/late", late, saved)
	both := saved
	both.At = late.UnixMilli()
	add("https://a.example/both", early, both) // and of late, in another segment
	queued := saved
	queued.State = api.StateQueued
	add("https://a.example/queued", early, queued)
	gone := saved
	gone.Outcome = salvor.Gone
	add("https://a.example/gone", early, gone)
	robots := saved
	robots.Class = salvor.ClassRobots
	add("https://a.example/robots.txt", early, robots)
	add("https://b.example/", early, saved) // is still written to
	for i := range 1200 {
		add(fmt.Sprintf("https://a.example/%d", i), early, saved)
	}
	lines = append(lines, cdx.Line{Key: "log", Timestamp: "20261201000000", URL: "urn:salvor:log", Filename: "a.warc.gz"})
	var b bytes.Buffer
	if err := cdx.Write(&b, lines); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), "warc/a.cdxj", storage.BytesBlob(b.Bytes()), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []string
	a := Again{
		Store: store, Crawl: crawl, Since: map[string]time.Time{"a.example": since},
		Lookup: func(_ context.Context, id salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
			if x := known[k]; x != nil && id == crawl.ID && x.Host == host {
				return *x, nil
			}
			return api.Known{}, salvor.Errorf(salvor.NotFound, "not known")
		},
		Discover: func(_ context.Context, offers []api.Offer) error {
			for _, o := range offers {
				got = append(got, o.URL)
				k := known[o.Key]
				if o.Round <= k.Round || o.Crawl != crawl.ID || o.Host != "a.example" {
					t.Errorf("offered %+v", o.Item)
				}
				k.Round, k.At = o.Round, late.UnixMilli()
			}
			return nil
		},
	}
	run := func(why string, want AgainDone) {
		t.Helper()
		if done, err := a.Run(t.Context()); err != nil || done != want {
			t.Errorf("%s: %+v, %v, want %+v", why, done, err, want)
		}
	}
	run("at first", AgainDone{Queued: 1202})
	for _, want := range []string{"https://a.example/", "https://a.example/same", "https://a.example/1199"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s was not queued", want)
		}
	}
	run("twice", AgainDone{})
	// The site ends: one page failed, another is queued for ever.
	fail, wait := known[salvor.ItemKey(crawl.HashKey, "", "https://a.example/1", nil)], known[salvor.ItemKey(crawl.HashKey, "", "https://a.example/2", nil)]
	fail.Outcome, wait.State = salvor.Failed, api.StateQueued
	var back []api.Entry
	a.Segments = map[string]api.Segment{"a.warc.gz": {ID: 9, Name: "a.warc.gz"}}
	a.Settle = func(_ context.Context, entries []api.Entry) error {
		for _, e := range entries {
			back = append(back, e)
			k := known[e.Key]
			if e.Round != k.Round || e.Place.Segment != 9 || e.At != early.UnixMilli() || e.Status != 200 || e.Bytes != 0 {
				t.Errorf("given back: %+v", e)
			}
			k.Outcome, k.State, k.At = e.Outcome, api.StateSettled, e.At
		}
		return nil
	}
	run("after the end", AgainDone{Kept: 1})
	run("once more after the end", AgainDone{})
	a.Over = true
	segments := a.Segments
	a.Segments = nil
	run("of a segment that nobody knows", AgainDone{Lost: 1})
	a.Segments = segments
	run("when all is over", AgainDone{Kept: 1})
	if len(back) != 2 {
		t.Errorf("%d pages got their capture back", len(back))
	}
	fail.At, wait.At = late.UnixMilli(), late.UnixMilli()
	a.Over = false

	a.Since["a.example"] = late.Add(time.Minute) // a later date
	run("after a later date", AgainDone{Queued: 1202 + 2})
}
