package scope

import (
	"testing"

	"salvor"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
)

func TestPerishes(t *testing.T) {
	for path, want := range map[string]bool{
		"/b/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261201T120000Z&X-Amz-Expires=3600&X-Amz-Signature=ab": true,
		"/o?GoogleAccessId=x&Expires=1796126400&Signature=ab":                                                     true,
		"/c/v.mp4?Expires=1796126400&Signature=x&Key-Pair-Id=K":                                                   true,
		"/blob?sv=2020&se=2026-12-02T00%3A00%3A00Z&sr=b&sig=ab":                                                   true,
		"/v.m3u8?hdnts=exp=1796126400~acl=/*~hmac=ab":                                                             true,
		"/photo.jpg?oh=00_AY&oe=6500AB12":                                                                         true,
		"/img?md5=ab&e=1796126400":                                                                                true,
		"/search?e=5&token=x":                                                                                     false,
		"/thread?se=2&page=3":                                                                                     false,
		"/calendar?exp=1796126400":                                                                                false,
		"/a?Expires=never&Signature=x":                                                                            false,
		"/plain":                                                                                                  false,
	} {
		if got := perishes(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}

// TestPerishablesComeFirst: with value rules and without.
func TestPerishablesComeFirst(t *testing.T) {
	signed, page := "https://example.org/v.mp4?Expires=1796126400&Signature=x", "https://example.org/"
	for _, values := range []ValueRules{{}, {Rules: []ValueRule{{Text: `\.mp4 0.1`}}}} {
		s, err := Compile(Rules{Seeds: []string{page}, Kind: "host", MaxHops: -1, Requisites: true, Value: values})
		if err != nil {
			t.Fatal(err)
		}
		u, err := canon.Parse(signed)
		if err != nil {
			t.Fatal(err)
		}
		from, err := canon.Parse(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []extract.Kind{extract.Page, extract.Requisite} {
			d := s.Decide(Parent{URL: from}, kind, u)
			it := salvor.Item{URL: signed, Via: page, Class: d.Class, Band: d.Band, Hop: d.Hop}
			if d.Band != salvor.BandPerishable || s.Rank(it).Band != salvor.BandPerishable {
				t.Errorf("rules %v, %v: band %x, ranked again %x", values, kind, d.Band, s.Rank(it).Band)
			}
		}
	}
}
