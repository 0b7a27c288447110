// Package merge is what an operator wants of the budgets of hosts: which of them
// share one, such as those of one server.
//
// It is for who asks for it (api/route), who keeps it (group 0) and who sees to
// it (coordinator/steward). It guarantees that a wish that was checked can be
// fulfilled, and that no host is wanted in two groups.
package merge

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"salvor"
	"salvor/api"
)

// Group is a row of api.TableBudgets: an operator wants these hosts to share one
// budget. The steward brings every Raft group to it, so that one half done is
// finished, and dissolves there what has no row.
type Group struct {
	Name    string      `json:"name"`              // the row's key
	Hosts   []string    `json:"hosts"`             // in order, at most Most
	Ceiling salvor.Pace `json:"ceiling,omitempty"` // in 1/1000 requests a second; 0 the hosts' own, or the crawl's
	Made    int64       `json:"made"`              // Unix ms

	Version uint64 `json:"-"` // of the row
}

// Most is how many hosts share a budget at most.
const Most = 500

// Of reads a row.
func Of(r api.Record) (m Group, err error) {
	if err := json.Unmarshal(r.Value, &m); err != nil {
		return m, salvor.Errorf(salvor.Invalid, "budget group %s cannot be read: %w", r.Key, err)
	}
	if m.Name != r.Key {
		return m, salvor.Errorf(salvor.Invalid, "the row of budget group %s is of %s", r.Key, m.Name)
	}
	m.Version = r.Version
	return m, nil
}

// All reads a table, in its order.
func All(rows []api.Record) ([]Group, error) {
	list := make([]Group, 0, len(rows))
	for _, r := range rows {
		m, err := Of(r)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

// Record is the row, in the place of the version that was read.
func (m Group) Record() (api.Record, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return api.Record{}, fmt.Errorf("budget group %s: %w", m.Name, err)
	}
	return api.Record{Table: api.TableBudgets, Key: m.Name, Value: b, Version: m.Version}, nil
}

// Check says whether it can be so.
func (m Group) Check() error {
	switch {
	case m.Name == "" || len(m.Name) > 60 || strings.ContainsFunc(m.Name, func(r rune) bool { return r <= ' ' || r > '~' }):
		return salvor.Errorf(salvor.Invalid, "%q is no name of a budget group", m.Name).
			WithHint("Use 1 to 60 letters, digits and signs, without spaces.")
	case len(m.Hosts) < 2 || len(m.Hosts) > Most:
		return salvor.Errorf(salvor.Invalid, "budget group %s has %d hosts", m.Name, len(m.Hosts)).
			WithHint("Merge 2 to %d hosts.", Most)
	case m.Ceiling > salvor.Unlimited:
		return salvor.Errorf(salvor.Invalid, "budget group %s has a ceiling of %d", m.Name, m.Ceiling)
	}
	for i, h := range m.Hosts {
		if h == "" || len(h) > 255 || slices.Contains(m.Hosts[:i], h) {
			return salvor.Errorf(salvor.Invalid, "budget group %s: host %q is named twice, or is no name of 1 to 255 bytes", m.Name, h)
		}
	}
	return nil
}

// Apart refuses hosts that another group has: a host is in one at most.
func (m Group) Apart(all []Group) error {
	for _, o := range all {
		if o.Name == m.Name {
			continue
		}
		for _, h := range m.Hosts {
			if slices.Contains(o.Hosts, h) {
				return salvor.Errorf(salvor.Conflict, "host %s is merged in %s", h, o.Name).
					WithHint("Take it out of there first, or split that group.")
			}
		}
	}
	return nil
}

// In are the hosts that a Raft group owns, of so many groups.
func (m Group) In(group, groups int) (hosts []string) {
	for _, h := range m.Hosts {
		if api.GroupOf(h, groups) == group {
			hosts = append(hosts, h)
		}
	}
	return hosts
}
