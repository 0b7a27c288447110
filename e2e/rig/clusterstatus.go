package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// ClusterStatus is what tests read of `salvor status --json`.
type ClusterStatus struct {
	Cluster struct {
		Groups int    `json:"groups"`
		Level  uint16 `json:"level"`
	} `json:"cluster"`
	Nodes []struct {
		Node struct {
			ID    string   `json:"id"`
			Name  string   `json:"name"`
			Roles []string `json:"roles"`
			State string   `json:"state"`
			Level uint16   `json:"level"`
		} `json:"node"`
		Silent string `json:"silent"`
		Ready  bool   `json:"ready"`
		Groups []struct {
			Group  int      `json:"group"`
			State  string   `json:"state"`
			Term   uint64   `json:"term"`
			Voters []string `json:"voters"`
		} `json:"groups"`
		Work []struct {
			Name     string `json:"name"`
			State    string `json:"state"`
			Captures int64  `json:"captures"`
			Held     int64  `json:"held"`
			Spooled  int64  `json:"spooled"`
			Why      string `json:"why"`
			Error    string `json:"error"`
		} `json:"work"`
	} `json:"nodes"`
	Well     bool `json:"well"`
	Troubles []struct {
		Subject string `json:"subject"`
		Text    string `json:"text"`
	} `json:"troubles"`
}

// Status asks how the cluster is; trouble is no error.
func (c *Cluster) Status(ctx context.Context) (*ClusterStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	a, err := c.Ask(ctx, "status", "--json")
	if err != nil {
		return nil, err
	}
	s := new(ClusterStatus)
	if err := json.Unmarshal([]byte(a.Stdout), s); err != nil {
		return nil, fmt.Errorf("status: exit code %d: %s", a.Exit, a.Stderr)
	}
	return s, nil
}

// count is how many nodes there are.
func (s *ClusterStatus) count() int {
	if s == nil {
		return 0
	}
	return len(s.Nodes)
}

// Leader is the name of a group's leader, of the highest term; "" none.
func (s *ClusterStatus) Leader(group int) string {
	name, term := "", uint64(0)
	for _, n := range s.Nodes {
		for _, g := range n.Groups {
			if n.Silent == "" && g.Group == group && g.State == "leader" && g.Term > term {
				name, term = n.Node.Name, g.Term
			}
		}
	}
	return name
}

// Voters is how many voters the leader of a group counts.
func (s *ClusterStatus) Voters(group int) int {
	leader := s.Leader(group)
	for _, n := range s.Nodes {
		for _, g := range n.Groups {
			if n.Node.Name == leader && g.Group == group {
				return len(g.Voters)
			}
		}
	}
	return 0
}

// CrawlSight is what tests read of `salvor crawl show --json`.
type CrawlSight struct {
	State     string `json:"state"`
	Known     int64  `json:"known"`
	Saved     int64  `json:"saved"`
	Revisits  int64  `json:"revisits"`
	Gone      int64  `json:"gone"`
	Refused   int64  `json:"refused"`
	Failed    int64  `json:"failed"`
	Excluded  int64  `json:"excluded"`
	TooBig    int64  `json:"too_big"`
	OutOfTime int64  `json:"out_of_time"`
	Queued    int64  `json:"queued"`
	Waiting   int64  `json:"waiting"`
	UnderWay  int64  `json:"under_way"`
	Captures  int64  `json:"captures"`
	// Duplicates are captures of what was saved already.
	Duplicates int64 `json:"duplicates"`
	Hosts      []struct {
		Host    string  `json:"host"`
		Open    int64   `json:"open"`
		Saved   int64   `json:"saved"`
		Rate    float64 `json:"rate_limit"`
		Booked  float64 `json:"booked"`
		Blocked string  `json:"blocked_until"`
	} `json:"hosts"`
	Workers []struct {
		Node     string  `json:"node"`
		State    string  `json:"state"`
		Captures int64   `json:"captures"`
		Held     int64   `json:"held"`
		Rate     float64 `json:"rate"`
		Why      string  `json:"why"`
		Error    string  `json:"error"`
	} `json:"workers"`
}

// Open is what has no outcome.
func (s *CrawlSight) Open() int64 { return s.Queued + s.Waiting + s.UnderWay }

// Settled is the sum of all outcomes.
func (s *CrawlSight) Settled() int64 {
	return s.Saved + s.Revisits + s.Gone + s.Refused + s.Failed + s.Excluded + s.TooBig + s.OutOfTime
}

// Crawl asks how a crawl is.
func (c *Cluster) Crawl(ctx context.Context, name string) (*CrawlSight, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := c.Do(ctx, "crawl", "show", "--json", name)
	if err != nil {
		return nil, err
	}
	s := new(CrawlSight)
	if err := json.Unmarshal([]byte(out), s); err != nil {
		return nil, fmt.Errorf("crawl show prints %q: %w", out, err)
	}
	return s, nil
}
