package access

import (
	"context"
	"time"
)

// Searcher finds pages by their words: package fulltext.
type Searcher interface {
	Search(ctx context.Context, query string, limit, offset int) ([]Hit, error)
}

// Hit is a page that was found by its words.
type Hit struct {
	URL, Record, Title string
	Time               time.Time
	Snippet            string // of its text, with what was found between MarkBegin and MarkEnd
}

// MarkBegin and MarkEnd stand around what was found: they are in no text.
const (
	MarkBegin = "\x01"
	MarkEnd   = "\x02"
)
