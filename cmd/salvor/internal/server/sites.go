package server

import (
	"context"
	"encoding/json"
	"time"

	"salvor"
	"salvor/coordinator/audit"
	"salvor/coordinator/pilot"
	"salvor/coordinator/plan"
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

// note writes into the audit log what a person changed. That it could not be is
// told in the node's own log: the change was made.
func (n *node) note(ctx context.Context, what, subject string, change []byte) {
	c := trust.CallerOf(ctx)
	if c.Key == nil {
		return
	}
	if !json.Valid(change) {
		change = nil
	}
	err := n.audit.Append(ctx, audit.Entry{At: time.Now().UTC(), By: c.String(), What: what, Subject: subject, Change: change})
	if err != nil {
		n.log.Warn("no line of the audit log", "what", what, "subject", subject, "by", c.String(), "error", err)
	}
}

// outlooks is what the planner is told of the end of hosts.
func (n *node) outlooks(ctx context.Context, ahead time.Duration) (func(host string) pilot.Outlook, error) {
	of, err := n.sites.Outlooks(ctx, ahead)
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
