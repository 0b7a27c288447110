package client

// Address is the host:port of the coordinator that answered first.
func (c *Cluster) Address() string { return c.addrs[0] }
