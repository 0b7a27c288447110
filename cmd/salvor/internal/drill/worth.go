package drill

import (
	"fmt"

	"salvor/cmd/salvor/internal/drill/platform"
)

// Worth says of some pages of a platform that each counts so many times.
type Worth struct {
	Path  string // glob of the URL's path
	Times float64
}

// Worths are what an archivist would tell a crawl about a platform: every resource
// says in its path of which tier it is, and the first rule that fits is its value.
//
// Only the policy salvor may tell a cluster: the others know a platform's mean.
func Worths(s *platform.Spec) (out []Worth) {
	for k, t := range s.Tiers {
		out = append(out, Worth{fmt.Sprintf("/t%d/*", k), t.Value}, Worth{fmt.Sprintf("/api/v1/t%d/*", k), t.Value})
	}
	if len(s.Tiers) > 0 {
		out = append(out, Worth{"/", s.Tiers[0].Value}) // the front page
	}
	return out
}
