// Package extract finds the links of what was fetched: in HTML, CSS, sitemaps,
// feeds, robots.txt and response headers.
//
// It is for the worker, which has a page's bytes and wants every URL a browser
// or a reader could ask for, each with its kind and the place it stood in. One
// pass of byte scanners does it, with no tree and hardly an allocation. Nothing
// in the bytes is an error: what cannot be read yields no link. It guesses
// nothing out of scripts.
package extract

import (
	"salvor/crawler/canon"
)

// Kind says what a link is for; it decides scope, class and hop letter.
type Kind uint8

const (
	Page        Kind = iota // a place to go: a, area, form, canonical ...
	Requisite               // what a page needs to be shown: img, script, CSS, frames
	Redirect                // where the server sends the client
	Sitemap                 // a sitemap, or an index of them
	Feed                    // RSS, Atom or JSON feed
	Speculative             // a guess; nothing emits it yet
	NumKinds
)

var kindNames = [NumKinds]string{"page", "requisite", "redirect", "sitemap", "feed", "speculative"}

func (k Kind) String() string {
	if k < NumKinds {
		return kindNames[k]
	}
	return "unknown"
}

// Hop is the kind's letter in a discovery path, as Heritrix writes it; S for
// sitemaps and F for feeds are ours.
func (k Kind) Hop() byte {
	if k < NumKinds {
		return "LERSFX"[k]
	}
	return 'X'
}

// KindOf is the kind that Hop wrote as a letter.
func KindOf(hop byte) Kind {
	for k := range NumKinds {
		if k.Hop() == hop {
			return k
		}
	}
	return Speculative
}

// Link is one link found.
type Link struct {
	URL     canon.URL
	Kind    Kind
	Context string // where it stood: "img/@src", "header/Location"
}

// Document is one response to look through. Body is the entity without its
// content coding; it is neither changed nor kept.
type Document struct {
	Base    string // URL that answered
	Type    string // media type, as identified
	Charset string // of the Content-Type header; "" none
	Status  int
	Body    []byte
	Header  func(name string) []string // may be nil
	List    bool                       // somebody named it as a sitemap: plain text is a list of URLs
	Robots  bool                       // it is an origin's robots.txt, wherever a redirect led
}

// Info is what else was learned.
type Info struct {
	Title   string // of an HTML page: white space collapsed, at most 500 bytes
	Charset string // the encoding the page was read in; "" where none matters
	Links   int    // links emitted
	BadRefs int    // references that are no URL
	Other   int    // references to something else than http(s): mailto, javascript, data
}
