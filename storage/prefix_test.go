package storage_test

import (
	"slices"
	"testing"

	"salvor"
	"salvor/storage"
	"salvor/storage/file"
	"salvor/storage/mem"
	"salvor/storage/storagetest"
)

func TestUnder(t *testing.T) {
	t.Run("mem", func(t *testing.T) {
		storagetest.Run(t, func(*testing.T) storage.Store { return storage.Under(mem.New(), "crawls/one") })
	})
	t.Run("file", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			s, err := file.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			return storage.Under(s, "one")
		})
	})
}

// TestUnderIsApart: parts of one Store do not see each other, also where one's
// prefix begins another's.
func TestUnderIsApart(t *testing.T) {
	all := mem.New()
	one, other := storage.Under(all, "crawls/a"), storage.Under(all, "crawls/ab")
	for s, text := range map[storage.Store]string{one: "1", other: "2"} {
		if _, err := s.Put(t.Context(), "warc/x", storage.BytesBlob([]byte(text)), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	list := func(s storage.Store, prefix, after string) (keys []string) {
		for i, err := range s.List(t.Context(), prefix, after) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, i.Key)
		}
		return keys
	}
	for _, c := range []struct {
		s             storage.Store
		prefix, after string
		want          []string
	}{
		{one, "", "", []string{"warc/x"}},
		{one, "warc/", "", []string{"warc/x"}},
		{one, "", "warc/x", nil},
		{all, "", "", []string{"crawls/a/warc/x", "crawls/ab/warc/x"}},
		{storage.Under(all, ""), "crawls/ab", "", []string{"crawls/ab/warc/x"}},
	} {
		if got := list(c.s, c.prefix, c.after); !slices.Equal(got, c.want) {
			t.Errorf("%q after %q: %q, want %q", c.prefix, c.after, got, c.want)
		}
	}
	if err := one.Delete(t.Context(), ""); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("deleting the empty key: %v", err)
	}
	if err := one.Delete(t.Context(), "warc/x"); err != nil || len(list(all, "", "")) != 1 {
		t.Errorf("after deleting one: %v, %v", err, list(all, "", ""))
	}
}
