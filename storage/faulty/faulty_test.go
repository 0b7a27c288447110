package faulty_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/storage"
	. "salvor/storage/faulty"
	"salvor/storage/mem"
	"salvor/storage/storagetest"
)

func TestConformanceWithoutRules(t *testing.T) {
	storagetest.Run(t, func(*testing.T) storage.Store { return Wrap(mem.New()) })
}

func put(s storage.Store, key, data string) error {
	_, err := s.Put(context.Background(), key, storage.BytesBlob([]byte(data)), storage.PutOptions{})
	return err
}

func TestRulesMatch(t *testing.T) {
	s := Wrap(mem.New(), Rule{Op: Put, Prefix: "warc/", Skip: 1, Times: 2, Before: Down()})
	want := []struct {
		key  string
		fail bool
	}{{"warc/a", false}, {"cdx/a", false}, {"warc/b", true}, {"cdx/b", false}, {"warc/b", true}, {"warc/b", false}}
	for i, c := range want {
		if err := put(s, c.key, "x"); (err != nil) != c.fail {
			t.Errorf("call %d, %s: %v", i, c.key, err)
		}
	}
	if _, err := s.Stat(t.Context(), "warc/b"); err != nil {
		t.Errorf("a rule for put hit stat: %v", err)
	}
	if s.Calls(Put) != len(want) || s.Calls(Stat) != 1 || s.Calls(Get) != 0 {
		t.Errorf("counted %d puts, %d stats", s.Calls(Put), s.Calls(Stat))
	}
}

// A lost answer: the object is there, and asking again finds it.
func TestLostAnswer(t *testing.T) {
	s := Wrap(mem.New(), Rule{Op: Put, Times: 1, After: Down()}, Rule{Op: Delete, Times: 1, After: Down()})
	if err := put(s, "k", "x"); salvor.ClassOf(err) != salvor.Unavailable {
		t.Fatalf("got %v", err)
	}
	info, err := s.Put(t.Context(), "k", storage.BytesBlob([]byte("x")), storage.PutOptions{})
	if err != nil || !info.Existed {
		t.Errorf("second put: %+v, %v", info, err)
	}
	if err := s.Delete(t.Context(), "k"); err == nil {
		t.Error("the answer to delete was not lost")
	}
	if _, err := s.Stat(t.Context(), "k"); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("after delete: %v", err)
	}
}

func TestEveryOperationFails(t *testing.T) {
	inner := mem.New()
	if err := put(inner, "k", "x"); err != nil {
		t.Fatal(err)
	}
	for _, r := range []Rule{{Before: Full()}, {After: Full()}} {
		s := Wrap(inner, r)
		errs := map[Op]error{Put: put(s, "k", "x"), Delete: s.Delete(t.Context(), "other")}
		_, _, errs[Get] = s.Get(t.Context(), "k")
		_, errs[Range] = s.Range(t.Context(), "k", 0, 1)
		_, errs[Stat] = s.Stat(t.Context(), "k")
		_, errs[Checksum] = s.Checksum(t.Context(), "k")
		for _, err := range s.List(t.Context(), "", "") {
			errs[List] = err
		}
		for op, err := range errs {
			if salvor.ClassOf(err) != salvor.Exhausted {
				t.Errorf("%s with %+v: %v", op, r, err)
			}
		}
	}
}

func TestShortReads(t *testing.T) {
	inner := mem.New()
	if err := put(inner, "k", "0123456789"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rule Rule
		want string
		err  error
	}{
		{Rule{Short: 4}, "0123", io.ErrUnexpectedEOF},
		{Rule{Short: 4, ShortErr: io.EOF}, "0123", nil},
		{Rule{ShortErr: io.ErrClosedPipe}, "", io.ErrClosedPipe},
		{Rule{Short: 100}, "0123456789", nil},
	} {
		r, _, err := Wrap(inner, c.rule).Get(t.Context(), "k")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if string(got) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%+v: read %q, %v", c.rule, got, err)
		}
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := Wrap(mem.New(), Rule{Op: Put, Delay: time.Hour})
		begin := time.Now()
		if err := put(s, "k", "x"); err != nil || time.Since(begin) != time.Hour {
			t.Errorf("took %v, %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := s.Put(ctx, "k2", storage.BytesBlob(nil), storage.PutOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || salvor.ClassOf(err) != salvor.Unavailable {
			t.Errorf("got %v", err)
		}
	})
}
