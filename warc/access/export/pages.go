package export

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"

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
	if !isPage(x) {
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

// mostText bounds what is read of a page for its text.
const mostText = 16 << 20

func (w *textWriter) write(ctx context.Context, x access.Capture) (err error) {
	if !isPage(x) && !(x.Status == "200" && strings.HasPrefix(x.Mime, "text/plain")) {
		return nil
	}
	c, err := w.r.From.Open(ctx, x)
	if err != nil {
		if class := salvor.ClassOf(err); class == salvor.Internal || class == salvor.NotFound {
			w.r.rep.miss(err.Error())
			return nil
		}
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	body, err := c.Decoded()
	if err != nil {
		w.r.rep.miss(x.URL + ": " + err.Error())
		return nil
	}
	body, err = charset.NewReader(io.LimitReader(body, mostText), c.Get("Content-Type"))
	if err != nil {
		return nil // an empty page
	}
	t := PageText{URL: x.URL, Time: x.Time.UTC().Format(time.RFC3339), Record: x.ID}
	if isPage(x) {
		t.Title, t.Text = textOf(body)
	} else {
		b, _ := io.ReadAll(body) // what can be read of one that was cut off
		t.Text = string(b)
	}
	if strings.ContainsRune(t.Text, 0) { // no text, whatever its type says
		return nil
	}
	return w.enc.Encode(t)
}

func (w *textWriter) finish(context.Context) error { return w.enc.bw.Flush() }

// unseen are elements whose text nobody sees.
var unseen = map[string]bool{"script": true, "style": true, "noscript": true, "template": true, "svg": true, "iframe": true, "object": true}

// inline are elements that do not end a line.
var inline = map[string]bool{"a": true, "b": true, "i": true, "em": true, "strong": true, "span": true, "code": true, "small": true, "sup": true, "sub": true, "u": true, "font": true, "tt": true, "abbr": true, "cite": true, "q": true, "mark": true, "wbr": true, "img": true}

// textOf is a page's title and what a reader sees of it, a block a line.
func textOf(r io.Reader) (title, text string) {
	z := html.NewTokenizer(r)
	z.SetMaxBuf(mostText)
	var b, t strings.Builder
	skip, inTitle := 0, false
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			return strings.Join(strings.Fields(t.String()), " "), squeezed(b.String())
		}
		switch kind {
		case html.TextToken:
			switch {
			case inTitle:
				t.Write(z.Text())
			case skip == 0:
				b.Write(z.Text())
			}
		case html.StartTagToken, html.EndTagToken, html.SelfClosingTagToken:
			raw, _ := z.TagName()
			name := string(raw)
			open := kind == html.StartTagToken
			if unseen[name] && kind != html.SelfClosingTagToken {
				if open {
					skip++
				} else if skip > 0 {
					skip--
				}
			}
			if name == "title" && skip == 0 {
				inTitle = open
			}
			if !inline[name] {
				b.WriteByte('\n')
			}
		}
	}
}

// squeezed is a text without empty lines and repeated blanks.
func squeezed(s string) string {
	var b strings.Builder
	for line := range strings.SplitSeq(s, "\n") {
		if words := strings.Fields(line); len(words) > 0 {
			b.WriteString(strings.Join(words, " ") + "\n")
		}
	}
	return b.String()
}
