package coordinator

import (
	"bytes"
	"strings"
	"testing"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// entry is what a piece becomes in the log.
func entry(c frontier.Command) int {
	return len(frontier.Encode(frontier.Envelope{Session: 1<<64 - 1, Request: 1<<64 - 1, Now: 1 << 50, Command: c}))
}

// largest are the biggest things the machine takes.
func largest() (api.Offer, api.Entry, api.Robots) {
	url := "https://a.example/" + strings.Repeat("x", frontier.MaxURL-18)
	o := api.Offer{Excluded: strings.Repeat("r", frontier.MaxReason), Item: salvor.Item{
		Key: salvor.Key(bytes.Repeat([]byte{255}, 16)), Crawl: 1<<32 - 1, Host: strings.Repeat("h", frontier.MaxHost), Origin: strings.Repeat("o", frontier.MaxOrigin), URL: url, Via: url,
		Method: "OPTIONS", Body: make([]byte, frontier.MaxBody), Class: salvor.ClassSpeculative, Band: 255,
		Hop:   salvor.Hop{Links: 1<<16 - 1, Embeds: 255, Extra: 255, Path: strings.Repeat("L", salvor.MaxPath)},
		Round: 1<<32 - 1, Attempts: 1<<16 - 1, Expiry: 1 << 62,
	}}
	e := api.Entry{
		Host: o.Host, Lease: 1<<64 - 1, Round: 1<<32 - 1, Outcome: salvor.Saved, Reason: o.Excluded, Status: 999,
		Place: salvor.Place{Segment: 1<<32 - 1, Offset: 1 << 62, Length: 1 << 62}, Bytes: 1 << 62, Type: o.Host, At: 1 << 62, Retry: 1 << 62,
	}
	return o, e, api.Robots{Origin: o.Origin, Rules: make([]byte, frontier.MaxRobots), Status: 2, Fetched: 1 << 62}
}

func TestSizesBoundTheCodec(t *testing.T) {
	o, e, x := largest()
	if got := entry(&frontier.Discover{Discovery: api.Discovery{Items: []api.Offer{o}}}); got > offerSize(&o)+64 || got > maxEntry {
		t.Errorf("the largest offer takes %d bytes, %d were reckoned", got, offerSize(&o))
	}
	if got := entry(&frontier.Settle{Settlement: api.Settlement{Entries: []api.Entry{e}}}); got > entrySize(&e)+64 || got > maxEntry {
		t.Errorf("the largest entry takes %d bytes, %d were reckoned", got, entrySize(&e))
	}
	if got := entry(&frontier.Settle{Settlement: api.Settlement{Robots: []api.Robots{x}}}); got > robotsSize(&x)+64 || got > maxEntry {
		t.Errorf("the largest robots.txt takes %d bytes, %d were reckoned", got, robotsSize(&x))
	}
}

func TestPieces(t *testing.T) {
	for _, c := range []struct {
		name  string
		sizes []int
		want  []int
	}{
		{"none", nil, nil},
		{"one", []int{10}, []int{1}},
		{"one too large", []int{aimEntry * 3}, []int{1}},
		{"full", []int{aimEntry, 1}, []int{1, 2}},
		{"together", []int{aimEntry - 1, 1, 1}, []int{2, 3}},
		{"at most four", []int{1, 1, 1, 1, 1}, []int{4, 5}},
	} {
		got, err := piecesOf(len(c.sizes), 4, func(i int) int { return c.sizes[i] })
		if err != nil || len(got) != len(c.want) {
			t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
			continue
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%s: %v, want %v", c.name, got, c.want)
			}
		}
	}
	if _, err := piecesOf(maxPieces+1, 1, func(int) int { return 1 }); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("too many pieces: %v", err)
	}
}

func TestSettlePieces(t *testing.T) {
	_, e, x := largest()
	small := api.Settlement{Crawl: 7, Entries: []api.Entry{e}, Robots: []api.Robots{{Origin: "https://a.example"}}}
	if p, err := settlePieces(small); err != nil || len(p) != 1 || len(p[0].Robots) != 1 || len(p[0].Entries) != 1 {
		t.Errorf("a small settlement became %d pieces, %v", len(p), err)
	}
	big := api.Settlement{Crawl: 7, Robots: []api.Robots{x, x}}
	for range 1000 {
		big.Entries = append(big.Entries, e)
	}
	pieces, err := settlePieces(big)
	must(t, err)
	entries, robots := 0, 0
	for i, p := range pieces {
		if size := entry(&frontier.Settle{Settlement: p}); size > maxEntry || p.Crawl != 7 {
			t.Errorf("piece %d of crawl %d takes %d bytes", i, p.Crawl, size)
		}
		if len(p.Robots) > 0 && entries > 0 {
			t.Error("robots behind entries")
		}
		entries, robots = entries+len(p.Entries), robots+len(p.Robots)
	}
	if entries != 1000 || robots != 2 {
		t.Errorf("%d entries and %d robots in the pieces", entries, robots)
	}
}

func TestRequestsOfPieces(t *testing.T) {
	c := api.Call{Session: 1, Request: 5}
	if request(api.Call{}, 3) != 0 {
		t.Error("a call without number got one")
	}
	if a, b := request(c, maxPieces-1), request(api.Call{Request: 6}, 0); a >= b || request(c, 0) == request(c, 1) {
		t.Errorf("numbers %d and %d", a, b)
	}
}
