package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"salvor"
	"salvor/coordinator/audit"
	"salvor/coordinator/risk"
	"salvor/coordinator/sites"
)

// Sites lists what the cluster knows of sites.
func (c *Cluster) Sites(ctx context.Context) (list []sites.View, err error) {
	_, err = c.ask.any(ctx, c.addrs, "/v1/sites", &list)
	return list, err
}

// Site is one site; of one that nothing is known of, what holds for its class.
func (c *Cluster) Site(ctx context.Context, name string) (v sites.View, err error) {
	_, err = c.ask.any(ctx, c.addrs, "/v1/sites/"+url.PathEscape(name), &v)
	return v, err
}

// SetDeadline records a deadline, in the place of what stands of the same end
// unless it names another.
func (c *Cluster) SetDeadline(ctx context.Context, site string, d risk.Deadline) (sites.View, error) {
	return c.record(ctx, site, "/deadlines", d)
}

// SetOverride records what a person knows better.
func (c *Cluster) SetOverride(ctx context.Context, site string, o risk.Override) (sites.View, error) {
	return c.record(ctx, site, "/overrides", o)
}

// Observe records what a person saw.
func (c *Cluster) Observe(ctx context.Context, site string, list []risk.Observation) (sites.View, error) {
	return c.record(ctx, site, "/observations", list)
}

// DefineSite says what a site is.
func (c *Cluster) DefineSite(ctx context.Context, s risk.Site) (sites.View, error) {
	return c.record(ctx, s.Name, "", s)
}

func (c *Cluster) record(ctx context.Context, site, what string, body any) (v sites.View, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return v, salvor.Errorf(salvor.Internal, "write a record: %w", err)
	}
	_, err = c.ask.send(ctx, http.MethodPost, c.addrs, "/v1/sites/"+url.PathEscape(site)+what, b, &v)
	return v, err
}

// Audit lists who changed what: of a subject, "" all, at most limit lines.
func (c *Cluster) Audit(ctx context.Context, subject string, limit int) (lines []audit.Entry, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if subject != "" {
		q.Set("subject", subject)
	}
	_, err = c.ask.any(ctx, c.addrs, "/v1/audit?"+q.Encode(), &lines)
	return lines, err
}

// Probed is what a look at a site saw, and what becomes of it by that.
type Probed struct {
	Seen []risk.Observation `json:"seen"`
	sites.View
}

// ProbeSite has a coordinator look at a site now.
func (c *Cluster) ProbeSite(ctx context.Context, site string) (p Probed, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	_, err = c.ask.slow().send(ctx, http.MethodPost, c.addrs, "/v1/sites/"+url.PathEscape(site)+"/probe", []byte("{}"), &p)
	return p, err
}
