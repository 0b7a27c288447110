package job

import (
	"net/netip"
	"time"

	"salvor"
	"salvor/crawler/scope"
)

// Settings is every flag of `salvor save`, after parsing. Marshalled as JSON
// it holds no secret, so it may go into a warcinfo, a log, the report and the
// replicated log; what is secret travels in Secrets and is kept in a file of
// its own.
type Settings struct {
	// About the crawl; they go into each warcinfo record.
	Name        string      `json:"name"`
	Operator    string      `json:"operator,omitempty"`
	Description string      `json:"description,omitempty"`
	Contact     string      `json:"contact,omitempty"` // URL or mail address, part of the default user agent
	UserAgent   string      `json:"user_agent"`        // never empty
	RobotsAgent string      `json:"robots_agent"`      // product token that robots.txt groups are matched with
	WARCHeaders [][2]string `json:"warc_headers,omitempty"`

	// What belongs to it.
	Scope          string   `json:"scope"`                   // page, prefix, host, domain, any
	MaxHops        int      `json:"max_hops"`                // NoLimit: none
	ExtraHops      int      `json:"extra_hops"`              // pages outside the scope
	Include        []string `json:"include,omitempty"`       // regular expressions
	Exclude        []string `json:"exclude,omitempty"`       // of --exclude
	ExcludeFrom    []string `json:"exclude_from,omitempty"`  // regular expressions read from --exclude-from
	ExcludeFiles   []string `json:"exclude_files,omitempty"` // they were read from
	ExcludeSets    []string `json:"exclude_sets,omitempty"`  // names of the built-in sets in force
	PageRequisites bool     `json:"page_requisites"`
	Robots         string   `json:"robots"` // obey, strict, ignore

	// What is worth more than the rest.
	ValueRules  []scope.ValueRule `json:"value_rules,omitempty"`
	ValueFiles  []string          `json:"value_files,omitempty"`  // some were read from
	ValueRecipe string            `json:"value_recipe,omitempty"` // the last come from

	// How politely, and how stubbornly.
	MaxRate      float64 `json:"max_rate"`       // requests/s an origin at most; 0 lifts the ceiling
	MaxRateGiven bool    `json:"max_rate_given"` // the operator said so: Crawl-delay is not obeyed
	LimitRate    int64   `json:"limit_rate"`     // bytes/s of all; 0 none
	Connections  int     `json:"connections"`
	PerOrigin    int     `json:"per_origin"`
	Tries        int     `json:"tries"`

	// How it goes out.
	BindAddress netip.Addr     `json:"bind_address"`
	Proxy       string         `json:"proxy,omitempty"` // scheme://host:port, without credentials
	TLSVerify   bool           `json:"tls_verify"`
	Probe       bool           `json:"probe,omitempty"` // look at the seeds' sites, and ask third parties about them
	AllowNet    []netip.Prefix `json:"allow_net,omitempty"`
	HeaderNames []string       `json:"header_names,omitempty"` // of Secrets.Headers

	// When it ends.
	Deadline     time.Time `json:"deadline,omitzero"`       // zero: none
	DeadlineSpec string    `json:"deadline_spec,omitempty"` // as it was given
	LimitURLs    int64     `json:"limit_urls"`              // 0 none
	LimitBytes   int64     `json:"limit_bytes"`
	MaxBody      int64     `json:"max_body"`

	// How it is written.
	WARCMaxSize  int64  `json:"warc_max_size"`
	WARCPrefix   string `json:"warc_prefix"`
	WARCOutlinks bool   `json:"warc_outlinks"` // metadata records with outlinks

	// Where it is kept.
	Store    string `json:"store,omitempty"`  // URL of a Store elsewhere; "": the directory
	Mirror   string `json:"mirror,omitempty"` // URL of a second Store
	Copies   int    `json:"copies,omitempty"` // 2: nothing counts as stored that is not in both
	SpoolMax int64  `json:"spool_max"`        // bytes that may wait for it; 0 no bound

	Secrets Secrets `json:"-"`
}

// NoLimit is the MaxHops of a crawl without one.
const NoLimit = -1

// Secrets are the settings that live only in state/secrets.json (mode 0600).
type Secrets struct {
	Headers   []Header
	Cookies   []Cookie
	ProxyUser string
	ProxyPass Secret

	// The files they were read from, which a resume may not find again. Their
	// paths are nobody's business either.
	HeaderFiles []string // of each header; "" on the command line
	CookiesFile string
	ProxyFile   string // of Settings.Proxy too
}

// String hides everything, also from a log of the settings.
func (s Secrets) String() string { return hidden }

// GoString does so for %#v.
func (s Secrets) GoString() string { return hidden }

// Header is sent with every request, in this order; one that lets its bearer in,
// only to the hosts of the seeds.
type Header struct {
	Name  string
	Value Secret
}

// Cookie is one line of a cookies file.
type Cookie struct {
	Domain     string // without leading dot
	Subdomains bool   // sent to hosts below Domain too
	Path       string
	Secure     bool
	HTTPOnly   bool
	Expires    time.Time // zero: a session cookie, never expires here
	Name       string
	Value      Secret
}

// Pace is MaxRate as the frontier counts it.
func (s *Settings) Pace() salvor.Pace {
	if s.MaxRate == 0 {
		return salvor.Unlimited
	}
	return salvor.PerSecond(s.MaxRate)
}

// SeedValues are what seeds and their directories are worth, where somebody said
// so.
func SeedValues(seeds []Seed) []scope.SeedValue {
	urls := make([]string, len(seeds))
	for i, s := range seeds {
		urls[i] = s.URL
	}
	return scope.SeedValues(urls, func(i int) float64 { return seeds[i].Value })
}
