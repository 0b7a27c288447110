package platform

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"

	"salvor"
)

const (
	leavesPer  = 24 // resources that a listing links to
	childLists = 4  // listings that a listing links to
	thumbSize  = 2 << 10
	imageSize  = 24 << 10
)

// kind is what a resource is.
type kind uint8

const (
	listing kind = iota // links to others; the first is the front page
	page
	thumb
	original
	document // of the API
)

var kindDirs = [...]string{"list", "page", "thumb", "original", "items"}

// Content is the resources of a platform, numbered from 0: first the listings,
// which make a tree, then its leaves in the order of their listings.
type Content struct {
	spec   Spec
	seed   uint64
	lists  int
	stride int   // coprime to the number of leaves: spreads the tiers over them
	cuts   []int // rank at which the next tier begins
}

// NewContent makes a platform's content. The spec must have passed Check.
func NewContent(s Spec, drill uint64) *Content {
	if len(s.Tiers) == 0 {
		s.Tiers = []Tier{{1, 1}}
	}
	c := &Content{spec: s, seed: seedOf(drill, s.Name), lists: (s.Pages + leavesPer) / (leavesPer + 1)}
	sum := 0.0
	for _, t := range s.Tiers {
		sum += t.Share
		c.cuts = append(c.cuts, int(math.Round(sum*float64(s.Pages))))
	}
	c.cuts[len(c.cuts)-1] = s.Pages
	c.stride = coprime(s.Pages-c.lists, int(c.seed%1000)+1)
	return c
}

// coprime is the first number from above 0.618 n plus some that has no factor in
// common with n.
func coprime(n, plus int) int {
	if n < 2 {
		return 1
	}
	for s := int(0.618*float64(n)) + plus; ; s++ {
		a, b := s, n
		for b > 0 {
			a, b = b, a%b
		}
		if a == 1 {
			return s
		}
	}
}

// Len is how many resources have a value.
func (c *Content) Len() int { return c.spec.Pages }

// Tier is the number of a resource's tier, from 0. Listings come first, so that
// they are in the most valuable one where it has room.
func (c *Content) Tier(i int) int {
	rank := i
	if leaves := c.spec.Pages - c.lists; i >= c.lists {
		rank = c.lists + (i-c.lists)*c.stride%leaves
	}
	for t, cut := range c.cuts {
		if rank < cut {
			return t
		}
	}
	return len(c.cuts) - 1
}

// Value is what a resource is worth.
func (c *Content) Value(i int) float64 { return c.spec.Tiers[c.Tier(i)].Value }

// kind is what a resource is. Leaves come in pairs: a thumbnail and its original
// are neighbours.
func (c *Content) kind(i int) kind {
	leaf := i - c.lists
	if leaf < 0 {
		return listing
	}
	switch u := chance(c.seed + uint64(leaf/2)); {
	case u >= c.spec.Media+c.spec.API:
		return page
	case u >= c.spec.Media:
		return document
	case leaf%2 == 0:
		return thumb
	}
	return original
}

// Path is the URL path of a resource.
func (c *Content) Path(i int) string {
	k := c.kind(i)
	switch {
	case i == 0:
		return "/"
	case k == document:
		return fmt.Sprintf("/api/v1/t%d/items/%d.json", c.Tier(i), i)
	case k >= thumb:
		return fmt.Sprintf("/t%d/%s/%d.jpg", c.Tier(i), kindDirs[k], i)
	}
	return fmt.Sprintf("/t%d/%s/%d.html", c.Tier(i), kindDirs[k], i)
}

// Index finds the resource of a path.
func (c *Content) Index(path string) (i int, ok bool) {
	if path == "/" {
		return 0, true
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	number, _, _ := strings.Cut(name, ".")
	i, err := strconv.Atoi(number)
	if err != nil || i <= 0 || i >= c.spec.Pages || c.Path(i) != path {
		return 0, false
	}
	return i, true
}

// Links are the resources that a listing links to; nil for all others.
func (c *Content) Links(i int) (out []int) {
	if i >= c.lists {
		return nil
	}
	for k := childLists*i + 1; k <= childLists*i+childLists && k < c.lists; k++ {
		out = append(out, k)
	}
	first := c.lists + i*leavesPer
	for k := first; k < first+leavesPer && k < c.spec.Pages; k++ {
		out = append(out, k)
	}
	return out
}

// Body is the bytes of a resource and their media type.
func (c *Content) Body(i int) (body []byte, mediaType string) {
	switch c.kind(i) {
	case thumb:
		return c.image(i, thumbSize), "image/jpeg"
	case original:
		return c.image(i, imageSize), "image/jpeg"
	case document:
		return fmt.Appendf(nil, "{\"id\":%d,\"platform\":%q,\"tier\":%d,\"text\":%q}\n", i, c.spec.Name, c.Tier(i), c.words(i, 60)), "application/json"
	}
	return c.html(i), "text/html; charset=utf-8"
}

// Digest is the SHA-1 of a resource's bytes, as an archive's index has it.
func (c *Content) Digest(i int) salvor.SHA1 {
	b, _ := c.Body(i)
	return sha1.Sum(b)
}

// image begins and ends as a JPEG does; between is noise.
func (c *Content) image(i, size int) []byte {
	b := make([]byte, size)
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%x %d", c.seed, i))
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	copy(b, "\xff\xd8\xff\xe0\x00\x10JFIF\x00")
	copy(b[size-2:], "\xff\xd9")
	return b
}

func (c *Content) html(i int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>%s %d</title></head>\n<body>\n<h1>%s</h1>\n", c.spec.Name, i, c.words(i, 6))
	for _, k := range c.Links(i) {
		c.link(&b, k)
	}
	fmt.Fprintf(&b, "<p>%s</p>\n</body>\n</html>\n", c.words(i+1<<40, 120))
	return b.Bytes()
}

// link shows a resource: a thumbnail is part of its page and leads to its
// original, everything else is a link.
func (c *Content) link(b *bytes.Buffer, k int) {
	switch {
	case c.kind(k) == thumb:
		fmt.Fprintf(b, "<img src=%q alt=\"%d\">\n", c.Path(k), k)
	default:
		fmt.Fprintf(b, "<a href=%q>%s</a>\n", c.Path(k), c.words(k, 3))
	}
}

var lexicon = strings.Fields(`archive autumn basalt bridge candle canyon cedar chorus copper coral dahlia delta ember
	falcon fjord forest garden glacier granite harbour hazel heron island ivory jasmine juniper kestrel lagoon lantern
	lichen linden marble meadow mirror moss nettle ocean olive orchard otter paper pebble pepper plover quarry quartz
	raven reed river saffron sparrow spruce thistle tide timber valley velvet violet walnut willow winter yarrow zephyr`)

// words are some that belong to a resource.
func (c *Content) words(i, n int) string {
	r := rand.New(rand.NewPCG(c.seed, uint64(i)))
	var b strings.Builder
	for range n {
		b.WriteString(lexicon[r.IntN(len(lexicon))])
		b.WriteByte(' ')
	}
	fmt.Fprintf(&b, "%d", i)
	return b.String()
}

// sitemap lists everything that is no document of the API (sitemaps.org 0.9).
func (c *Content) sitemap(base string) []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n")
	for i := range c.spec.Pages {
		if c.kind(i) != document {
			fmt.Fprintf(&b, "<url><loc>%s%s</loc></url>\n", base, c.Path(i))
		}
	}
	b.WriteString("</urlset>\n")
	return b.Bytes()
}
