package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	table(&b, " ", []string{"NAME", ">N", "WHY"}, [][]string{{"a", "1,000", "-"}, {"böse\x1b[2J", "7", "日本 waits"}, {"日本", "", ""}})
	want := " NAME          N  WHY\n" +
		" a         1,000  -\n" +
		" böse�[2J      7  日本 waits\n" +
		" 日本\n"
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}

func TestEmphasised(t *testing.T) {
	got := emphasised("crawl a: running\n! it waits\nsaved !\nno end")
	want := "\x1b[1mcrawl a: running\x1b[0m\n\x1b[31m! it waits\x1b[0m\nsaved !\nno end"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestScreen replaces what it showed, and leaves wrapping on behind it.
func TestScreen(t *testing.T) {
	var out bytes.Buffer
	s := &screen{out: &out, live: true}
	for _, text := range []string{"one\ntwo\n", "three\n"} {
		if err := s.paint(text); err != nil {
			t.Fatal(err)
		}
	}
	want := "\x1b[?7lone\ntwo\n\x1b[?7h" + "\r\x1b[2A\x1b[J" + "\x1b[?7lthree\n\x1b[?7h"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	if err := s.paint(strings.Repeat("x\n", 100)); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 23 {
		t.Errorf("%d lines on a screen of 24", n)
	}
}
