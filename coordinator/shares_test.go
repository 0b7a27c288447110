package coordinator

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
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
	cdn.Rate, cdn.Ceiling, cdn.Open = defaultStart/2, defaultCeiling, 100
	groups, err := r.HostGroups(t.Context())
	must(t, err)
	if g := &groups[0]; g.Blocked != until.UnixMilli() || !strings.HasPrefix(g.Note, "slowed to 1/s") {
		t.Errorf("%+v", g)
	}
	groups[0].Blocked, groups[0].Note = 0, ""
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

// What is told of a server makes a group more careful at any time, and bolder
// only where nothing was heard since.
func TestLimitsThatAreTold(t *testing.T) {
	x := api.HostGroup{Name: "cdn", Hosts: []string{"a", "b"}, Rate: 4000, Ceiling: 20_000, Blocked: 5000}
	at := moment{mono: time.Now(), wall: 3000, ahead: 1000}
	for _, c := range []struct {
		what    string
		told    api.GroupLimits
		rate    salvor.Pace
		ceiling salvor.Pace
		blocked int64
		note    string
	}{
		{"nothing new", api.GroupLimits{Rate: 4000, Was: 4000, Ceiling: 20_000, Blocked: 4000, Note: "n"}, 0, 0, 0, ""},
		{"a lower rate", api.GroupLimits{Rate: 3000, Was: 9000, Note: "n"}, 3000, 0, 0, "n"},
		{"a higher one", api.GroupLimits{Rate: 5000, Was: 4000, Note: "n"}, 5000, 0, 0, ""},
		{"in the place of another", api.GroupLimits{Rate: 5000, Was: 4500, Note: "n"}, 0, 0, 0, ""},
		{"a later block, in this group's time", api.GroupLimits{Blocked: 4001, Note: "n"}, 0, 0, 5001, "n"},
		{"a ceiling", api.GroupLimits{Ceiling: 700}, 0, 700, 0, ""},
	} {
		b, ok := limited(at, x, c.told)
		want := frontier.SetBudget{Host: "a"}
		if c.rate > 0 {
			want.Rate = &c.rate
		}
		if c.ceiling > 0 {
			want.Ceiling = &c.ceiling
		}
		if c.blocked > 0 {
			want.Blocked = &c.blocked
		}
		if c.note != "" {
			want.Note = &c.note
		}
		if d := cmp.Diff(want, b); d != "" || ok != (c.rate+c.ceiling > 0 || c.blocked > 0) {
			t.Errorf("%s: %t %s", c.what, ok, d)
		}
	}
}
