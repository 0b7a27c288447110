package warc

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"salvor"
)

// journalSamples has every kind of entry with every field set.
func journalSamples() []journalEntry {
	return []journalEntry{
		{Kind: kindHeader, Name: "salvor-20261124010203456-00001-test.warc.gz", ID: 7, Opened: 1795482123456, InfoID: recordID{1, 2, 3, 15: 16}},
		{Kind: kindRecord, Start: 0, Size: 300, Resp: 300, CDX: cdxInfo{Index: true, URL: "dns:example.com", Mime: "text/dns", Digest: salvor.SHA1{9}, HasSum: true, At: 1795482123456}},
		{Kind: kindExchange, Start: 300, Size: 5000, Resp: 4000, Meta: 4500,
			CDX: cdxInfo{Index: true, Revisit: true, HTTP: true, Original: true, URL: "http://other/", Mime: "text/html", Detected: "text/plain", Digest: salvor.SHA1{1, 2}, HasSum: true, At: 1, Status: 200},
			Entry: Entry{Crawl: 3, Host: "example.com", Key: salvor.Key{5, 15: 6}, Round: 2, Lease: 1 << 40, Class: salvor.ClassPage,
				Hop:     salvor.Hop{Links: 300, Embeds: 4, Extra: 5, Path: "LLE"},
				Outcome: salvor.Saved, Reason: "because", URL: "http://example.com/ü", Via: "http://example.com/", Status: -404, Digest: salvor.SHA1{8},
				Bytes: 1 << 33, Type: "text/html", At: -5, Links: true, Extra: []byte{0, 1, 2}}},
		{Kind: kindSynced, Synced: 5300},
		{Kind: kindSettled, Settled: []uint32{0, 7, 1 << 30}},
		{Kind: kindSealed, Bytes: 5300, SHA256: [32]byte{1, 31: 2}},
		{Kind: kindStored},
	}
}

// TestJournalGolden keeps the format: a journal of every earlier release must
// be read by this one.
func TestJournalGolden(t *testing.T) {
	var b []byte
	for _, e := range journalSamples() {
		b = appendEntry(b, &e)
	}
	path := filepath.Join("testdata", "journal-v1.hex")
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(path, []byte(hex.Dump(b)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := hex.Dump(b); got != string(readFile(t, path)) {
		t.Errorf("the format changed: raise its version and keep reading the old one\n%s", got)
	}
	for i, want := range journalSamples() {
		got, n, ok := nextEntry(b)
		if !ok {
			t.Fatalf("entry %d does not read back", i)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("entry %d reads back as\n%+v\nwant\n%+v", i, got, want)
		}
		b = b[n:]
	}
}

// TestJournalCut: whatever a crash leaves of a journal, its whole entries are
// read and nothing else is.
func TestJournalCut(t *testing.T) {
	b := []byte(journalMagic)
	ends := []int{len(b)}
	for _, e := range journalSamples() {
		b = appendEntry(b, &e)
		ends = append(ends, len(b))
	}
	for cut := range len(b) + 1 {
		for _, tail := range []string{"", strings.Repeat("\x00", 64), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"} {
			data := append(bytes.Clone(b[:cut]), tail...)
			n := 0
			end, err := scanJournal(bytes.NewReader(data), int64(len(data)), func(int64, *journalEntry) error { n++; return nil })
			if err != nil && salvor.ClassOf(err) != salvor.TooNew {
				t.Fatal(err)
			}
			want := 0
			for want+1 < len(ends) && bytes.HasPrefix(data, b[:ends[want+1]]) { // the tail may complete it by chance
				want++
			}
			if n != want || len(data) >= ends[0] && bytes.HasPrefix(data, b[:ends[0]]) && end != int64(ends[want]) {
				t.Fatalf("cut at %d, tail %q: %d entries to offset %d, want %d to %d", cut, tail, n, end, want, ends[want])
			}
		}
	}
}

func TestJournalBitRot(t *testing.T) {
	var b []byte
	for _, e := range journalSamples() {
		b = appendEntry(b, &e)
	}
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			rest, n := bad, 0
			for {
				e, size, ok := nextEntry(rest)
				if !ok {
					break
				}
				if !reflect.DeepEqual(e, journalSamples()[n]) {
					t.Fatalf("bit %d of byte %d: a changed entry was taken", bit, i)
				}
				rest = rest[size:]
				n++
			}
		}
	}
}

func TestJournalTooNew(t *testing.T) {
	dir := t.TempDir()
	c := testConfig(t, dir)
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	name := "salvor-20261124010203456-00001-test.warc.gz"
	if err := os.WriteFile(journalPath(c.Dir, name), []byte("SLVRJNL\x02whatever"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(t.Context(), c); salvor.ClassOf(err) != salvor.TooNew || !strings.Contains(fmt.Sprint(err), name) {
		t.Errorf("Open: %v", err)
	}
}

func FuzzJournal(f *testing.F) {
	var all []byte
	for _, e := range journalSamples() {
		all = appendEntry(all, &e)
		f.Add(appendEntry(nil, &e))
	}
	f.Add(all)
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, n, ok := nextEntry(b)
		if !ok {
			// without the checksum, which hides the decoder from the fuzzer
			if len(b) > 0 {
				e.Kind = journalKind(b[0])
				e.decode(&dec{b: b[1:]})
			}
			return
		}
		if n > len(b) || n <= journalFrame {
			t.Fatalf("entry of %d bytes in %d", n, len(b))
		}
		again, _, ok := nextEntry(appendEntry(nil, &e))
		if !ok || !reflect.DeepEqual(again, e) {
			t.Fatalf("%+v was written as %+v", e, again)
		}
	})
}
