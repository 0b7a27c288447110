package risk

import (
	"encoding/hex"
	"strings"
	"time"

	"salvor"
)

// The signals of catalogue.txt, which says what each means and weighs. A look at
// a page yields exactly one of the first group, and ends what an earlier look
// from the same vantage yielded. The others are looked for one by one: who looked
// and did not find says so (Observation.Absent).
const (
	SigHealthy    = "healthy"     // it answers with pages
	SigDown       = "down"        // no answer, refused, or 5xx
	SigOriginDown = "origin-down" // the CDN answers, the server behind it does not: 521-526, 530
	SigBotWall    = "bot-wall"    // 403, 429, a challenge
	SigLegalBlock = "legal-block" // 451
	SigSuspended  = "suspended"   // the host's page for a suspended account
	SigParked     = "parked"      // a page that sells the name
	SigUnclaimed  = "unclaimed"   // the provider knows no such site
	SigBrokenApp  = "broken-app"  // an error page of the site's own software

	SigErrors     = "errors"      // failures rise in the crawl's own stream
	SigErrorsWide = "errors-wide" // made by Assess: errors from 3 vantages for a day
	SigOwnLoad    = "own-load"    // our own requests rose in the last hour; Value is by what factor
	SigNXDomain   = "nxdomain"    // the parent zone and two resolvers know no such name
	SigDNSFailure = "dns-failure" // SERVFAIL, lame delegation

	SigExpiresSoon      = "expires-soon" // the domain, in 30 days or less
	SigExpired          = "expired"      // or in the auto-renew period, or by the registrar's date
	SigClientHold       = "client-hold"
	SigServerHold       = "server-hold"
	SigRedemption       = "redemption"
	SigPendingDelete    = "pending-delete"
	SigParkedNS         = "parked-ns" // name servers of a parking service
	SigNSChanged        = "ns-changed"
	SigRegistrarChanged = "registrar-changed"
	SigTTLDrop          = "ttl-drop"
	SigAddressChanged   = "address-changed" // to another network

	SigCertLate    = "cert-late"    // under a tenth of its life left, and long past its usual renewal
	SigCertExpired = "cert-expired" // for more than 3 days
	SigCertFresh   = "cert-fresh"   // a new one was issued

	SigBanner         = "banner" // a notice of closing in the site's frame, on 3 pages or more
	SigSunsetHeader   = "sunset-header"
	SigSignupsClosed  = "signups-closed"
	SigExportTool     = "export-tool"
	SigAppRemoved     = "app-removed"     // Subject is the store
	SigNews           = "news"            // a person says: a provider or funder is about to leave
	SigContentDecline = "content-decline" // nothing new where there used to be
	SigPagesVanish    = "pages-vanish"    // in a fixed sample that is checked again and again

	SigRobotsClosed = "robots-closed" // robots.txt turned to Disallow: /
	SigLoginWall    = "login-wall"
	SigAPIClosed    = "api-closed"
	SigBanned       = "banned" // our address or account
)

// Observation is what one look at a site found, or did not.
type Observation struct {
	Site    string    `json:"site"`              // Site.Name
	Signal  string    `json:"signal"`            // one of the catalogue's
	Subject string    `json:"subject,omitempty"` // which of several: a host, a store, a registry; at most 255 bytes
	Absent  bool      `json:"absent,omitempty"`  // looked for, and not there
	Value   float64   `json:"value,omitempty"`   // a measure, where the signal has one
	Detail  string    `json:"detail,omitempty"`  // for people, at most MaxDetail bytes
	At      time.Time `json:"at"`
	Vantage Vantage   `json:"vantage"`
	Raw     Raw       `json:"raw,omitzero"` // what was received
}

// Vantage is from where something was seen.
type Vantage struct {
	Node    string `json:"node"`              // of the cluster, or who said so: a registry, a person
	Network string `json:"network,omitempty"` // such as AS64500: two nodes of one network are one witness of a death
}

// Raw refers to the bytes an observation or a record rests on.
type Raw struct {
	SHA256 string `json:"sha256,omitempty"` // hex
	Where  string `json:"where,omitempty"`  // a WARC record, a key in the Store, a URL; at most 255 bytes
}

// MaxDetail bounds an Observation's text.
const MaxDetail = 160

// Check refuses what cannot be folded or shown.
func (o Observation) Check() error {
	bad := func(what string) error {
		return salvor.Errorf(salvor.Invalid, "observation of %q: %s", o.Site, what)
	}
	switch {
	case !tidy(o.Site, 1, 255):
		return bad("no name of a site")
	case !tidy(o.Signal, 1, 40):
		return bad("no name of a signal")
	case !tidy(o.Subject, 0, 255), !tidy(o.Vantage.Node, 1, 255), !tidy(o.Vantage.Network, 0, 64), !tidy(o.Raw.Where, 0, 255):
		return bad("a name is too long or holds signs that cannot be shown")
	case !tidy(o.Detail, 0, MaxDetail):
		return bad("its text is too long, or no plain line")
	case !dated(o.At):
		return bad("no time")
	case o.Value != o.Value:
		return bad("its value is no number")
	case o.Raw.SHA256 != "" && !isSHA256(o.Raw.SHA256):
		return bad("its hash is no SHA-256")
	}
	return nil
}

// tidy says whether s is one line of from to most bytes that a terminal may show.
func tidy(s string, from, most int) bool {
	return len(s) >= from && len(s) <= most && strings.ToValidUTF8(s, "") == s &&
		!strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 })
}

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32
}
