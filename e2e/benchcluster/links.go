package main

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"salvor"
	"salvor/api"
)

// web is an endless site of several hosts, whose pages nobody fetches.
type web struct {
	crawl api.Crawl
	hosts int
	next  atomic.Int64 // pages known so far
}

// offer is page i: what a worker finds in a forum, three clicks from its start.
func (w *web) offer(i int64) api.Offer {
	host := fmt.Sprintf("www%d.platform.example", i%int64(w.hosts))
	origin := "https://" + host
	url := fmt.Sprintf("%s/forum/topic/%x/view?page=%d", origin, uint64(i)*0x9e3779b97f4a7c15, i%9)
	return api.Offer{Item: salvor.Item{
		Key: salvor.ItemKey(w.crawl.HashKey, "", url, nil), Crawl: w.crawl.ID, Host: host, Origin: origin, URL: url,
		Via:   fmt.Sprintf("%s/forum/board/%d", origin, i/40),
		Class: salvor.ClassPage, Band: salvor.BandPage, Hop: salvor.Hop{Links: 3, Path: "LLL"},
	}}
}

// fresh are n pages that nobody knows yet.
func (w *web) fresh(n int) []api.Offer {
	to := w.next.Add(int64(n))
	out := make([]api.Offer, n)
	for i := range out {
		out[i] = w.offer(to - int64(n-i))
	}
	return out
}

// links are those of so many pages: of each, some lead to pages that nobody
// knows yet, the others to known ones.
func (w *web) links(pages, each, fresh int) []api.Offer {
	known := w.next.Load()
	out := w.fresh(pages * fresh)
	for range pages * (each - fresh) {
		out = append(out, w.offer(rand.Int64N(known)))
	}
	return out
}
