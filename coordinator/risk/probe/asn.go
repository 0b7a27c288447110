package probe

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"

	"github.com/oschwald/maxminddb-golang/v2"

	"salvor"
	"salvor/storage/durable"
)

// ASN is a database of who announces an address, in the form of MaxMind DB. None is
// shipped: their licences do not allow it. It is safe for concurrent use.
type ASN struct {
	r *maxminddb.Reader
}

// OpenASN opens a file. Invalid for one that is no such database.
func OpenASN(file string) (*ASN, error) {
	r, err := maxminddb.Open(file)
	if err != nil {
		if _, ok := errors.AsType[*fs.PathError](err); ok {
			return nil, durable.Error(err, "read", file)
		}
		return nil, salvor.Errorf(salvor.Invalid, "%s is no database of networks: %w", file, err).
			WithHint("give a file in MaxMind's format (.mmdb) with autonomous_system_number, as GeoLite2-ASN or DB-IP ASN Lite")
	}
	return &ASN{r}, nil
}

// Of is the autonomous system of an address, such as AS64500; "" where it is not
// known.
func (a *ASN) Of(at netip.Addr) string {
	if a == nil {
		return ""
	}
	var n uint32
	if err := a.r.Lookup(at.Unmap()).DecodePath(&n, "autonomous_system_number"); err != nil || n == 0 {
		return ""
	}
	return fmt.Sprintf("AS%d", n)
}

// Close gives the file back.
func (a *ASN) Close() error {
	if a == nil {
		return nil
	}
	return a.r.Close()
}
