package fetch

import (
	"context"
	"crypto/x509"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"salvor"
)

// Config is what a Client needs. The zero value of each field works and is
// explained beside it.
type Config struct {
	UserAgent string      // User-Agent line; "" sends "salvor"
	From      string      // From line, a mail address of the operator; "" sends none
	Header    [][2]string // lines added to every request, or put in place of a default one of the same name
	// SensitiveFor limits the lines of Header that hold credentials (Sensitive
	// says which) to the hosts it is true for; it gets a host in lower case,
	// without its port. nil sends them everywhere.
	SensitiveFor func(host string) bool
	Cookies      []*http.Cookie // sent where they match; ReadCookies reads them from a Netscape cookie file

	AllowNet    []netip.Prefix // addresses the guard lets through although they are private
	BindAddress netip.Addr     // local address of every connection; the zero Addr leaves it to the system
	Proxy       string         // http://[user:password@]host:port or socks5://[user:password@]host:port; gets a name that we cannot resolve as it is; "" goes direct, whatever the environment says
	TLSVerify   bool           // refuse invalid certificates instead of noting them
	RootCAs     *x509.CertPool // whom to trust; nil is the system's set
	Resolver    Resolver       // nil asks the servers of /etc/resolv.conf, /etc/hosts first

	PerOrigin       int // open connections to one scheme, host and port; 0 is 6
	Connections     int // open connections in all; 0 is 256
	IdleConnections int // of these, kept idle for the next request; 0 is half of Connections

	LimitRate   int64    // bytes a second received, all connections together; 0 is no limit
	Shared      *Limit   // the same of several clients together; nil is none
	MaxBody     int64    // longest body kept, after which it is cut and marked "length"; 0 is no limit
	MaxHead     int64    // longest response head, after which it is cut and marked "length"; 0 is 512 KB
	MaxView     int64    // longest decoded view for extraction; 0 is 8 MB
	SpoolDir    string   // where bodies that do not fit in memory go; "" is the system's directory for temporary files
	SpoolMemory int64    // memory for bodies of all captures together; 0 is 128 MB
	Timeouts    Timeouts // zero values are the defaults
}

// Timeouts end a fetch that does not move. There is no limit for one that
// does: a body may take days.
type Timeouts struct {
	Connect    time.Duration // one connection, all its addresses together; 0 is 15 s
	TLS        time.Duration // handshake; 0 is 15 s
	FirstByte  time.Duration // from the request to the first byte of its answer; 0 is 60 s
	Silence    time.Duration // between two bytes; 0 is 60 s
	RateWindow time.Duration // MinRate is averaged over this; 0 is 60 s
	MinRate    int64         // bytes a second below which an answer is cut; 0 is 100, negative never cuts
	Idle       time.Duration // an idle connection is closed after this; 0 is 20 s
	Grace      time.Duration // wait for more where a broken message may already be complete; 0 is 5 s
	DNS        time.Duration // one resolution with all its tries; 0 is 20 s
}

// withDefaults fills what was left open.
func (c Config) withDefaults() Config {
	def(&c.UserAgent, "salvor")
	def(&c.PerOrigin, 6)
	def(&c.Connections, 256)
	def(&c.IdleConnections, max(1, c.Connections/2))
	def(&c.MaxHead, 512<<10)
	def(&c.MaxView, 32<<20)
	def(&c.SpoolMemory, 128<<20)
	t := &c.Timeouts
	def(&t.Connect, 15*time.Second)
	def(&t.TLS, 15*time.Second)
	def(&t.FirstByte, 60*time.Second)
	def(&t.Silence, 60*time.Second)
	def(&t.RateWindow, 60*time.Second)
	def(&t.MinRate, 100)
	def(&t.Idle, 20*time.Second)
	def(&t.Grace, 5*time.Second)
	def(&t.DNS, 20*time.Second)
	return c
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// check refuses what could not be sent: a line break in a header value would
// make two lines of one.
func (c *Config) check() error {
	lines := append([][2]string{{"User-Agent", c.UserAgent}, {"From", c.From}}, c.Header...)
	if err := checkLines(lines); err != nil {
		return err
	}
	for _, k := range c.Cookies {
		if strings.ContainsAny(k.Name+k.Value, "\r\n\x00;") {
			return salvor.Errorf(salvor.Invalid, "cookie %q holds a character that cannot be sent", k.Name)
		}
	}
	if c.PerOrigin < 0 || c.Connections < 0 || c.IdleConnections < 0 {
		return salvor.Errorf(salvor.Invalid, "number of connections is negative")
	}
	return nil
}

// checkLines checks header lines by RFC 9110 5.1 and 5.5.
func checkLines(lines [][2]string) error {
	for _, l := range lines {
		if l[0] == "" || strings.ContainsFunc(l[0], notToken) {
			return salvor.Errorf(salvor.Invalid, "header name %q is not a token", l[0])
		}
		if strings.ContainsAny(l[1], "\r\n\x00") {
			return salvor.Errorf(salvor.Invalid, "value of header %s holds a line break or NUL", l[0])
		}
	}
	return nil
}

func notToken(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// Resolver finds the addresses of a host name. An error that wraps
// ErrNoSuchHost is final; every other one may pass. It is called for a name
// by one goroutine at a time and its answers are cached by the Client.
type Resolver interface {
	Resolve(ctx context.Context, name string) (*Resolution, error)
}

// Resolution is the answer to one look-up.
type Resolution struct {
	Name      string
	Time      time.Time      // when the answer came
	Server    netip.AddrPort // who gave it; the zero value for /etc/hosts
	Addresses []netip.Addr
	TTL       time.Duration // shortest of the records
	Text      string        // the records as the block of a `dns:` WARC record, in Heritrix' form
	LastKnown *LastKnown    // the name is gone, and this is where it was
}
