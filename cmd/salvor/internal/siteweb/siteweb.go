// Package siteweb serves what a cluster knows of sites, and who changed what, as
// JSON over HTTP.
//
// It is for nodes that coordinate, and for tests that stand in for one. Who asks
// was authenticated before; every record is signed with their name.
package siteweb

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/webjson"
	"salvor/coordinator/audit"
	"salvor/coordinator/risk"
	"salvor/coordinator/sites"
	"salvor/coordinator/trust"
)

// Server is what it serves.
type Server struct {
	Sites *sites.Sites
	Audit *audit.Log
	Now   func() time.Time
	// Probe looks at a site now and keeps what it saw; nil: nobody probes here.
	Probe func(ctx context.Context, site string) ([]risk.Observation, error)
}

// Serve answers what people ask and record of sites.
func (s *Server) Serve(mux *http.ServeMux) {
	handle := func(pattern string, f func(r *http.Request) (any, error), roles ...api.Role) {
		mux.Handle(pattern, trust.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, 1<<20)
			v, err := f(r)
			if err != nil {
				webjson.Error(w, err)
				return
			}
			webjson.Write(w, http.StatusOK, v)
		}), roles...))
	}
	handle("GET /v1/sites", s.listSites)
	handle("GET /v1/sites/{site}", s.showSite)
	handle("POST /v1/sites/{site}", s.defineSite, api.RoleOperator)
	handle("POST /v1/sites/{site}/deadlines", s.addDeadline, api.RoleOperator)
	handle("POST /v1/sites/{site}/overrides", s.addOverride, api.RoleOperator)
	handle("POST /v1/sites/{site}/observations", s.addObservations, api.RoleOperator, api.RoleWorker)
	handle("POST /v1/sites/{site}/probe", s.probeSite, api.RoleOperator)
	handle("GET /v1/audit", s.listAudit, api.RoleOperator)
}

func (s *Server) listSites(r *http.Request) (any, error) {
	all, err := s.Sites.All(r.Context())
	out := make([]sites.View, len(all))
	for i := range all {
		out[i] = all[i].View()
	}
	return out, err
}

func (s *Server) showSite(r *http.Request) (any, error) {
	i, err := s.Sites.Get(r.Context(), r.PathValue("site"))
	return i.View(), err
}

// change changes the site of a path, by what the body says, and answers as
// showSite does.
func change[T any](s *Server, r *http.Request, f func(x risk.Site, body T, who risk.Record) (risk.Site, risk.Entry, error)) (any, error) {
	var body T
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "the record cannot be read: %w", err)
	}
	by := trust.CallerOf(r.Context()).String()
	who := risk.Record{By: nameless(by), Recorded: s.Now().UTC().Truncate(time.Second)}
	_, err := s.Sites.Change(r.Context(), r.PathValue("site"), by, func(x risk.Site) (risk.Site, risk.Entry, error) { return f(x, body, who) })
	if err != nil {
		return nil, err
	}
	return s.showSite(r)
}

// nameless is who a caller is without the name of a person: what is recorded of
// sites is read by researchers, and may be published.
func nameless(caller string) string {
	id, _, _ := strings.Cut(caller, " (")
	return id
}

// define is what a site is; the body of POST /v1/sites/{site}.
type define struct {
	Class string    `json:"class"`
	Hosts []string  `json:"hosts"`
	Since time.Time `json:"since,omitzero"`
}

func (s *Server) defineSite(r *http.Request) (any, error) {
	return change(s, r, func(x risk.Site, d define, who risk.Record) (risk.Site, risk.Entry, error) {
		return x.Define(d.Class, d.Hosts, d.Since, who.By, who.Recorded)
	})
}

// addDeadline takes the place of what stands of the same end, unless the record
// names another.
func (s *Server) addDeadline(r *http.Request) (any, error) {
	return change(s, r, func(x risk.Site, d risk.Deadline, who risk.Record) (risk.Site, risk.Entry, error) {
		d.By, d.Recorded = who.By, who.Recorded
		if d.Replaces == 0 && !d.Withdrawn {
			for _, o := range x.Standing() {
				if o.What == d.What {
					d.Replaces = o.ID
				}
			}
		}
		return x.AddDeadline(d)
	})
}

func (s *Server) addOverride(r *http.Request) (any, error) {
	return change(s, r, func(x risk.Site, o risk.Override, who risk.Record) (risk.Site, risk.Entry, error) {
		o.By, o.Recorded = who.By, who.Recorded
		return x.AddOverride(o)
	})
}

// addObservations takes what somebody saw. A person's vantage is the person; a
// worker's is the worker.
func (s *Server) addObservations(r *http.Request) (any, error) {
	var list []risk.Observation
	if err := json.NewDecoder(r.Body).Decode(&list); err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "the observations cannot be read: %w", err)
	}
	c := trust.CallerOf(r.Context())
	for i := range list {
		list[i].Site = r.PathValue("site")
		if c.Key != nil || !c.Has(api.RoleCoordinator) {
			list[i].Vantage.Node = nameless(c.String())
		}
	}
	if err := s.Sites.Observe(r.Context(), list); err != nil {
		return nil, err
	}
	if err := s.note(r, c, list); err != nil {
		return nil, err
	}
	return s.showSite(r)
}

// Probed is what a look at a site saw, and what becomes of it by that.
type Probed struct {
	Seen []risk.Observation `json:"seen"`
	sites.View
}

func (s *Server) probeSite(r *http.Request) (any, error) {
	if s.Probe == nil {
		return nil, salvor.Errorf(salvor.Conflict, "nobody probes here")
	}
	seen, err := s.Probe(r.Context(), r.PathValue("site"))
	if err != nil {
		return nil, err
	}
	i, err := s.Sites.Get(r.Context(), r.PathValue("site"))
	return Probed{seen, i.View()}, err
}

// note writes into the audit log what a person saw. What nodes saw is no change
// by anybody.
func (s *Server) note(r *http.Request, c trust.Caller, list []risk.Observation) error {
	if c.Key == nil {
		return nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		return salvor.Errorf(salvor.Internal, "observations: %w", err)
	}
	return s.Audit.Append(r.Context(), audit.Entry{At: s.Now().UTC(), By: c.String(), What: "site.observed", Subject: r.PathValue("site"), Change: b})
}

// maxLines is how many lines of the audit log are told at most.
const maxLines = 5000

func (s *Server) listAudit(r *http.Request) (any, error) {
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limit < 1 || limit > maxLines {
		limit = maxLines
	}
	lines, err := s.Audit.Read(r.Context(), r.FormValue("subject"), limit)
	if lines == nil {
		lines = []audit.Entry{}
	}
	return lines, err
}
