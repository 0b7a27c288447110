package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/progress"
)

// trouble is something that a person should know, and what to do about it.
type trouble struct {
	Subject string `json:"subject"` // group N, node NAME, crawl NAME, crawls
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"`
}

const (
	// lagEntries behind the leader are seconds of a busy group's log.
	lagEntries = 20_000
	// lostContact is when a follower should have become a candidate.
	lostContact = 5 * time.Second
	// idleCrawl is how long a crawl may be without a worker: one that was made
	// just now is found by workers when they look next.
	idleCrawl = 30 * time.Second
)

// troubles is all that is wrong, the worst first: what has no leader, then
// nodes, then work. It looks at nothing but what was seen.
func (s *sight) troubles(now time.Time) []trouble {
	out := []trouble{}
	for g := range s.Cluster.Groups {
		out = append(out, s.groupTroubles(g)...)
	}
	for _, n := range s.Nodes {
		if n.Node.State != api.NodeRemoved {
			out = append(out, s.nodeTroubles(n, now)...)
		}
	}
	out = append(out, s.workTroubles(now)...)
	if s.Partial != "" {
		out = append(out, trouble{"crawls", "they could not be listed: " + s.Partial, ""})
	}
	for _, c := range s.Crawls {
		out = append(out, s.crawlTroubles(c, now)...)
	}
	return out
}

func (s *sight) groupTroubles(g int) (out []trouble) {
	name, seen := fmt.Sprintf("group %d", g), s.group(g)
	if seen.leader == nil {
		return []trouble{{name, "it has no leader: its hosts are not crawled" + s.missing(seen), "a majority of its voters has to run and reach each other: start the nodes that are silent"}}
	}
	for _, f := range seen.others {
		switch {
		case f.State == "stopped":
			out = append(out, trouble{name, f.name + " has stopped taking part", "see the log of " + f.name + ", then start it again"})
		case f.State == "candidate" || f.LastContact >= lostContact.Milliseconds():
			out = append(out, trouble{name, fmt.Sprintf("%s does not hear its leader %s", f.name, seen.by), "check the network between the two"})
		case f.LastContact < 0:
			out = append(out, trouble{name, fmt.Sprintf("%s never heard its leader %s", f.name, seen.by), "check the network between the two, and the address that " + f.name + " advertises"})
		case seen.behind(f) > lagEntries:
			out = append(out, trouble{name, fmt.Sprintf("%s is %s entries behind its leader", f.name, progress.Count(seen.behind(f))), "it catches up by itself; if the lag grows, its disk or network is too slow"})
		}
	}
	for _, id := range seen.leader.Nonvoters {
		out = append(out, trouble{name, firstOf(seen.names[id], id) + " has no vote yet: it is catching up", ""})
	}
	return out
}

// missing names the voters that nothing was heard of.
func (s *sight) missing(seen groupSight) string {
	var ids, out []string
	for _, f := range seen.others {
		ids = append(ids, f.Voters...)
	}
	for _, n := range s.Nodes {
		if n.Silent != "" && slices.Contains(ids, n.Node.ID) {
			out = append(out, n.Node.Name)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; nothing is heard of " + strings.Join(out, ", ")
}

func (s *sight) nodeTroubles(n api.NodeStatus, now time.Time) (out []trouble) {
	name := "node " + n.Node.Name
	switch {
	case n.At == 0:
		out = append(out, trouble{name, "it was never heard of" + because(n.Silent), "start it, or take it out: salvor node remove " + n.Node.Name})
	case n.Silent != "":
		out = append(out, trouble{name, "nothing was heard of it for " + since(n.At, now) + because(n.Silent), "start it, or take it out: salvor node remove " + n.Node.Name})
	case !n.Ready:
		out = append(out, trouble{name, "it is not ready" + because(strings.Join(n.Reasons, "; ")), ""})
	}
	if n.Node.Level < s.Cluster.Level {
		out = append(out, trouble{name, fmt.Sprintf("it runs at feature level %d, and the cluster is at %d", n.Node.Level, s.Cluster.Level), "install a newer version on it"})
	}
	return out
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ": " + why
}

// workTroubles are crawls that workers cannot go on with although they should.
func (s *sight) workTroubles(now time.Time) (out []trouble) {
	var rows []atWork
	for _, n := range s.Nodes {
		if n.Silent != "" || n.Node.State == api.NodeRemoved {
			continue
		}
		for _, k := range n.Work {
			if s.should(k, now) {
				rows = append(rows, atWork{n.Node.Name, k})
			}
		}
	}
	for _, x := range rows {
		if x.Refused != "" {
			out = append(out, trouble{"crawl " + x.Name, "worker " + x.Node + " has a segment that cannot be stored: " + x.Refused, "a copy of its directory ran as well: to have those captures fetched again, salvor node remove " + x.Node})
		}
	}
	for _, x := range stuck(rows) {
		out = append(out, trouble{"crawl " + x.crawl, x.text, ""})
	}
	return out
}

// should reports whether a worker has a reason to be at a crawl now.
func (s *sight) should(k api.Work, now time.Time) bool {
	for _, c := range s.Crawls {
		if c.ID == k.Crawl {
			return c.State == salvor.CrawlRunning.String() && (c.Deadline.IsZero() || c.Deadline.After(now))
		}
	}
	return k.State == "running" || k.State == "failed" // the list of crawls is not known
}

// stuckAt is a reason that some workers have not to go on with a crawl.
type stuckAt struct{ crawl, text string }

// stuck puts workers with the same reason together, in their order.
func stuck(rows []atWork) (out []stuckAt) {
	type reason struct{ crawl, how, why string }
	var order []reason
	names := map[reason][]string{}
	for _, k := range rows {
		r := reason{k.Name, "starts nothing", k.Why}
		if k.State == "failed" {
			r.how, r.why = "failed", firstOf(k.Error, k.Why)
		}
		if r.why == "" && r.how != "failed" {
			continue
		}
		if names[r] == nil {
			order = append(order, r)
		}
		names[r] = append(names[r], k.Node)
	}
	for _, r := range order {
		who := "worker " + names[r][0]
		if n := len(names[r]); n > 1 {
			who = fmt.Sprintf("each of %d workers (%s)", n, some(names[r], func(s string) string { return s }))
		}
		out = append(out, stuckAt{r.crawl, who + " " + r.how + because(r.why)})
	}
	return out
}

func (s *sight) crawlTroubles(c crawlJSON, now time.Time) []trouble {
	name := "crawl " + c.Name
	if c.State == salvor.CrawlDraft.String() {
		return []trouble{{name, "it was begun and not finished being made", "run the same salvor crawl create again, or: salvor crawl cancel " + c.Name}}
	}
	if c.State != salvor.CrawlRunning.String() || c.Open() == 0 {
		return nil
	}
	if !c.Deadline.IsZero() && !c.Deadline.After(now) {
		return []trouble{{name, fmt.Sprintf("its deadline passed %s ago with %s open: nothing more is fetched", progress.Span(now.Sub(c.Deadline)), progress.Counted(c.Open(), "URL")), "to end it: salvor crawl cancel " + c.Name}}
	}
	if len(s.workers(c.ID)) == 0 && now.Sub(c.Created) >= idleCrawl {
		return []trouble{{name, "it is running, and no worker is at it", "start a worker: salvor server on a machine that joined (salvor join)"}}
	}
	return nil
}

// atWork is a worker that has a crawl.
type atWork struct {
	Node string `json:"node"`
	api.Work
}

// workers are those at a crawl that were heard of lately.
func (s *sight) workers(id salvor.CrawlID) (out []atWork) {
	for _, n := range s.Nodes {
		if n.Silent != "" || n.Node.State == api.NodeRemoved {
			continue
		}
		for _, k := range n.Work {
			if k.Crawl == id && k.State != "ended" {
				out = append(out, atWork{n.Node.Name, k})
			}
		}
	}
	return out
}
