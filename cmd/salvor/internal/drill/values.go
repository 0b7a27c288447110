package drill

import (
	"fmt"

	"salvor/cmd/salvor/internal/drill/platform"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/scope"
)

// settings are those of the drill's crawl. Where the cluster decides who is served,
// it is told what an archivist would tell it: which parts of each platform are worth
// how much. The other policies divide the workers by what they know themselves.
func (d *drill) settings(connections int) job.Settings {
	s := settings(connections)
	if d.p.Own {
		s.ValueRules = valueRules(d.s.Sites, d.set.Sites)
	}
	return s
}

// valueRules say what the tiers of each platform are worth. Its resources are the
// drill's only measure: a first page counts no more than a later one.
func valueRules(sites []Site, at []*platform.Site) []scope.ValueRule {
	rules := []scope.ValueRule{{Text: "first 1 1"}}
	for i := range sites {
		for tier, x := range sites[i].Tiers {
			if scope.CheckValue(x.Value) == nil { // what is worth nothing keeps the place of its distance
				rules = append(rules, scope.ValueRule{Text: fmt.Sprintf("host:%s /t%d/ %.4g", at[i].Host, tier, x.Value)})
			}
		}
	}
	return rules
}
