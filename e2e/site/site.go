// Package site makes synthetic web sites for end-to-end tests and benches:
// any number of pages of about 22 KB and 50 links each, the same for the same
// size on every machine, and each reachable from the first.
//
// The text is made to compress about as well as real HTML does (gzip to 0.23
// of its size), because compression is half of what a crawler computes.
package site

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Links is how many links a page holds.
const Links = 50

const (
	children = 4         // links that make the site a tree
	pageSize = 22 * 1024 // bytes a page has at least
	perDir   = 1000      // pages a directory
)

// Site describes one.
type Site struct {
	Pages int
}

// Path is the URL path of page i.
func (s Site) Path(i int) string {
	if i == 0 {
		return "/index.html"
	}
	return fmt.Sprintf("/d%03d/p%06d.html", i/perDir, i)
}

// Targets are the pages that page i links to, in the order of their links:
// first its children in a tree rooted at page 0, which reach everything, then
// others drawn from a generator seeded by i.
func (s Site) Targets(i int) []int {
	out := make([]int, 0, Links)
	for c := i*children + 1; c <= i*children+children && c < s.Pages; c++ {
		out = append(out, c)
	}
	r := newRandom(i)
	for len(out) < Links {
		out = append(out, r.below(s.Pages))
	}
	return out
}

// Page is the HTML of page i.
func (s Site) Page(i int) []byte {
	var b bytes.Buffer
	b.Grow(pageSize + 2048)
	r := newRandom(i + 1<<24)
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Page %d: %s</title>\n", i, r.words(5))
	b.WriteString("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n</head>\n<body>\n")
	fmt.Fprintf(&b, "<header class=\"site-header\"><h1 id=\"top\">%s</h1></header>\n<main class=\"content\">\n", r.words(4))
	targets := s.Targets(i)
	for n := 0; b.Len() < pageSize || len(targets) > 0; n++ {
		targets = s.paragraph(&b, r, i, n, targets)
	}
	b.WriteString("</main>\n<footer><p>The end.</p></footer>\n</body>\n</html>\n")
	return b.Bytes()
}

// paragraph writes one with up to two links and returns the links left.
func (s Site) paragraph(b *bytes.Buffer, r *random, page, n int, targets []int) []int {
	fmt.Fprintf(b, "<div class=\"post entry hentry\" id=\"post-%d-%d\"><div class=\"post-meta\" role=\"presentation\"><span class=\"author vcard\">%s</span> <span class=\"date published\">%04d-%02d-%02d</span></div>\n<p class=\"post-text\">",
		page, n, r.words(2), 2000+r.below(26), 1+r.below(12), 1+r.below(28))
	b.WriteString(r.words(22))
	for range min(2, len(targets)) {
		fmt.Fprintf(b, " <a class=\"link internal\" rel=\"bookmark\" href=\"%s\">%s</a> <em>%s</em>", s.href(page, targets[0]), r.words(3), r.words(3))
		targets = targets[1:]
	}
	fmt.Fprintf(b, " <b>%s</b> %s.</p>\n<ul class=\"post-tags\"><li class=\"tag\">%s</li><li class=\"tag\">%s</li></ul></div>\n", r.words(2), r.words(10), r.words(3), r.words(3))
	return targets
}

// href spells a link as people do: with the whole path, or relative to the
// page where both lie in the same directory.
func (s Site) href(from, to int) string {
	p := s.Path(to)
	if to%3 == 0 && filepath.Dir(s.Path(from)) == filepath.Dir(p) {
		return filepath.Base(p)
	}
	return p
}

// Write makes the site's files under dir.
func (s Site) Write(dir string) error {
	for i := range s.Pages {
		p := filepath.Join(dir, filepath.FromSlash(s.Path(i)))
		if i%perDir <= 1 {
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				return fmt.Errorf("make site: %w", err)
			}
		}
		if err := os.WriteFile(p, s.Page(i), 0o644); err != nil {
			return fmt.Errorf("make site: %w", err)
		}
	}
	return nil
}
