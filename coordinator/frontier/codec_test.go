package frontier

import (
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
)

var update = flag.Bool("update", false, "write golden files that are not there yet; those that are never change")

func ptr[T any](v T) *T { return &v }

// samples holds one command of every kind with every field set.
func samples() []Envelope {
	crawl := api.Crawl{
		ID: 3, Name: "geocities", State: salvor.CrawlPaused, HashKey: salvor.HashKey{1, 2, 15: 9}, Canon: 2, Scope: 7,
		Deadline: 1_800_000_000_123, Ceiling: 20_000, Start: 2_000, Tries: 8, Settings: []byte(`{"scope":"host"}`), Basis: 1, Created: 1_700_000_000_456,
		Version: 6,
	}
	item := salvor.Item{
		Key: salvor.Key{0xaa, 15: 0xbb}, Crawl: 3, Host: "example.org", Origin: "https://example.org:8443", Method: "POST",
		URL: "https://example.org:8443/a?b=1", Body: []byte("x=y"), Class: salvor.ClassSitemap, Band: salvor.BandPage + 3,
		Hop: salvor.Hop{Links: 300, Embeds: 2, Extra: 1, Path: "LLEX"}, Via: "https://example.org/", Round: 2, Attempts: 5, Expiry: 1_700_000_100_000,
	}
	second := item
	second.Key, second.URL, second.Method, second.Body = salvor.Key{1}, "http://elsewhere.example/", "", nil
	entry := api.Entry{
		Key: salvor.Key{1, 2}, Host: "example.org", Lease: 77<<16 | 3, Round: 1, Verb: api.VerbRetry, Outcome: salvor.Gone, Reason: "timeout",
		Status: -2, Place: salvor.Place{Segment: 9, Offset: 1 << 33, Length: 4711}, Digest: salvor.SHA1{7, 19: 8}, Bytes: 123_456,
		Type: "text/html", At: 1_700_000_000_000, Retry: 1_700_000_030_000,
	}
	robots := api.Robots{Origin: "https://example.org", Rules: []byte("User-agent: *\nDisallow: /x\n"), Status: api.RobotsUnreachable, Fetched: 1_700_000_000_001}
	segment := api.Segment{ID: 9, Name: "S-1.warc.gz", Object: "crawl/3/S-1.warc.gz", Base: 12, Bytes: 1 << 30, SHA256: [32]byte{1, 31: 2}, State: api.SegmentStored}
	commands := []Command{
		&CreateCrawl{crawl}, &SetCrawl{crawl}, &Register{Worker: "node-1", Session: 1 << 60}, &End{Session: 5},
		&Discover{api.Discovery{Crawl: 3, Scope: 7, Items: []api.Offer{{Item: item, Excluded: "exclude:forum/42"}, {Item: second, Excluded: "exclude:forum/42"}}}},
		&Grant{Session: 5, Hosts: []GrantHost{{3, "example.org", 20, 1500}, {4, "b.example", 1, salvor.Unlimited}}},
		&Extend{Session: 5, From: 3, Before: 12 << 16, Held: []api.Extension{{Lease: 11 << 16, Pace: 1500}, {Lease: 4, Pace: 1}}},
		&Expire{Lease: 11 << 16, Renewal: 900},
		&Settle{api.Settlement{Crawl: 3, Entries: []api.Entry{entry, entry}, Robots: []api.Robots{robots}}},
		&SetBudget{Crawl: 3, Host: "example.org", Ceiling: ptr(salvor.Pace(0)), Rate: ptr(salvor.Pace(750)), Blocked: ptr(int64(99)), Note: ptr("429")},
		&OpenSegment{Name: "S-1.warc.gz"}, &SetSegment{segment},
		&Reopen{Reopen: api.Reopen{Crawl: 3, Host: "example.org", Outcomes: []salvor.Outcome{salvor.Failed, salvor.Gone}, Reason: "asked"}, After: []byte{1, 2}, Limit: 500},
		&Exclude{Crawl: 3, Rule: "exclude:x", Items: []api.HostKey{{Host: "a", Key: salvor.Key{1}}, {Host: "a", Key: salvor.Key{2}}}},
		&Close{Crawl: 3}, &Tick{}, &SetRecord{api.Record{Table: "nodes", Key: "n1", Value: []byte(`{"id":"n1"}`), Version: 12}},
		&AdoptCrawl{crawl}, &EndIdle{Session: 5, Answers: 300},
		&SetGroup{Crawl: 3, Name: "cdn", Hosts: []string{"a.example", "b.example"}, Share: 700}, &SetShare{Name: "cdn", Share: 700},
		&Rank{Crawl: 3, Items: []api.Ranked{{HostKey: api.HostKey{Host: "a", Key: salvor.Key{1}}, Band: 0x41}, {HostKey: api.HostKey{Host: "a", Key: salvor.Key{2}}, Band: 0x5f}}},
	}
	var list []Envelope
	for i, c := range commands {
		list = append(list, Envelope{Version: formatVersion, Level: LevelOf(c), Session: 1<<63 + 5, Request: uint64(i) * 1000, Now: 1_700_000_000_999, Command: c})
	}
	return list
}

// unleveled are the commands there were before feature levels, as they were
// written then: crawls had no version.
func unleveled() (list []Envelope) {
	for _, e := range samples() {
		if e.Command.kind() > kindTick {
			continue
		}
		e.Level = 0
		switch c := e.Command.(type) {
		case *CreateCrawl:
			c.Crawl.Version = 0
		case *SetCrawl:
			c.Crawl.Version = 0
		}
		list = append(list, e)
	}
	return list
}

// TestCodecGolden: what was written once is read for ever, and written so
// until the format version changes.
func TestCodecGolden(t *testing.T) {
	sameForm(t, "v1-", unleveled())
	sameForm(t, "leveled-", samples())
	seen := map[kind]bool{}
	for _, e := range samples() {
		seen[e.Command.kind()] = true
	}
	for k := kind(1); newCommand(k) != nil; k++ {
		if !seen[k] {
			t.Errorf("no sample of %s", name(newCommand(k)))
		}
	}
}

func sameForm(t *testing.T, prefix string, list []Envelope) {
	t.Helper()
	for _, want := range list {
		data := Encode(want)
		old := golden(t, prefix+name(want.Command)+".hex", data)
		if !cmp.Equal(old, data) {
			t.Errorf("%s is written in another form:\n%x\n%x", name(want.Command), old, data)
		}
		got, err := Decode(old)
		if err != nil {
			t.Errorf("%s: %v", name(want.Command), err)
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name(want.Command), diff)
		}
	}
}

// An Extend of all leases has no From, and is written as it was before there
// was one.
func TestWholeExtendGolden(t *testing.T) {
	for _, e := range unleveled() {
		c, ok := e.Command.(*Extend)
		if !ok {
			continue
		}
		c.From = 0
		data := Encode(e)
		old := golden(t, "v1-Extend-whole.hex", data)
		got, err := Decode(old)
		if err != nil || !cmp.Equal(old, data) || !cmp.Equal(e, got) {
			t.Errorf("read %+v, %v, written %x", got.Command, err, data)
		}
	}
}

func golden(t *testing.T, file string, data []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "golden", file)
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) && *update {
		text = []byte(wrap(hex.EncodeToString(data)))
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	old, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return old
}

func wrap(s string) string {
	var b strings.Builder
	for len(s) > 120 {
		b.WriteString(s[:120] + "\n")
		s = s[120:]
	}
	return b.String() + s + "\n"
}

// TestSamplesAreFull: a field that no sample sets is a field whose codec is not
// tested.
func TestSamplesAreFull(t *testing.T) {
	for _, e := range samples() {
		full(t, name(e.Command), reflect.ValueOf(e.Command))
	}
}

func full(t *testing.T, path string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() && v.Elem().Kind() == reflect.Struct {
			full(t, path, v.Elem())
			return
		}
	case reflect.Struct:
		for i := range v.NumField() {
			full(t, path+"."+v.Type().Field(i).Name, v.Field(i))
		}
		return
	case reflect.Slice:
		if v.Len() > 0 && v.Index(0).Kind() == reflect.Struct {
			full(t, path, v.Index(0))
			return
		}
	}
	if v.IsZero() {
		t.Errorf("%s is not set", path)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := Encode(samples()[4])
	future := append([]byte{formatVersion + 1}, good[1:]...)
	leveled := Encode(Envelope{Level: Level + 1, Command: &Tick{}})
	unknown := append(Encode(Envelope{Command: &Tick{}})[:5], 0xee)
	for _, c := range []struct {
		what string
		data []byte
		want salvor.ErrorClass
	}{
		{"nothing", nil, salvor.TooNew},
		{"a newer format", future, salvor.TooNew},
		{"a newer level", leveled, salvor.TooNew},
		{"an unknown command", unknown, salvor.TooNew},
		{"a cut entry", good[:len(good)-1], salvor.Invalid},
		{"a longer entry", append(good[:len(good):len(good)], 0), salvor.Invalid},
		{"a cut frame", good[:3], salvor.Invalid},
	} {
		if _, err := Decode(c.data); salvor.ClassOf(err) != c.want || err == nil {
			t.Errorf("%s: %v, want class %v", c.what, err, c.want)
		}
	}
}

// FuzzDecode: whatever the bytes, Decode returns; what it accepts has one form.
func FuzzDecode(f *testing.F) {
	for _, e := range samples() {
		f.Add(Encode(e))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		if err != nil {
			return
		}
		again, err := Decode(Encode(e))
		if err != nil {
			t.Fatalf("accepted %x, wrote what it refuses: %v", data, err)
		}
		if diff := cmp.Diff(e, again); diff != "" {
			t.Fatal(diff)
		}
	})
}

// FuzzItem: a record that is read is written in a form that reads the same.
func FuzzItem(f *testing.F) {
	it := &item{
		head: head{state: api.StateLeased, class: 3, band: 0x40, links: 2, scope: 1, round: 1, attempts: 3, expiry: 5, lease: 9 << 16},
		url:  "https://a.example/x", origin: "https://a.example", via: "https://a.example/", path: "L", method: "POST", body: []byte("b"),
		ans: answer{reason: "timeout", status: -2, at: 77, place: salvor.Place{Segment: 1, Offset: 2, Length: 3}, typ: "text/html", bytes: 9},
	}
	var w writer
	it.encode(&w)
	f.Add(string(w.b))
	f.Fuzz(func(t *testing.T, s string) {
		a, ok := decodeItem(s)
		if !ok {
			return
		}
		var w writer
		a.encode(&w)
		b, ok := decodeItem(string(w.b))
		if !ok || !reflect.DeepEqual(a, b) {
			t.Fatalf("%+v became %+v", a, b)
		}
	})
}
