package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/audit"
	"salvor/coordinator/pilot"
	"salvor/coordinator/plan"
	"salvor/coordinator/risk"
	"salvor/coordinator/sites"
	"salvor/coordinator/trust"
	"salvor/storage"
)

// auditPrefix is where pages of the audit log lie in the Store that left the
// registry.
const auditPrefix = "cluster/audit/"

// openSites makes what knows the sites and who changed what.
func (n *node) openSites(context.Context) error {
	if n.coord == nil {
		return nil
	}
	n.audit = audit.New(n.router, n.shelveAudit)
	n.sites = sites.New(n.router, n.audit, time.Now)
	return nil
}

func (n *node) shelveAudit(ctx context.Context, name string, lines []byte) error {
	if n.store == nil {
		return salvor.Errorf(salvor.Unavailable, "there is no store yet")
	}
	_, err := n.store.Put(ctx, auditPrefix+name+".ndjson", storage.BytesBlob(lines), storage.PutOptions{Type: "application/x-ndjson"})
	return err
}

// outlooks is what the planner is told of the end of hosts.
func (n *node) outlooks(ctx context.Context) (func(host string) pilot.Outlook, error) {
	of, err := n.sites.Outlooks(ctx)
	if err != nil {
		return nil, err
	}
	return func(host string) pilot.Outlook {
		o := of(host)
		out := pilot.Outlook{Site: o.Site, Ends: milli(o.Ends), SafeBy: milli(o.SafeBy)}
		for _, p := range o.Points {
			out.Survival = append(out.Survival, plan.Point(p))
		}
		return out
	}, nil
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// serveSites is what people ask and record of sites.
func (n *node) serveSites(mux *http.ServeMux) {
	handle := func(pattern string, f func(r *http.Request) (any, error), roles ...api.Role) {
		mux.Handle(pattern, trust.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
			v, err := f(r)
			if err != nil {
				writeError(w, err)
				return
			}
			writeJSON(w, http.StatusOK, v)
		}), roles...))
	}
	handle("GET /v1/sites", n.listSites)
	handle("GET /v1/sites/{site}", n.showSite)
	handle("POST /v1/sites/{site}", n.defineSite, api.RoleOperator)
	handle("POST /v1/sites/{site}/deadlines", n.addDeadline, api.RoleOperator)
	handle("POST /v1/sites/{site}/overrides", n.addOverride, api.RoleOperator)
	handle("POST /v1/sites/{site}/observations", n.addObservations, api.RoleOperator, api.RoleWorker)
	handle("GET /v1/audit", n.listAudit, api.RoleOperator)
}

// SiteView is a site as the cluster tells of it.
type SiteView struct {
	Record risk.Site        `json:"record"`
	Risk   risk.Explanation `json:"risk"`
}

func viewOf(i sites.Info) SiteView { return SiteView{i.Site, i.Assessment.Explain()} }

func (n *node) listSites(r *http.Request) (any, error) {
	all, err := n.sites.All(r.Context())
	out := make([]SiteView, len(all))
	for i := range all {
		out[i] = viewOf(all[i])
	}
	return out, err
}

func (n *node) showSite(r *http.Request) (any, error) {
	i, err := n.sites.Get(r.Context(), r.PathValue("site"))
	return viewOf(i), err
}

// change changes the site of a path, by what the body says, and answers as
// showSite does.
func change[T any](n *node, r *http.Request, f func(s risk.Site, body T, who risk.Record) (risk.Site, risk.Entry, error)) (any, error) {
	var body T
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "the record cannot be read: %w", err)
	}
	who := risk.Record{By: trust.CallerOf(r.Context()).String(), Recorded: time.Now().UTC().Truncate(time.Second)}
	_, err := n.sites.Change(r.Context(), r.PathValue("site"), func(s risk.Site) (risk.Site, risk.Entry, error) { return f(s, body, who) })
	if err != nil {
		return nil, err
	}
	return n.showSite(r)
}

// define is what a site is; the body of POST /v1/sites/{site}.
type define struct {
	Class string    `json:"class"`
	Hosts []string  `json:"hosts"`
	Since time.Time `json:"since,omitzero"`
}

func (n *node) defineSite(r *http.Request) (any, error) {
	return change(n, r, func(s risk.Site, d define, who risk.Record) (risk.Site, risk.Entry, error) {
		return s.Define(d.Class, d.Hosts, d.Since, who.By, who.Recorded)
	})
}

// addDeadline takes the place of what stands of the same end, unless the record
// names another.
func (n *node) addDeadline(r *http.Request) (any, error) {
	return change(n, r, func(s risk.Site, d risk.Deadline, who risk.Record) (risk.Site, risk.Entry, error) {
		d.By, d.Recorded = who.By, who.Recorded
		if d.Replaces == 0 && !d.Withdrawn {
			for _, o := range s.Standing() {
				if o.What == d.What {
					d.Replaces = o.ID
				}
			}
		}
		return s.AddDeadline(d)
	})
}

func (n *node) addOverride(r *http.Request) (any, error) {
	return change(n, r, func(s risk.Site, o risk.Override, who risk.Record) (risk.Site, risk.Entry, error) {
		o.By, o.Recorded = who.By, who.Recorded
		return s.AddOverride(o)
	})
}

// addObservations takes what somebody saw. A person's vantage is the person; a
// worker's is the worker.
func (n *node) addObservations(r *http.Request) (any, error) {
	var list []risk.Observation
	if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "the observations cannot be read: %w", err)
	}
	c := trust.CallerOf(r.Context())
	for i := range list {
		list[i].Site = r.PathValue("site")
		if c.Key != nil || !c.Has(api.RoleCoordinator) {
			list[i].Vantage.Node = c.String()
		}
	}
	if err := n.sites.Observe(r.Context(), list); err != nil {
		return nil, err
	}
	return n.showSite(r)
}

// maxLines is how many lines of the audit log are told at most.
const maxLines = 5000

func (n *node) listAudit(r *http.Request) (any, error) {
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limit < 1 || limit > maxLines {
		limit = maxLines
	}
	lines, err := n.audit.Read(r.Context(), r.FormValue("subject"), limit)
	if lines == nil {
		lines = []audit.Entry{}
	}
	return lines, err
}
