package cli

import (
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// TestRefusedSegmentIsATrouble: a segment that the Store has with other content does
// not pass by itself, whatever else is well.
func TestRefusedSegmentIsATrouble(t *testing.T) {
	s := &sight{Status: api.Status{Nodes: []api.NodeStatus{{
		Node: api.Node{Name: "tivo42", State: api.NodeActive}, At: 1, Ready: true,
		Work: []api.Work{{Crawl: 1, Name: "one", State: "running"}},
	}}}, Crawls: []crawlJSON{{ID: 1, Name: "one", State: salvor.CrawlRunning.String()}}}
	if got := s.workTroubles(time.Now()); len(got) != 0 {
		t.Fatalf("all is well, and told is %v", got)
	}
	s.Nodes[0].Work[0].Refused = "one-20261126-00001-tivo42.warc.gz: other content"
	got := s.workTroubles(time.Now())
	if len(got) != 1 || !strings.Contains(got[0].Hint, "node remove tivo42") || !strings.Contains(got[0].Text, "other content") {
		t.Errorf("told is %+v", got)
	}
}
