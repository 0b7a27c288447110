package index

import (
	"strings"
	"testing"

	"salvor"
)

// TestFullDisk: where there is no room nothing is added, and what is there is found.
func TestFullDisk(t *testing.T) {
	x, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	line := "test,a)/ 20261124010203 {\"url\": \"http://a.test/\"}\n"
	if _, _, err := x.Add(t.Context(), "one", strings.NewReader(line)); err != nil {
		t.Fatal(err)
	}
	x.room = func() error { return roomIn("here", func(string) (uint64, bool) { return leastRoom - 1, true }) }
	if _, _, err := x.Add(t.Context(), "two", strings.NewReader(line)); salvor.ClassOf(err) != salvor.Exhausted || salvor.HintOf(err) == "" {
		t.Errorf("on a full disk: %v", err)
	}
	n := 0
	if err := x.Scan(t.Context(), Span{}, func(*Entry) bool { n++; return true }); err != nil || n != 1 {
		t.Errorf("%d lines are found, %v", n, err)
	}
	x.room = func() error { return roomIn("here", func(string) (uint64, bool) { return 0, false }) }
	if added, _, err := x.Add(t.Context(), "two", strings.NewReader(line)); !added || err != nil {
		t.Errorf("where it cannot be told: %v %v", added, err)
	}
}
