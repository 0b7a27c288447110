package access

import (
	"cmp"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// hitView is a page that was found by its words, on a page.
type hitView struct {
	Title, URL, When, Replay string
	Parts                    []snippetPart
}

type snippetPart struct {
	Text  string
	Found bool
}

// hitsOf is how many a page shows.
const hitsOf = 20

// words answers the search for words.
func (v *visit) words(p *searchPage, values url.Values) error {
	skip, _ := strconv.Atoi(values.Get("skip")) // of no number: none
	skip = max(0, min(skip, 100_000))
	hits, err := v.c.Words.Search(v.ctx(), p.Words, hitsOf, skip)
	if err != nil {
		return err
	}
	for _, h := range hits {
		x := Capture{Time: h.Time}
		x.URL = h.URL
		p.Hits = append(p.Hits, hitView{Title: cmp.Or(h.Title, h.URL), URL: h.URL, When: h.Time.UTC().Format(time.DateTime), Replay: v.uriM(x), Parts: parts(h.Snippet)})
	}
	if len(hits) == hitsOf {
		values.Set("skip", strconv.Itoa(skip+hitsOf))
		p.More = v.s.root(v.c.Name) + "?" + values.Encode()
	}
	return nil
}

// parts takes a snippet apart at its marks.
func parts(snippet string) (out []snippetPart) {
	for i, s := range strings.Split(snippet, MarkBegin) {
		found, rest, ok := strings.Cut(s, MarkEnd)
		if i == 0 || !ok {
			out = append(out, snippetPart{s, false})
			continue
		}
		out = append(out, snippetPart{found, true}, snippetPart{rest, false})
	}
	return out
}
