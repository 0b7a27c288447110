package warc

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// dateLayout is W3CDTF with milliseconds (WARC 1.1, 5.4): fine enough to tell
// two captures of a URL apart, and what a 17-digit CDX timestamp can hold.
const dateLayout = "2006-01-02T15:04:05.000Z"

const crlf = "\r\n"

// recordID is the UUID of a record; its text form is <urn:uuid:...>.
type recordID [16]byte

// newRecordID draws a version 4 UUID (RFC 9562, 5.4) from a generator that the
// caller owns: google/uuid keeps a global pool behind a lock.
func newRecordID(rng *rand.ChaCha8) (id recordID) {
	putUint64(id[:8], rng.Uint64())
	putUint64(id[8:], rng.Uint64())
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id
}

func putUint64(b []byte, v uint64) {
	for i := range 8 {
		b[i] = byte(v >> (8 * i))
	}
}

func (id recordID) append(b []byte) []byte {
	b = append(b, "<urn:uuid:"...)
	for i, n := range [...]int{4, 2, 2, 2, 6} {
		if i > 0 {
			b = append(b, '-')
		}
		b = hex.AppendEncode(b, id[:n])
		copy(id[:], id[n:])
	}
	return append(b, '>')
}

// parseID reads urn:uuid:..., and is false for ids of another kind.
func parseID(s string) (id recordID, ok bool) {
	hexed, ok := strings.CutPrefix(s, "urn:uuid:")
	digits := strings.ReplaceAll(hexed, "-", "")
	if !ok || len(hexed) != 36 || len(digits) != 32 {
		return recordID{}, false
	}
	_, err := hex.Decode(id[:], []byte(digits))
	return id, err == nil
}

func (id recordID) String() string { return string(id.append(nil)) }

// header builds the named fields of one record. The first field that must not
// be written makes it fail as a whole.
type header struct {
	b   []byte
	err error
}

func (h *header) start(typ string, id recordID, date []byte) {
	h.b = append(h.b[:0], "WARC/1.1\r\nWARC-Type: "...)
	h.b = append(h.b, typ...)
	h.b = append(h.b, "\r\nWARC-Record-ID: "...)
	h.b = id.append(h.b)
	h.b = append(h.b, "\r\nWARC-Date: "...)
	h.b = append(h.b, date...)
	h.b = append(h.b, crlf...)
	h.err = nil
}

// field appends a field whose value came from outside.
func (h *header) field(name, value string) {
	if value == "" {
		return
	}
	if err := checkValue(name, value); err != nil && h.err == nil {
		h.err = err
	}
	h.b = append(h.b, name...)
	h.b = append(h.b, ": "...)
	h.b = append(h.b, value...)
	h.b = append(h.b, crlf...)
}

func (h *header) id(name string, id recordID) {
	h.b = append(h.b, name...)
	h.b = append(h.b, ": "...)
	h.b = id.append(h.b)
	h.b = append(h.b, crlf...)
}

func (h *header) uri(u string) {
	if err := checkURI(u); err != nil && h.err == nil {
		h.err = err
	}
	h.b = append(h.b, "WARC-Target-URI: "...)
	h.b = append(h.b, u...)
	h.b = append(h.b, crlf...)
}

func (h *header) sha256(sum [32]byte) {
	h.b = append(h.b, "WARC-Block-Digest: sha256:"...)
	h.b = hex.AppendEncode(h.b, sum[:])
	h.b = append(h.b, crlf...)
}

func (h *header) payload(sum salvor.SHA1) {
	h.b = append(h.b, "WARC-Payload-Digest: sha1:"...)
	h.b = base32.StdEncoding.AppendEncode(h.b, sum[:])
	h.b = append(h.b, crlf...)
}

// end closes the header: the type and length of the block, the blank line.
func (h *header) end(contentType string, length int64) ([]byte, error) {
	h.field("Content-Type", contentType)
	h.b = append(h.b, "Content-Length: "...)
	h.b = strconv.AppendInt(h.b, length, 10)
	h.b = append(h.b, "\r\n\r\n"...)
	return h.b, h.err
}

// checkValue refuses what would break out of a header line. gowarc v1.6.0
// does not look, so values are checked before they reach it, too.
func checkValue(name, v string) error {
	for i := range len(v) {
		if c := v[i]; c < ' ' && c != '\t' || c == 0x7f {
			return salvor.Errorf(salvor.Invalid, "value of %s has the control character %q", name, c)
		}
	}
	return nil
}

// checkURI takes a serialised URI: printable ASCII without spaces. A space
// gives index lines of the wrong number of fields (webrecorder/warcio#80).
func checkURI(u string) error {
	if u == "" {
		return salvor.Errorf(salvor.Invalid, "target URI is empty")
	}
	for i := range len(u) {
		if c := u[i]; c <= ' ' || c >= 0x7f {
			return salvor.Errorf(salvor.Invalid, "target URI %.200q has the byte %q, which must be percent-encoded", u, c)
		}
	}
	return nil
}

func appendDate(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, dateLayout) }

// mediaType accepts type/subtype as RFC 6838, 4.2 has it; anything else gives "".
func mediaType(s string) string {
	slash := -1
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/' && slash < 0:
			slash = i
		case !isTokenByte(c):
			return ""
		}
	}
	if slash <= 0 || slash == len(s)-1 || len(s) > 127 {
		return ""
	}
	return s
}

// isTokenByte is tchar of RFC 9110, 5.6.2.
func isTokenByte(c byte) bool { return tokenBytes[c] }

var tokenBytes = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func sha256Text(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func sha1Text(b []byte) string { return "sha1:" + salvor.SHA1(sha1.Sum(b)).String() }
