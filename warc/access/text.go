package access

import (
	"context"
	"errors"
	"io"
	"strings"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
)

// IsPage says whether a capture is a page that was answered.
func (c *Capture) IsPage() bool {
	return c.Status == "200" && (strings.HasPrefix(c.Mime, "text/html") || c.Mime == "application/xhtml+xml")
}

// mostText bounds what is read of a page for its text.
const mostText = 16 << 20

// Text is what a reader sees of a page, or of a plain text. False if the capture is
// neither, or has none.
func (c *Collection) Text(ctx context.Context, x Capture) (title, text string, ok bool, err error) {
	if !x.IsPage() && !(x.Status == "200" && strings.HasPrefix(x.Mime, "text/plain")) {
		return "", "", false, nil
	}
	content, err := c.Open(ctx, x)
	if err != nil {
		return "", "", false, err
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	body, err := content.Decoded()
	if err != nil {
		return "", "", false, nil // in a coding that nobody knows
	}
	body, err = charset.NewReader(io.LimitReader(body, mostText), content.Get("Content-Type"))
	if err != nil {
		return "", "", false, nil // it is empty
	}
	if x.IsPage() {
		title, text = textOf(body)
	} else {
		b, _ := io.ReadAll(body) // what can be read of one that was cut off
		text = string(b)
	}
	return title, text, !strings.ContainsRune(text, 0), nil
}

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
