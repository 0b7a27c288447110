package crawler

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/fetch"
	"salvor/crawler/scope"
	"salvor/warc"
)

// TestWarcExchange: a capture's digest is one of its payload only where there
// is one.
func TestWarcExchange(t *testing.T) {
	w := New(Config{})
	x := task{Item: salvor.Item{URL: "http://a.test/", Via: "http://a.test/via", Hop: salvor.Hop{Path: "LE"}}}
	c := &fetch.Capture{
		URL: "http://a.test/", Status: 200, Framing: fetch.Chunked, PayloadLen: 5, Type: "text/html", Truncated: "time",
		IP: netip.MustParseAddr("2001:db8::1"), Duration: 1500 * time.Millisecond, Notes: []string{"odd"}, Interim: []byte("HTTP/1.1 103"),
	}
	h := harvest{outlinks: []outlink{{"http://a.test/1", "a/@href", 'L'}, {"http://a.test/2", "img/@src", 'E'}}}
	e := w.warcExchange(x, c, h, "a title")
	if !e.Chunked || !e.HasPayload || e.IP != "2001:db8::1" || e.Truncated != "time" || e.Type != "text/html" || e.Revisit != nil {
		t.Errorf("%+v", e)
	}
	want := "{http://a.test/via LE 1500 a title [{http://a.test/1 76 a/@href} {http://a.test/2 69 img/@src}] [odd] [72"
	if got := fmt.Sprint(*e.Metadata); !strings.HasPrefix(got, want) {
		t.Errorf("metadata %s, want %s", got, want)
	}
	for _, empty := range []*fetch.Capture{{Status: 204, Framing: fetch.None, PayloadLen: 1}, {Status: 200, Framing: fetch.Chunked}} {
		if e := w.warcExchange(x, empty, harvest{}, ""); e.HasPayload || e.IP != "" {
			t.Errorf("%+v", e)
		}
	}
}

// TestJournal: an entry says whether a later run must send its links again, and
// whether it could.
func TestJournal(t *testing.T) {
	x := task{Item: salvor.Item{Key: salvor.Key{1}, Host: "a.test", URL: "http://a.test/", Hop: salvor.Hop{Links: 2}, Class: salvor.ClassPage, Round: 3}, lease: &lease{Lease: api.Lease{ID: 4}}}
	for _, c := range []struct {
		linked, stored, done, lost bool
	}{
		{linked: false, stored: false, done: true},
		{linked: false, stored: true, done: true},
		{linked: true, stored: true},
		{linked: true, stored: false, lost: true},
	} {
		e := journal(x, api.Entry{Outcome: salvor.Saved, Status: 200, Bytes: 9}, c.linked, c.stored)
		if e.Links != c.done || (len(e.Extra) > 0) != c.lost {
			t.Errorf("%+v gives %+v", c, e)
		}
		if e.Key != x.Key || e.Lease != 4 || e.Round != 3 || e.Hop != x.Hop || e.Outcome != salvor.Saved || e.Bytes != 9 {
			t.Errorf("%+v", e)
		}
	}
}

// TestRecovered: what a journal says becomes the report that was not sent. An
// item whose links nobody knows any more is fetched again.
func TestRecovered(t *testing.T) {
	w := New(Config{Scope: testScope(t, scope.Rules{})})
	at := time.Date(2026, 11, 25, 6, 0, 0, 0, time.UTC)
	e := warc.Entry{
		Key: salvor.Key{1}, Host: "a.test", URL: "http://a.test/", Lease: 4, Round: 2, Class: salvor.ClassPage, Hop: salvor.Hop{Links: 1, Path: "L"},
		Outcome: salvor.Saved, Status: 200, Bytes: 99, Type: "text/html", At: at.UnixMilli(), Links: true,
	}
	f, err := w.recovered(t.Context(), warc.Recovered{Entry: e, Place: salvor.Place{Offset: 7, Length: 8}})
	if err != nil {
		t.Fatal(err)
	}
	if f.entry.Outcome != salvor.Saved || f.entry.Lease != 4 || f.entry.Place.Offset != 7 || f.receipt.Place != f.entry.Place || len(f.links) != 0 {
		t.Errorf("%+v", f)
	}
	if f.log.Status != 200 || f.log.Size != 99 || !f.log.Begin.Equal(at) || f.log.Path != "L" {
		t.Errorf("logged as %+v", f.log)
	}

	e.Links, e.Extra = false, []byte{linksLost}
	if f, err = w.recovered(t.Context(), warc.Recovered{Entry: e, HasMetadata: true}); err != nil || f.entry.Outcome != salvor.Open {
		t.Errorf("with its links lost it is %v, %v", f.entry.Outcome, err)
	}
	e.Extra = nil // a page without links, and without metadata
	if f, err = w.recovered(t.Context(), warc.Recovered{Entry: e}); err != nil || f.entry.Outcome != salvor.Saved || len(f.links) != 0 {
		t.Errorf("without metadata it is %v with %d parcels, %v", f.entry.Outcome, len(f.links), err)
	}
}

func TestLogNotes(t *testing.T) {
	w := New(Config{})
	f := finished{task: task{Item: salvor.Item{URL: "http://a.test/", Attempts: 2}}}
	e := w.logEntry(f, verdict{status: 200, outcome: salvor.Revisit, reason: "exclude:cli/1 a b"}, nil)
	if got := strings.Join(e.Notes, ","); got != "exclude:cli/1_a_b,duplicate:digest,3t" || e.Size != -1 || !e.Begin.IsZero() {
		t.Errorf("%s %+v", got, e)
	}
	// A cut shows in every line, and once.
	for _, c := range []struct{ reason, cut, want string }{
		{"truncated-disconnect", "disconnect", "truncated-disconnect"},
		{"max-body", "length", "max-body,truncated-length"},
		{"http-404", "time", "http-404,truncated-time"},
		{"http-404", "", "http-404"},
	} {
		f := finished{task: task{fetcher: 7}}
		e := w.logEntry(f, verdict{reason: c.reason}, &fetch.Capture{Block: new(fetch.Spool), Truncated: c.cut})
		if got := strings.Join(e.Notes, ","); got != c.want || e.Worker != 7 {
			t.Errorf("cut by %q: notes %s, want %s; fetcher %d", c.cut, got, c.want, e.Worker)
		}
	}
}

// TestNotices: an operator is told once of a thing and origin, and counts go on.
func TestNotices(t *testing.T) {
	var told []string
	w := New(Config{Notice: func(code, host, _, text string) { told = append(told, code+" "+host+" "+text) }})
	c := &fetch.Capture{Notes: []string{"invalid certificate: expired", "odd header"}}
	for _, origin := range []string{"https://a.test", "https://a.test", "https://b.test"} {
		w.noteDeviations(task{Item: salvor.Item{Origin: origin, Host: strings.TrimPrefix(origin, "https://")}}, c)
	}
	want := "[invalid_certificate a.test invalid certificate: expired invalid_certificate b.test invalid certificate: expired]"
	if fmt.Sprint(told) != want {
		t.Errorf("told %v", told)
	}
	if n := w.Certificates()[[2]string{"a.test", "invalid certificate: expired"}]; n != 2 {
		t.Errorf("%d captures under the certificate of a.test", n)
	}
	New(Config{}).noteDeviations(task{}, c) // nobody listens
}
