package custody_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/mem"
	"salvor/warc/custody"
)

var at = time.Date(2026, 11, 27, 1, 2, 3, 0, time.UTC)

func events(n int, from int) (out []custody.Event) {
	for i := range n {
		out = append(out, custody.Event{Kind: custody.File, Name: fmt.Sprintf("warc/%d.warc.gz", from+i), Bytes: int64(i), SHA256: strings.Repeat("0", 64)})
	}
	return out
}

// logged is an archive whose log has n entries, in batches of a few.
func logged(t *testing.T, n int) (store storage.Store, signer, verifier string) {
	t.Helper()
	signer, verifier, err := custody.NewKey("town")
	if err != nil {
		t.Fatal(err)
	}
	store = mem.New()
	for i := 0; i < n; i += 3 {
		l := open(t, store, "")
		if err := l.Append(t.Context(), signer, at, events(min(3, n-i), i)...); err != nil {
			t.Fatal(err)
		}
	}
	return store, signer, verifier
}

func open(t *testing.T, s storage.Store, verifier string) *custody.Log {
	t.Helper()
	l, err := custody.Open(t.Context(), s, verifier)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAppend(t *testing.T) {
	store, signer, verifier := logged(t, 10)
	l := open(t, store, verifier)
	if l.Size() != 10 || l.Signed != 10 || l.Checked != 4 || l.Erased != 0 || l.Events[9].Name != "warc/9.warc.gz" || !l.Leaves[0].At.Equal(at) {
		t.Errorf("%d entries, %d signed by %d checkpoints, %d erased", l.Size(), l.Signed, l.Checked, l.Erased)
	}
	if v, err := custody.VerifierOf(signer); err != nil || v != verifier {
		t.Errorf("%s %v, want %s", v, err, verifier)
	}
	other, _, err := custody.NewKey("town")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), other, at, events(1, 0)...); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("signed by another key: %v", err)
	}
	if err := l.Append(t.Context(), "PRIVATE+KEY+x", at); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("signed by no key: %v", err)
	}
	_, stranger, err := custody.NewKey("town")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := custody.Open(t.Context(), store, stranger); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("verified by another key: %v", err)
	}
	if l := open(t, mem.New(), ""); l.Size() != 0 {
		t.Errorf("no log has %d entries", l.Size())
	}
}

// TestTogether: of writers at the same time each enters what it has, once.
func TestTogether(t *testing.T) {
	store, signer, verifier := logged(t, 1)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			l, err := custody.Open(context.Background(), store, "")
			if err == nil {
				err = l.Append(context.Background(), signer, at, events(2, 100*(w+1))...)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	l := open(t, store, verifier)
	seen := map[string]int{}
	for _, e := range l.Events {
		seen[e.Name]++
	}
	if l.Size() != 17 || len(seen) != 17 || l.Signed != 17 {
		t.Errorf("%d entries of %d files, %d signed", l.Size(), len(seen), l.Signed)
	}
}

// TestTampered: whatever is changed, taken out or put in is noticed.
func TestTampered(t *testing.T) {
	edit := func(t *testing.T, s storage.Store, key string, change func(string) string) {
		t.Helper()
		r, _, err := s.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if _, err := fmt.Fprint(&b, readAll(t, r)); err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if text := change(b.String()); text != "" {
			if _, err := s.Put(t.Context(), key, storage.BytesBlob([]byte(text)), storage.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	keys := func(t *testing.T, s storage.Store, prefix string) (out []string) {
		t.Helper()
		for info, err := range s.List(t.Context(), prefix, "") {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, info.Key)
		}
		return out
	}
	for name, tamper := range map[string]func(t *testing.T, s storage.Store){
		"an event": func(t *testing.T, s storage.Store) {
			edit(t, s, keys(t, s, "custody/events/")[0], func(b string) string { return strings.Replace(b, "warc/0.", "warc/x.", 1) })
		},
		"a leaf's hash": func(t *testing.T, s storage.Store) {
			edit(t, s, keys(t, s, "custody/leaves/")[0], func(b string) string {
				i := strings.Index(b, `"hash":"`) + 8
				return b[:i] + "00000000" + b[i+8:]
			})
		},
		"a leaf's time": func(t *testing.T, s storage.Store) {
			edit(t, s, keys(t, s, "custody/leaves/")[1], func(b string) string { return strings.Replace(b, "2026-11-27", "2025-11-27", 1) })
		},
		"the last leaves": func(t *testing.T, s storage.Store) {
			edit(t, s, keys(t, s, "custody/leaves/")[3], func(string) string { return "" })
		},
		"leaves between": func(t *testing.T, s storage.Store) {
			edit(t, s, keys(t, s, "custody/leaves/")[1], func(string) string { return "" })
		},
		"a checkpoint": func(t *testing.T, s storage.Store) {
			edit(t, s, keys(t, s, "custody/checkpoints/")[1], func(b string) string { return strings.Replace(b, "\n6\n", "\n5\n", 1) })
		},
		"the key": func(t *testing.T, s storage.Store) {
			_, other, err := custody.NewKey("town")
			if err != nil {
				t.Fatal(err)
			}
			edit(t, s, "custody/log.pub", func(string) string { return other })
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, _, _ := logged(t, 10)
			tamper(t, store)
			if l, err := custody.Open(t.Context(), store, ""); salvor.ClassOf(err) != salvor.Conflict || err == nil {
				t.Errorf("it was not noticed: %+v %v", l, err)
			}
		})
	}
}

// TestErased: words may be destroyed; the tree and its signatures stay right.
func TestErased(t *testing.T) {
	store, _, verifier := logged(t, 10)
	for info, err := range store.List(t.Context(), "custody/events/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(info.Key, "000000000003-") {
			if err := store.Delete(t.Context(), info.Key); err != nil {
				t.Fatal(err)
			}
		}
	}
	l := open(t, store, verifier)
	if l.Erased != 3 || l.Events[3] != nil || l.Events[6] == nil || l.Signed != 10 {
		t.Errorf("%d erased, %d signed", l.Erased, l.Signed)
	}
	if _, err := l.Prove(t.Context(), 4); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("proof of what was destroyed: %v", err)
	}
}

func TestProof(t *testing.T) {
	store, _, verifier := logged(t, 10)
	l := open(t, store, verifier)
	for i := range int64(10) {
		p, err := l.Prove(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var back custody.Proof
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		e, err := back.Check(verifier)
		if err != nil || e.Name != fmt.Sprintf("warc/%d.warc.gz", i) {
			t.Errorf("%d: %+v %v", i, e, err)
		}
		for name, change := range map[string]func(*custody.Proof){
			"event": func(p *custody.Proof) { p.Event = strings.Replace(p.Event, "warc/", "warc/x", 1) },
			"index": func(p *custody.Proof) { p.Index = (p.Index + 1) % 10 },
			"time":  func(p *custody.Proof) { p.Leaf.At = p.Leaf.At.Add(time.Hour) },
			"salt":  func(p *custody.Proof) { p.Salt = "00" },
			"hash":  func(p *custody.Proof) { p.Hashes = append([]string(nil), p.Hashes[1:]...) },
			"root":  func(p *custody.Proof) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n10\n", "\n9\n", 1) },
		} {
			bad := back
			change(&bad)
			if _, err := bad.Check(verifier); err == nil {
				t.Errorf("%d: with another %s it holds", i, name)
			}
		}
	}
	if _, err := l.Prove(t.Context(), 10); salvor.ClassOf(err) != salvor.NotFound {
		t.Error(err)
	}
}

func readAll(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
