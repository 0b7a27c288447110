package fetch

import (
	"net/netip"
	"strings"
	"time"

	"salvor"
)

// Request is one thing to ask for.
type Request struct {
	URL     string      // http or https; asked for in its WHATWG serialisation, without fragment
	Method  string      // "" is GET
	Header  [][2]string // lines for this request, as Config.Header
	Body    []byte
	Referer string // the page that linked here; sent without fragment and userinfo
}

// Framing is how the end of the body was told.
type Framing uint8

const (
	None       Framing = iota // no body: HEAD, 204, 304, 101
	Length                    // Content-Length
	Chunked                   // Transfer-Encoding: chunked
	UntilClose                // the server closed
)

var framingNames = [...]string{"none", "length", "chunked", "close"}

func (f Framing) String() string { return framingNames[f&3] }

// Reasons of Capture.Truncated, as WARC-Truncated has them (ISO 28500 5.13).
const (
	TruncatedLength     = "length"
	TruncatedTime       = "time"
	TruncatedDisconnect = "disconnect"
)

// Field is one header line as it came, without the blanks around its value.
type Field struct{ Name, Value string }

// Header holds header lines in their order. Names keep their case and are
// found without regard to it; a folded value is joined by one blank.
type Header []Field

// Get is the value of the first line of that name, or "".
func (h Header) Get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Values are the values of all lines of that name, in order.
func (h Header) Values(name string) []string {
	var v []string
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			v = append(v, f.Value)
		}
	}
	return v
}

// Capture is one exchange as it went over the wire. Its owner calls Close
// when the records are written.
type Capture struct {
	URL       string // as asked for
	Method    string
	Begin     time.Time     // before the first byte was sent
	FirstByte time.Duration // from Begin to the first byte of the answer
	Duration  time.Duration // from Begin to the last byte
	IP        netip.Addr    // whom we spoke to; invalid where a proxy chose

	Request []byte // the bytes sent, without the operator's Proxy-Authorization line
	Block   *Spool // the bytes of the answer: head and body as on the wire, 1xx answers cut out
	HeadLen int    // of these, the head with its blank line; 0 for HTTP/0.9
	Status  int    // 0 where the status line has no valid one, 200 for HTTP/0.9
	Header  Header
	Framing Framing
	Interim []byte // the 1xx answers that came before

	BlockSHA256 [32]byte    // of Block
	PayloadSHA1 salvor.SHA1 // of the entity: the body with its transfer coding removed
	PayloadLen  int64       // of the entity
	Type        string      // identified media type of the entity without parameters, lower case; "" when empty

	ViewType    string // media type of View: Type, or what a packed sitemap holds; "" when there is no View
	ViewCharset string // as the header names it, lower case; may be ""

	Truncated string      // "" or one of the Truncated reasons
	Protocol  []string    // for WARC-Protocol: "http/1.1", "tls/1.3"
	Cipher    string      // IANA name of the cipher suite, "" without TLS
	Notes     []string    // every deviation from the standards that was seen; View adds those of content codings
	DNS       *Resolution // set in the first capture that uses a fresh resolution

	view view
}

// HasPayload reports whether the answer has an entity, be it empty.
func (c *Capture) HasPayload() bool { return c.Framing != None }

// note adds a deviation, once.
func (c *Capture) note(s string) {
	for _, n := range c.Notes {
		if n == s {
			return
		}
	}
	c.Notes = append(c.Notes, s)
}

// Close gives the spool back. Block and View are gone then.
func (c *Capture) Close() {
	if c == nil {
		return
	}
	c.view.drop()
	c.Block.Close()
}
