package export

import (
	"context"
	"time"

	"salvor"
	"salvor/warc/access"
)

// Link is an edge of the link graph.
type Link struct {
	From    string `json:"from"`
	Time    string `json:"time"` // when the page was captured
	To      string `json:"to"`
	Kind    string `json:"kind"`              // Heritrix' letter: L link, E embed, R redirect ...
	Context string `json:"context,omitempty"` // where it stood: a/@href
}

type linkWriter struct {
	r   *run
	enc lineEncoder
}

func (w *linkWriter) write(ctx context.Context, x access.Capture) error {
	g, ok, err := w.r.group(ctx, x)
	if err != nil || !ok || g.Metadata == nil {
		return err
	}
	for _, l := range g.Metadata.Outlinks {
		if err := w.enc.Encode(Link{x.URL, x.Time.UTC().Format(time.RFC3339), l.URL, string(l.Hop), l.Context}); err != nil {
			return err
		}
	}
	return nil
}

func (w *linkWriter) finish(context.Context) error { return w.enc.bw.Flush() }

// group reads what belongs to a capture; false if it is damaged.
func (r *run) group(ctx context.Context, x access.Capture) (access.Group, bool, error) {
	g, err := r.From.GroupOf(ctx, x)
	if err != nil && salvor.ClassOf(err) == salvor.Internal {
		r.rep.miss(err.Error())
		return g, false, nil
	}
	return g, err == nil, err
}

// Page is a page and its title.
type Page struct {
	URL    string `json:"url"`
	Time   string `json:"time"`
	Title  string `json:"title,omitempty"`
	Via    string `json:"via,omitempty"` // the page that led to it
	Record string `json:"record,omitempty"`
}

type pageWriter struct {
	r   *run
	enc lineEncoder
}

func (w *pageWriter) write(ctx context.Context, x access.Capture) error {
	if !x.IsPage() {
		return nil
	}
	g, ok, err := w.r.group(ctx, x)
	if err != nil || !ok {
		return err
	}
	p := Page{URL: x.URL, Time: x.Time.UTC().Format(time.RFC3339), Record: x.ID}
	if g.Metadata != nil {
		p.Title, p.Via = g.Metadata.Title, g.Metadata.Via
	}
	return w.enc.Encode(p)
}

func (w *pageWriter) finish(context.Context) error { return w.enc.bw.Flush() }

// PageText is the text of a page.
type PageText struct {
	URL    string `json:"url"`
	Time   string `json:"time"`
	Title  string `json:"title,omitempty"`
	Text   string `json:"text"`
	Record string `json:"record,omitempty"`
}

type textWriter struct {
	r   *run
	enc lineEncoder
}

func (w *textWriter) write(ctx context.Context, x access.Capture) error {
	title, text, ok, err := w.r.From.Text(ctx, x)
	if err != nil {
		if class := salvor.ClassOf(err); class == salvor.Internal || class == salvor.NotFound {
			w.r.rep.miss(err.Error())
			return nil
		}
		return err
	}
	if !ok {
		return nil
	}
	return w.enc.Encode(PageText{URL: x.URL, Time: x.Time.UTC().Format(time.RFC3339), Title: title, Text: text, Record: x.ID})
}

func (w *textWriter) finish(context.Context) error { return w.enc.bw.Flush() }
