package rescue

import (
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/warc"
)

// urlsOf are the URLs of seeds.
func urlsOf(seeds []job.Seed) []string {
	urls := make([]string, 0, len(seeds))
	for _, s := range seeds {
		urls = append(urls, s.URL)
	}
	return urls
}

// warcinfo is the first record of every segment.
func (r *rescue) warcinfo(string) warc.Warcinfo {
	_, crawl := r.rules()
	return outfit.Warcinfo(&r.job.Settings, crawl.Settings, urlsOf(r.job.Seeds), r.job.Version)
}
