package api

import "salvor"

// Course is what the planner wants of the hosts: which are served first, and how
// much of the workers' time each gets. It is soft state of the leaders: a new one
// goes without until it is told, and then the hosts are served in turn. No course
// lifts a budget.
type Course struct {
	Made  int64     `json:"made"`            // Unix ms by the planner's clock; a newer course takes the place of an older one
	Hosts []Heading `json:"hosts,omitempty"` // who is served first stands first; at most MaxHeadings
	// Rest is at most what each of the hosts gets that are not named; 0 as much as
	// their budget allows.
	Rest salvor.Pace `json:"rest,omitempty"`
}

// MaxHeadings is how many hosts a Course may name.
const MaxHeadings = 10_000

// Heading is one host of a crawl in a Course.
type Heading struct {
	Crawl salvor.CrawlID `json:"crawl"`
	Host  string         `json:"host"`
	Pace  salvor.Pace    `json:"pace,omitempty"` // all sessions together at most; 0 as much as its budget allows
	// Lasts is for how long a lease of it lasts at its pace, in ms; 0 the usual. Of a
	// host that ends soon nobody is to hold much: the best of it is to be shared.
	Lasts int64 `json:"lasts,omitempty"`
}
