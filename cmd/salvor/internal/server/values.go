package server

import (
	"encoding/json"
	"reflect"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/coordinator/pilot"
	"salvor/crawler/scope"
)

// worths are what the value rules of crawls say, ready for the pilot, which asks
// at each look and never twice at once.
type worths map[salvor.CrawlID]worth

type worth struct {
	version uint64
	values  pilot.Values
}

// of is what a crawl's requests are worth. Where its rules cannot be read no
// worker works for it, and what is usual holds.
func (w worths) of(c api.Crawl) pilot.Values {
	if x, ok := w[c.ID]; ok && x.version == c.Version {
		return x.values
	}
	v := pilot.DefaultValues
	if x, err := outfit.ParseSpec(c.Settings); err == nil {
		if t, err := scope.CompileValues(x.ValueRules()); err == nil {
			v = valuesOf(t)
		}
	}
	w[c.ID] = worth{c.Version, v}
	return v
}

// changeOf is what the audit log says of a change of a crawl: other value rules
// are told by themselves.
func changeOf(before, after api.Crawl) (what string, change []byte) {
	a, errA := outfit.ParseSpec(before.Settings)
	b, errB := outfit.ParseSpec(after.Settings)
	if errA == nil && errB == nil && !reflect.DeepEqual(a.ValuesInForce(), b.ValuesInForce()) {
		if change, err := json.Marshal(b.ValuesInForce()); err == nil {
			return "crawl.value", change
		}
	}
	return "crawl.changed", after.Settings
}

// valuesOf are value rules as the pilot takes them.
func valuesOf(t *scope.Tiers) pilot.Values {
	v := pilot.DefaultValues
	if t.Valued() {
		v.Band, v.Rules = t.BandValue, t.BandRules
	}
	if first := t.First(); first != nil {
		v.First = nil
		for _, f := range first {
			v.First = append(v.First, pilot.First{Pages: float64(f.Pages), Times: f.Times})
		}
	}
	return v
}
