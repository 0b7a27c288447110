package report

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"time"

	"salvor"
	"salvor/api"
)

// fakeView answers from fields.
type fakeView struct {
	api.View
	totals   api.Totals
	hosts    []api.Host
	types    map[string]api.Count
	codes    map[int]api.Count
	reasons  map[api.Reason]int64
	known    []api.Known
	segments []api.Segment
	robots   map[string][]api.Robots
	err      error
}

func (f *fakeView) Totals(context.Context, salvor.CrawlID) (api.Totals, error) {
	return f.totals, f.err
}

func (f *fakeView) Hosts(context.Context, salvor.CrawlID, int) ([]api.Host, error) {
	return f.hosts, nil
}

func (f *fakeView) Types(context.Context, salvor.CrawlID) (map[string]api.Count, error) {
	return f.types, nil
}

func (f *fakeView) Codes(context.Context, salvor.CrawlID) (map[int]api.Count, error) {
	return f.codes, nil
}

func (f *fakeView) Reasons(context.Context, salvor.CrawlID) (map[api.Reason]int64, error) {
	return f.reasons, nil
}

func (f *fakeView) Lookup(_ context.Context, _ salvor.CrawlID, host string, k salvor.Key) (api.Known, error) {
	for _, x := range f.known {
		if x.Key == k && x.Host == host {
			return x, nil
		}
	}
	return api.Known{}, salvor.Errorf(salvor.NotFound, "no such item")
}

func (f *fakeView) Walk(_ context.Context, _ salvor.CrawlID, outcomes []salvor.Outcome, each func(api.Known) error) error {
	for _, k := range f.known {
		if slices.Contains(outcomes, k.Outcome) {
			if err := each(k); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *fakeView) Segments(context.Context) ([]api.Segment, error) { return f.segments, nil }

func (f *fakeView) Robots(_ context.Context, _ salvor.CrawlID, host string) ([]api.Robots, error) {
	return f.robots[host], nil
}

var began = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

func outcomes(saved, revisit, gone, refused, failed, excluded, tooBig int64) (o [salvor.NumOutcomes]int64) {
	o[salvor.Saved], o[salvor.Revisit], o[salvor.Gone], o[salvor.Refused] = saved, revisit, gone, refused
	o[salvor.Failed], o[salvor.Excluded], o[salvor.TooBig] = failed, excluded, tooBig
	return o
}

func missed(host, path string, o salvor.Outcome, reason string, status, tries int) api.Known {
	k := api.Known{Outcome: o, Reason: reason, Status: status, At: began.Add(time.Hour).UnixMilli(), State: api.StateSettled}
	k.Host, k.URL, k.Via, k.Attempts = host, "https://"+host+path, "https://"+host+"/", uint16(tries)
	if tries > 0 {
		k.Attempts-- // the last try settled it
	}
	k.Key = salvor.ItemKey(salvor.HashKey{}, "GET", k.URL, nil)
	return k
}

// rescue is a crawl with something of everything, text that wants to be
// markup among it.
func rescue() (*fakeView, api.Crawl, Extra) {
	forum, img := "forum.example.org", "img.example.net"
	v := &fakeView{
		totals: api.Totals{Accepted: 52_400, Outcomes: outcomes(44_120, 2_313, 871, 92, 58, 4_940, 6), Bytes: 9_123_456_789, Captures: 47_402, Dups: 3},
		hosts: []api.Host{
			{Name: forum, Totals: api.Totals{Accepted: 40_000, Outcomes: outcomes(33_000, 1_313, 700, 92, 13, 4_882, 0), Bytes: 1_200_000_000, Captures: 35_100}, Rate: 18_500, Ceiling: 20_000},
			{Name: img, Totals: api.Totals{Accepted: 12_340, Outcomes: outcomes(11_065, 1_000, 171, 0, 40, 58, 6), Bytes: 7_923_456_789, Captures: 12_282}, Rate: 2_000, Ceiling: 20_000, Note: "slowed down after 14 answers 429"},
			{Name: "xn--bcher-kva.example", Totals: api.Totals{Accepted: 60, Outcomes: outcomes(55, 0, 0, 0, 5, 0, 0), Captures: 20}, Rate: salvor.Unlimited, Ceiling: salvor.Unlimited},
		},
		types: map[string]api.Count{
			"text/html": {URLs: 35_020, Bytes: 1_180_000_000}, "image/jpeg": {URLs: 9_820, Bytes: 5_900_000_000},
			"image/png": {URLs: 2_210, Bytes: 1_900_000_000}, "text/css": {URLs: 12, Bytes: 340_000}, "": {URLs: 340, Bytes: 0},
		},
		codes: map[int]api.Count{200: {URLs: 45_100, Bytes: 9_100_000_000}, 301: {URLs: 1_333, Bytes: 400_000}, 404: {URLs: 871, Bytes: 9_000_000}, 403: {URLs: 92, Bytes: 80_000}, -4: {URLs: 40}, 503: {URLs: 18, Bytes: 9_000}},
		reasons: map[api.Reason]int64{
			{Outcome: salvor.Saved}: 44_120, {Outcome: salvor.Gone, Text: "404"}: 860, {Outcome: salvor.Gone, Text: "410"}: 11,
			{Outcome: salvor.Refused, Text: "403"}: 92, {Outcome: salvor.Failed, Text: "timeout"}: 40, {Outcome: salvor.Failed, Text: "503"}: 18,
			{Outcome: salvor.Excluded, Text: "robots"}: 1_204, {Outcome: salvor.Excluded, Text: "exclude:forum/print"}: 3_700,
			{Outcome: salvor.Excluded, Text: "exclude:cli/1"}: 30, {Outcome: salvor.Excluded, Text: "exclude:live/2"}: 6,
			{Outcome: salvor.TooBig, Text: "max_body"}: 6,
		},
		segments: []api.Segment{
			{ID: 2, Name: "FORUM-20261123090000123-00001-a.warc.gz", Object: "warc/FORUM-20261123090000123-00001-a.warc.gz", Bytes: 612_345_678, SHA256: sha256.Sum256([]byte("2")), State: api.SegmentStored},
			{ID: 1, Name: "FORUM-20261123080000123-00000-a.warc.gz", Object: "warc/FORUM-20261123080000123-00000-a.warc.gz", Bytes: 1_000_123_456, SHA256: sha256.Sum256([]byte("1")), State: api.SegmentStored},
		},
		robots: map[string][]api.Robots{
			forum: {{Origin: "https://" + forum, Status: api.RobotsRules, Fetched: began.UnixMilli()}},
			img:   {{Origin: "https://" + img, Status: api.RobotsUnreachable}},
		},
	}
	for i := range 70 {
		v.known = append(v.known, missed(forum, fmt.Sprintf("/profile/%d", i), salvor.Excluded, "robots", -9998, 0))
	}
	v.known = append(v.known,
		missed(forum, `/search?q=<script>alert("1")</script>&page=2`, salvor.Failed, "timeout", -4, 8),
		missed(forum, "/t/1234/a-topic-with-a-rather-long-name-as-forums-like-to-make-them-from-titles?sort=newest&page=17", salvor.Refused, "403", 403, 1),
		missed(forum, "/t/99", salvor.Gone, "404", 404, 1),
		missed(img, "/o/video.mp4", salvor.TooBig, "max_body", 200, 1),
		missed(img, "/a\tb\nc", salvor.Failed, "503", 503, 8),
	)
	c := api.Crawl{ID: 1, Name: "A forum that closes", State: salvor.CrawlFinished, Deadline: began.Add(30 * time.Hour).UnixMilli()}
	return v, c, rescueExtra()
}

func rescueExtra() Extra {
	x := Extra{
		Software: "salvor 0.1", Operator: "Archive <of> Forums", Description: "The forum's owner announced its end for 24 November.",
		Started: began, Finished: began.Add(4 * time.Hour), Worked: 3*time.Hour + 40*time.Minute, End: "failed", Created: began.Add(4*time.Hour + time.Minute),
		Settings: []Setting{{"--scope", "domain"}, {"--robots", "obey"}, {"--deadline", "2026-11-24T14:00:00Z"}, {"--exclude", `[?&]sid=<x>`}},
		Seeds: []Seed{
			{URL: "https://example.org/", Source: "command line", Target: "https://forum.example.org/", Outcome: salvor.Saved, Status: 301},
			{URL: "https://forum.example.org/t/99", Source: "seeds.txt:3", Host: "forum.example.org", Key: missed("forum.example.org", "/t/99", salvor.Gone, "", 0, 0).Key},
			{URL: "https://nowhere.invalid/", Source: "seeds.txt:4", Outcome: salvor.Failed, Status: -6, Reason: "dns_no_such_host"},
		},
		Excludes: []Exclude{
			{ID: "exclude:cli/1", Pattern: `[?&]sid=<x>`, Source: "command line"},
			{ID: "exclude:forum/print", Pattern: `/printview\.php`, Source: "built-in set forum"},
			{ID: "exclude:global/logout", Pattern: `/logout\b`, Source: "built-in set global"},
		},
		Certificates:  []Certificate{{"img.example.net", "expired on 1 November 2026", 12_282}},
		Interruptions: []Interruption{{began.Add(90 * time.Minute), began.Add(110 * time.Minute), "SIGKILL"}},
		Mended:        []Mended{{"FORUM-20261123080000123-00000-a.warc.gz", 4_113, 20_118}},
		Notes:         []string{"09:12 UTC: --exclude was widened in DIR/control; 30 queued URLs were left out."},
	}
	var urls, bytes float64
	for t := time.Duration(0); t <= 4*time.Hour; t += 2 * time.Minute {
		x.Samples = append(x.Samples, Sample{began.Add(t), int64(urls), int64(bytes)})
		if t >= 90*time.Minute && t < 110*time.Minute {
			continue
		}
		rate := 3.6 * (1 - math.Exp(-t.Hours()*3)) * (1 + .15*math.Sin(t.Hours()*9))
		urls += rate * 120
		bytes += rate * 120 * 190_000 * (1 + .5*math.Sin(t.Hours()*4))
	}
	return x
}
