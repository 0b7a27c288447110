package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	r := &Results{Pages: 1000, Runs: []Run{
		{Program: "wget", Pages: 1000, Wall: 2, User: 1, System: 0.5},
		{Program: "salvor", Pages: 1000, Wall: 1, User: 0.2, System: 0.1},
		{Program: "wget", Pages: 1000, Wall: 2, User: 0.8, System: 0.4},
		{Program: "salvor", Pages: 1000, Wall: 1, User: 9, System: 9},
	}}
	got := r.Table()
	for _, want := range []string{"4.00 times as many pages a CPU second", "2.00 times as many a second", "1500", "667"} {
		if !strings.Contains(got, want) {
			t.Errorf("table has no %q:\n%s", want, got)
		}
	}
	var back Results
	if err := json.Unmarshal(r.JSON(), &back); err != nil || len(back.Runs) != 4 {
		t.Errorf("JSON reads back as %+v, %v", back, err)
	}
	if v := (&Results{Runs: r.Runs[:1]}).verdict(); v != "" {
		t.Errorf("a ratio of one program: %q", v)
	}
}
