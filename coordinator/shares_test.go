package coordinator

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
)

// Hosts of one server share one budget, whoever leases which of them.
func TestMergedHosts(t *testing.T) {
	dir := t.TempDir()
	r := newRescue(t, startNode(t, dir))
	hosts := []string{"a.example", "b.example", "c.example"}
	for _, h := range hosts {
		r.discover(h, 0, 50)
	}
	cdn := api.HostGroup{Name: "cdn", Hosts: hosts[:2], Crawl: r.crawl.ID}
	must(t, r.MergeHosts(t.Context(), cdn))
	if err := r.MergeHosts(t.Context(), api.HostGroup{Name: "other", Hosts: hosts[1:]}); salvor.ClassOf(err) != salvor.Conflict {
		t.Errorf("a host in two groups: %v", err)
	}
	paces := map[string]salvor.Pace{}
	for _, l := range r.lease(api.Want{Hosts: 9, Items: 5}) {
		paces[l.Host] += l.Pace
	}
	if sum := paces["a.example"] + paces["b.example"]; sum != defaultStart || paces["c.example"] != defaultStart {
		t.Errorf("leased %v of %d", paces, defaultStart)
	}
	until := time.Now().Add(time.Hour)
	must(t, r.Feedback(t.Context(), []api.HostFeedback{{Crawl: r.crawl.ID, Host: "a.example", Requests: 4, Throttled: 2, RetryAfter: until.UnixMilli()}}))
	must(t, r.SetShare(t.Context(), "cdn", 700))
	r.Group = restart(t, r.Group, dir)
	list, err := r.Hosts(t.Context(), r.crawl.ID, 0)
	must(t, err)
	for _, h := range list {
		merged := h.Group == "cdn"
		if merged != (h.Name != "c.example") || merged != (h.Rate == defaultStart/2) || merged != (h.Blocked > 0) {
			t.Errorf("%+v", h)
		}
	}
	cdn.Share, cdn.Crawl = 700, 0
	groups, err := r.HostGroups(t.Context())
	must(t, err)
	if diff := cmp.Diff([]api.HostGroup{cdn}, groups); diff != "" {
		t.Error(diff)
	}
	must(t, r.SetCeiling(t.Context(), r.crawl.ID, "b.example", 300))
	list, err = r.Hosts(t.Context(), r.crawl.ID, 0)
	must(t, err)
	if list[0].Ceiling != 300 || list[2].Ceiling == 300 {
		t.Errorf("after a ceiling for one of them: %+v", list)
	}
	must(t, r.MergeHosts(t.Context(), api.HostGroup{Name: "cdn"}))
	if groups, _ := r.HostGroups(t.Context()); len(groups) != 0 {
		t.Errorf("dissolved: %+v", groups)
	}
}
