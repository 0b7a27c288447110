// Package platform serves synthetic platforms that are about to disappear: pages,
// media, an API, with the manners and the troubles of real ones, on loopback
// addresses.
//
// It is for drills. A platform is the same for the same seed on every machine,
// no two of its resources have the same bytes, and every resource says in its
// path how much it is worth. It guarantees that what it counts as served was
// written whole to whoever asked, and that it answers as its Conduct says and by
// the drill's clock only.
package platform

import (
	"hash/fnv"
	"time"

	"salvor"
)

// Spec is one platform.
type Spec struct {
	Name   string
	Group  string  // platforms of one group share a rate limit; "" has its own
	Pages  int     // resources of value, of all kinds, the front page included
	Tiers  []Tier  // the most valuable first; none is one tier of value 1
	Media  float64 // share of the resources that are thumbnails and their originals
	API    float64 // share of the resources that are documents of the API
	Listed bool    // a sitemap, which robots.txt names, lists all pages and media
	Manner Conduct
}

// Tier is resources of one value.
type Tier struct {
	Share float64 // of Pages
	Value float64 // of each
}

// Conduct is how a platform treats who asks. Times count from the beginning of
// the drill; a zero one never comes.
type Conduct struct {
	Latency time.Duration // of every answer
	Tail    Tail
	Rate    float64 // requests a second, more get 429; 0 any number
	Changes []Change
	Ban     Ban
	Storms  []Storm
	// ReadOnly is when only GET and HEAD are answered any more.
	ReadOnly time.Duration
	// Death is when it ends, whatever was announced.
	Death time.Duration
	End   End
}

// Tail is the slow answers.
type Tail struct {
	Share   float64 // of the answers
	Latency time.Duration
}

// Change is another Rate from a moment on.
type Change struct {
	At   time.Duration
	Rate float64
}

// Ban is what comes of asking on when told to wait: 403.
type Ban struct {
	After  int           // refusals; 0 never
	Within time.Duration // counted over so long; 0 is 10 s
	For    time.Duration
}

// Storm is a time when some answers are 503 without Retry-After.
type Storm struct {
	From, To time.Duration
	Share    float64 // of the answers
}

// End is what is left of a dead platform.
type End uint8

const (
	Refused   End = iota // nothing listens any more
	Suspended            // every path answers with the same page of the provider
)

// Check refuses what cannot be served.
func (s *Spec) Check() error {
	sum := 0.0
	for _, t := range s.Tiers {
		if t.Share < 0 || t.Value < 0 {
			return salvor.Errorf(salvor.Invalid, "platform %s has a tier of share %g and value %g", s.Name, t.Share, t.Value)
		}
		sum += t.Share
	}
	switch {
	case s.Pages < 1:
		return salvor.Errorf(salvor.Invalid, "platform %s has %d pages", s.Name, s.Pages).WithHint("it needs one at least, its front page")
	case len(s.Tiers) > 0 && (sum < 0.999 || sum > 1.001):
		return salvor.Errorf(salvor.Invalid, "the tiers of platform %s are %.3g of it", s.Name, sum).WithHint("let their shares make 1")
	case s.Listed && s.Pages > mostListed:
		return salvor.Errorf(salvor.Invalid, "platform %s has %d pages, and a sitemap holds %d", s.Name, s.Pages, mostListed)
	case s.Media < 0 || s.API < 0 || s.Media+s.API > 1:
		return salvor.Errorf(salvor.Invalid, "platform %s is to have %g media and %g documents of an API", s.Name, s.Media, s.API)
	}
	return nil
}

// Mean is what a resource is worth on average.
func (s *Spec) Mean() (sum float64) {
	if len(s.Tiers) == 0 {
		return 1
	}
	for _, t := range s.Tiers {
		sum += t.Share * t.Value
	}
	return sum
}

// mostListed is how many URLs a sitemap may have (sitemaps.org).
const mostListed = 50_000

// seedOf makes every platform of a drill another one.
func seedOf(drill uint64, name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name)) // never fails
	return mix(drill ^ h.Sum64())
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): it makes numbers
// that look drawn out of numbers that are counted.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// chance is a number in [0,1) that belongs to x.
func chance(x uint64) float64 { return float64(mix(x)>>11) / (1 << 53) }
