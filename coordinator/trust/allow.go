package trust

import (
	"context"
	"fmt"
	"slices"

	"salvor"
	"salvor/api"
)

// The roles that may call a method besides admins and coordinators, who may
// call all.
var (
	reads   = []api.Role{api.RoleResearcher, api.RoleOperator, api.RoleWorker, api.RoleAccess}
	people  = []api.Role{api.RoleResearcher, api.RoleOperator, api.RoleAccess}
	steers  = []api.Role{api.RoleOperator}
	offers  = []api.Role{api.RoleOperator, api.RoleWorker}
	fetches = []api.Role{api.RoleWorker}
	nobody  = []api.Role{}
)

// methods are those of api.Group, by the names of the Go methods, and what the
// server offers besides. One that is not here is for admins and coordinators.
var methods = map[string][]api.Role{
	// api.View
	"Crawl": reads, "Crawls": reads, "Totals": reads, "Hosts": reads, "Types": reads, "Codes": reads,
	"Reasons": reads, "Lookup": reads, "Walk": reads, "Segments": reads, "Robots": reads,

	// api.Coordinator, a person's part
	"CreateCrawl": steers, "SetCrawl": offers, "Reopen": steers, "Exclude": steers, "Rank": steers, "SetCeiling": steers,

	// api.Coordinator, a worker's part
	"Register": fetches, "RegisterAs": fetches, "End": fetches, "Discover": offers, "Lease": fetches,
	"Extend": fetches, "Settle": fetches, "Feedback": fetches, "OpenSegment": fetches, "SetSegment": fetches,

	// between coordinators
	"AdoptCrawl": nobody, "CloseCrawl": nobody,

	// api.Budgets; people change the table of budgets
	"HostGroups": reads, "MergeHosts": nobody, "SetShare": nobody, "SetLimits": nobody,

	// api.Registry: AllowTable looks at the table
	"Records": reads, "SetRecord": steers,

	// the server
	"Status": people, "Presign": fetches,
	"MintToken": nobody, "ListTokens": nobody, "RevokeToken": nobody,
	"CreateKey": nobody, "ListKeys": nobody, "RevokeKey": nobody,
	"ListNodes": nobody, "SetNode": nobody, "RemoveNode": nobody,
}

// Allow decides whether the caller of a context may call a method, named as in
// the tables above, of a group. Methods of the registry need AllowTable too.
func Allow(ctx context.Context, method string, group int) error {
	c := CallerOf(ctx)
	roles := methods[method]
	switch {
	case len(c.Roles) == 0:
		return stranger()
	case c.Has(api.RoleAdmin, api.RoleCoordinator), c.Has(roles...):
		return nil
	}
	return denied(c, fmt.Sprintf("call %s of group %d", method, group), roles)
}

func stranger() error {
	return salvor.Errorf(salvor.Forbidden, "nobody can do this without an API key or a node's certificate").
		WithHint("name a key file: --key-file FILE")
}

// denied says who may what not, and which of a person's roles would do.
func denied(c Caller, what string, roles []api.Role) error {
	var enough []api.Role
	for _, r := range append(slices.Clone(roles), api.RoleAdmin) {
		if slices.Contains(personRoles, r) {
			enough = append(enough, r)
		}
	}
	return salvor.Errorf(salvor.Forbidden, "%v has the role %s and may not %s", c, joinRoles(c.Roles, " and "), what).
		WithHint("use a key with the role %s", joinRoles(enough, " or "))
}
