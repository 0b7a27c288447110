package server

import (
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// TestTwins: a node that was restarted is one node; two processes that both go on
// are two, and the one that began later has to end.
func TestTwins(t *testing.T) {
	at := time.UnixMilli(1_000_000)
	for _, c := range []struct {
		name, reports string // a letter a report, three seconds apart
		refused       string // of each report
		twice         bool   // at the end
	}{
		{"one process", "aaaa", "....", false},
		{"restarted", "aaabbb", "......", false},
		{"restarted twice", "aabbcc", "......", false},
		{"of an older version", "a--a-", ".....", false},
		{"killed, and what it had sent comes late", "aaabaaabb", ".........", false}, // at once
		{"copied", "aabababb", "......!!", true},
		{"both go on", "aababab", "......!", true},
		{"the copy ended", "aabababaaaaaa", "......!......", false},
		{"the copy was heard of first", "babababa", "....!.!.", true},
		{"copied after a restart", "aabbcbcbc", "........!", true},
	} {
		w := twins{}
		now := at
		for i, r := range c.reports {
			s := api.NodeStatus{Run: string(r), Began: int64(r)}
			s.Node.ID, s.Node.Name = "n", "tivo"
			if r == '-' {
				s.Run = ""
			}
			if !strings.Contains(c.name, "late") || r == 'b' {
				now = now.Add(reportEvery)
			}
			err := w.heard(&s, now)
			if got := err != nil; got != (c.refused[i] == '!') || got && salvor.ClassOf(err) != salvor.Conflict {
				t.Errorf("%s: report %d of %c: %v", c.name, i, r, err)
			}
		}
		if got := w.twice("n", now); got != c.twice {
			t.Errorf("%s: twice is %v", c.name, got)
		}
		if w.forget(now.Add(2 * reportKept)); len(w) > 0 {
			t.Errorf("%s: it is remembered for ever", c.name)
		}
	}
}
