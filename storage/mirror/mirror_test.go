package mirror

import (
	"context"
	"io"
	"testing"

	"salvor"
	"salvor/storage"
	"salvor/storage/file"
	"salvor/storage/mem"
	"salvor/storage/storagetest"
)

func put(t *testing.T, s storage.Store, key, text string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, storage.BytesBlob([]byte(text)), storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s storage.Store, key string) string {
	t.Helper()
	r, _, err := s.Get(t.Context(), key)
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSync: what is there stays, what is missing comes, and what differs is
// told and does not stop the rest.
func TestSync(t *testing.T) {
	from, to := mem.New(), mem.New()
	for _, k := range []string{"warc/a", "warc/b", "warc/c", "logs/x", "owner/1"} {
		put(t, from, k, "of "+k)
	}
	put(t, to, "warc/b", "of warc/b")
	put(t, to, "warc/bb", "of nobody")
	d, err := Sync(t.Context(), from, to, "logs/", "warc/")
	if err != nil || d != (Done{Objects: 4, Bytes: 9 * 4, Copied: 3}) {
		t.Errorf("%+v, %v", d, err)
	}
	if get(t, to, "warc/c") != "of warc/c" {
		t.Error(get(t, to, "warc/c"))
	}
	if _, err := to.Stat(t.Context(), "owner/1"); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("too much: %v", err)
	}
	put(t, from, "warc/bb", "another content")
	put(t, from, "warc/d", "d")
	d, err = Sync(t.Context(), from, to, "warc/")
	if salvor.ClassOf(err) != salvor.Conflict || d.Missing != 1 || d.Copied != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}

// broken fails every call.
type broken struct{ storage.Store }

var errAway = salvor.Errorf(salvor.Unavailable, "away")

func (broken) Put(context.Context, string, storage.Blob, storage.PutOptions) (storage.Info, error) {
	return storage.Info{}, errAway
}
func (broken) Get(context.Context, string) (io.ReadCloser, storage.Info, error) {
	return nil, storage.Info{}, errAway
}
func (broken) Range(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, errAway
}
func (broken) Stat(context.Context, string) (storage.Info, error) { return storage.Info{}, errAway }
func (broken) Checksum(context.Context, string) ([32]byte, error) { return [32]byte{}, errAway }

// TestBoth: a put is in both or has failed; a read needs one.
func TestBoth(t *testing.T) {
	a, b := mem.New(), mem.New()
	put(t, Both(a, b), "k", "v")
	if get(t, a, "k") != "v" || get(t, b, "k") != "v" {
		t.Error("not in both")
	}
	for name, s := range map[string]storage.Store{"first": Both(broken{a}, b), "second": Both(a, broken{b})} {
		if _, err := s.Put(t.Context(), name, storage.BytesBlob(nil), storage.PutOptions{}); salvor.ClassOf(err) != salvor.Unavailable {
			t.Errorf("%s away: %v", name, err)
		}
		if get(t, s, "k") != "v" {
			t.Errorf("%s away: %s", name, get(t, s, "k"))
		}
		if _, err := s.Stat(t.Context(), "k"); err != nil {
			t.Errorf("%s away: %v", name, err)
		}
		if _, err := s.Checksum(t.Context(), "k"); err != nil {
			t.Errorf("%s away: %v", name, err)
		}
		if r, err := s.Range(t.Context(), "k", 0, 1); err != nil || r.Close() != nil {
			t.Errorf("%s away: %v", name, err)
		}
	}
}

func TestConformance(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store {
		f, err := file.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		return Both(mem.New(), f)
	})
}
