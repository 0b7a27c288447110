package outfit

import (
	"context"
	"errors"
	"net"
	"net/netip"

	"salvor/coordinator/risk/probe"
	"salvor/crawler/fetch"
)

// ProbeDial lets probes reach what crawls may reach.
func ProbeDial(allow func() []netip.Prefix) probe.Dialer {
	dial := fetch.Guarded(allow)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if e, ok := errors.AsType[*fetch.Error](err); ok && e.Class == fetch.ClassRefused {
			return nil, errors.Join(probe.ErrRefused, err)
		}
		return c, err
	}
}
