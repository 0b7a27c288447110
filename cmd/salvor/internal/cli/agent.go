package cli

import (
	"fmt"
	"regexp"
	"strings"
)

// robotsName is the product token that robots.txt may name us by (RFC 9309
// 2.2.1).
const robotsName = "salvor"

// userAgent is what servers are told unless the operator says otherwise.
func userAgent(version, contact string) string {
	version, _, _ = strings.Cut(version, "+")
	if contact == "" {
		return fmt.Sprintf("Mozilla/5.0 (compatible; salvor/%s)", version)
	}
	return fmt.Sprintf("Mozilla/5.0 (compatible; salvor/%s; +%s)", version, contact)
}

var product = regexp.MustCompile(`[A-Za-z_-]+`)

// agentToken is the name by which robots.txt knows a user agent: the product
// after "compatible;", else the first one.
func agentToken(ua string) string {
	if _, rest, ok := strings.Cut(ua, "compatible;"); ok {
		if t := product.FindString(rest); t != "" {
			return strings.ToLower(t)
		}
	}
	if t := product.FindString(ua); t != "" {
		return strings.ToLower(t)
	}
	return robotsName
}
