package server

import (
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// TestMayGrow: what is paused is neither over nor takes more; what is late is over.
func TestMayGrow(t *testing.T) {
	now := time.UnixMilli(1000)
	for _, c := range []struct {
		state       salvor.CrawlState
		deadline    int64
		grows, over bool
	}{
		{salvor.CrawlDraft, 0, false, false},
		{salvor.CrawlRunning, 0, true, false}, {salvor.CrawlRunning, 1001, true, false}, {salvor.CrawlRunning, 1000, false, true},
		{salvor.CrawlPaused, 0, false, false}, {salvor.CrawlPaused, 999, false, true},
		{salvor.CrawlDraining, 0, false, false},
		{salvor.CrawlFinished, 0, true, false}, {salvor.CrawlFinished, 999, false, true},
		{salvor.CrawlCancelled, 0, false, true}, {salvor.CrawlDeleting, 0, false, false}, {salvor.CrawlDeleted, 999, false, false},
	} {
		if grows, over := mayGrow(api.Crawl{State: c.state, Deadline: c.deadline}, now); grows != c.grows || over != c.over {
			t.Errorf("%s with a deadline at %d: grows %v, over %v", c.state, c.deadline, grows, over)
		}
	}
}
