package trust

import (
	"context"
	"slices"

	"salvor/api"
)

// Caller is who makes a request. The zero value is a stranger, who has no
// roles.
type Caller struct {
	Node *Peer // the other end of the connection, if it is a node
	Key  *Key  // the key that was shown, if one was
	// Roles are the key's if one was shown, so that a node that passes on a
	// person's request lends it nothing; else the node's.
	Roles []api.Role
	// Address is the other end's, IP:PORT; "" in process.
	Address string
}

// Has reports whether the caller has one of some roles.
func (c Caller) Has(roles ...api.Role) bool {
	return slices.ContainsFunc(roles, func(r api.Role) bool { return slices.Contains(c.Roles, r) })
}

// String names the caller, for messages and audit logs: "key k7 (Ada)", "node
// bolakimu42", "nobody".
func (c Caller) String() string {
	switch {
	case c.Key != nil:
		return "key " + c.Key.ID + " (" + c.Key.Name + ")"
	case c.Node != nil:
		return "node " + c.Node.Name
	}
	return "nobody"
}

type callerKey struct{}

// WithCaller is a context in which calls are a caller's.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is who makes the request of a context: a stranger if nobody said.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// Local is this node itself, for calls that it makes in process.
func (i *Identity) Local() Caller {
	p := i.Peer()
	return Caller{Node: &p, Roles: p.Roles}
}
