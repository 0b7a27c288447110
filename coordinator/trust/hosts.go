package trust

import (
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"salvor"
)

// maxNames a coordinator may have besides its address.
const maxNames = 20

var hostForm = regexp.MustCompile(`^(?i)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*$`)

// hostsOf are the names and addresses that a coordinator's certificate is
// valid for, sorted: the host of its advertised address and the others given.
func hostsOf(address string, names []string) ([]string, error) {
	host, err := splitAddress(address)
	if err != nil {
		return nil, err
	}
	if len(names) > maxNames {
		return nil, salvor.Errorf(salvor.Invalid, "%d names for one node", len(names)).WithHint("give at most %d", maxNames)
	}
	out := []string{host}
	for _, n := range names {
		if err := checkHost(n); err != nil {
			return nil, err
		}
		out = append(out, plainHost(n))
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// splitAddress is the host of an address that other nodes dial.
func splitAddress(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", salvor.Errorf(salvor.Invalid, "the address %q is not of the form host:port", address).
			WithHint("write for example node1.example.org:7420")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", salvor.Errorf(salvor.Invalid, "the address %q has no port from 1 to 65535", address)
	}
	if err := checkHost(host); err != nil {
		return "", err
	}
	return plainHost(host), nil
}

func checkHost(h string) error {
	switch ip := net.ParseIP(h); {
	case ip != nil && (ip.IsUnspecified() || ip.IsMulticast()):
		return salvor.Errorf(salvor.Invalid, "%s is no address of a machine", h).WithHint("name the one that other machines reach")
	case ip != nil:
		return nil
	case len(h) > 253 || !hostForm.MatchString(h):
		return salvor.Errorf(salvor.Invalid, "%q is neither a host name nor an IP address", h)
	case strings.HasSuffix("."+strings.ToLower(h), reserved):
		return salvor.Errorf(salvor.Invalid, "names that end in %s belong to the cluster itself: %q", reserved, h)
	}
	return nil
}

func plainHost(h string) string {
	if ip := net.ParseIP(h); ip != nil {
		return ip.String()
	}
	return strings.ToLower(h)
}
