package risk

import (
	"bytes"
	"cmp"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html/charset"

	"salvor"
)

func jsonItems(b []byte) (items []feedItem, err error) {
	var f struct {
		Version string `json:"version"`
		Items   []struct {
			ID        any        `json:"id"` // a string, but some write numbers
			URL       string     `json:"url"`
			External  string     `json:"external_url"`
			Title     string     `json:"title"`
			Text      string     `json:"content_text"`
			HTML      string     `json:"content_html"`
			Summary   string     `json:"summary"`
			Published string     `json:"date_published"`
			Exact     *exactItem `json:"_salvor"`
		} `json:"items"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "feed: %w", err)
	}
	if !strings.HasPrefix(f.Version, "https://jsonfeed.org/version/") {
		return nil, salvor.Errorf(salvor.Invalid, "feed: version %q is not JSON Feed's", cut(f.Version, 60))
	}
	for _, i := range f.Items[:min(len(f.Items), MaxCandidates)] {
		id, _ := i.ID.(string)
		items = append(items, feedItem{id, cmp.Or(i.External, i.URL), i.Title, cmp.Or(i.Text, i.HTML, i.Summary), i.Published, i.Exact})
	}
	return items, nil
}

// xmlItems reads RSS and Atom as they come: the text of an item's children by
// name, whatever is in them.
func xmlItems(b []byte) (items []feedItem, err error) {
	d := xml.NewDecoder(bytes.NewReader(b))
	d.Strict, d.Entity, d.CharsetReader = false, xml.HTMLEntity, charset.NewReaderLabel
	r := xmlReader{}
	for len(r.items) < MaxCandidates {
		token, err := d.Token()
		switch {
		case errors.Is(err, io.EOF) && r.feed:
			return r.items, nil
		case errors.Is(err, io.EOF):
			return nil, salvor.Errorf(salvor.Invalid, "feed: neither RSS nor Atom")
		case err != nil:
			return r.items, salvor.Errorf(salvor.Invalid, "feed: %w", err)
		}
		r.token(token)
	}
	return r.items, nil
}

// xmlReader is where xmlItems is.
type xmlReader struct {
	items []feedItem
	feed  bool   // its root is one
	depth int    // below the item; 0 outside of one
	field string // the child of the item that is read
	text  strings.Builder
	now   feedItem
}

func (r *xmlReader) token(t xml.Token) {
	switch t := t.(type) {
	case xml.StartElement:
		r.start(t)
	case xml.EndElement:
		r.end()
	case xml.CharData:
		if r.depth > 1 && r.text.Len() < 16*maxFeedText {
			r.text.Write(t)
		}
	}
}

func (r *xmlReader) start(t xml.StartElement) {
	switch name := t.Name.Local; {
	case name == "rss" || name == "RDF" || name == "feed":
		r.feed = true
	case r.depth == 0 && (name == "item" || name == "entry"):
		r.depth, r.now = 1, feedItem{}
		return
	case r.depth == 1:
		r.field = name
		r.text.Reset()
		r.atomLink(t)
	}
	if r.depth > 0 {
		r.depth++
		r.text.WriteByte(' ')
	}
}

// atomLink takes the link of an Atom entry that leads to its page.
func (r *xmlReader) atomLink(t xml.StartElement) {
	href, rel := "", "alternate"
	for _, a := range t.Attr {
		switch a.Name.Local {
		case "href":
			href = a.Value
		case "rel":
			rel = a.Value
		}
	}
	if t.Name.Local == "link" && rel == "alternate" && href != "" {
		r.now.link = href
	}
}

func (r *xmlReader) end() {
	if r.depth == 0 {
		return
	}
	switch r.depth--; r.depth {
	case 0:
		r.items = append(r.items, r.now)
	case 1:
		r.take(strings.TrimSpace(r.text.String()))
	}
}

func (r *xmlReader) take(s string) {
	i := &r.now
	switch r.field {
	case "title":
		i.title = s
	case "link":
		i.link = cmp.Or(s, i.link)
	case "guid", "id":
		i.id = s
	case "description", "summary":
		i.text = cmp.Or(i.text, s)
	case "encoded", "content":
		i.text = cmp.Or(s, i.text)
	case "pubDate", "published", "date":
		i.published = s
	case "updated":
		i.published = cmp.Or(i.published, s)
	}
}
