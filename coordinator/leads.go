package coordinator

// Leads says that this node leads the group now: its calls are answered here.
// It may be over the moment after; calls say so then.
func (g *Group) Leads() bool { return g.leads() }
