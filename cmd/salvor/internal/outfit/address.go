package outfit

import (
	"net/netip"
	"slices"
	"strings"

	"salvor"
	"salvor/crawler/fetch"
)

// Address is where a host of a crawl was before its name disappeared, as a person
// confirmed it.
type Address struct {
	Host    string     `json:"host"`
	Address netip.Addr `json:"address"`
	AnyName bool       `json:"any_name,omitempty"` // also without a certificate that names the host
	Reason  string     `json:"reason"`
	At      int64      `json:"at"` // Unix ms
}

// Check refuses what cannot be dialled or explained.
func (a Address) Check() error {
	switch {
	case a.Host == "" || len(a.Host) > 255 || strings.ContainsAny(a.Host, "/: \t\n") || a.Host != strings.ToLower(a.Host):
		return salvor.Errorf(salvor.Invalid, "%.80q is no name of a host", a.Host).WithHint("write it as plan and crawl show do: forum.example.org")
	case !a.Address.IsValid() || a.Address.Zone() != "":
		return salvor.Errorf(salvor.Invalid, "%s needs an address such as 203.0.113.7", a.Host)
	case strings.TrimSpace(a.Reason) == "" || len(a.Reason) > 500:
		return salvor.Errorf(salvor.Invalid, "no reason why %s is still at %s", a.Host, a.Address).
			WithHint("say with --reason how that is known, in at most 500 bytes: it stands in every record made so")
	}
	return nil
}

// SetAddress adds an address, in the place of another of its host.
func (x *Spec) SetAddress(a Address) error {
	if err := a.Check(); err != nil {
		return err
	}
	x.ClearAddress(a.Host)
	x.Addresses = append(x.Addresses, a)
	return nil
}

// ClearAddress takes a host's out; it is false if there is none.
func (x *Spec) ClearAddress(host string) bool {
	n := len(x.Addresses)
	x.Addresses = slices.DeleteFunc(slices.Clone(x.Addresses), func(a Address) bool { return a.Host == host })
	return len(x.Addresses) < n
}

// LastKnown are the addresses as a fetch.LastKnowns takes them.
func (x *Spec) LastKnown() map[string]fetch.LastKnown {
	out := make(map[string]fetch.LastKnown, len(x.Addresses))
	for _, a := range x.Addresses {
		out[a.Host] = fetch.LastKnown{Address: a.Address, AnyName: a.AnyName, Reason: a.Reason}
	}
	return out
}
