package trust

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"regexp"
	"strings"

	"salvor"
)

// Kind is what a Credential is for.
type Kind string

const (
	JoinToken Kind = "salvor-join" // lets a machine into the cluster
	APIKey    Kind = "salvor-key"  // lets a person or script call the API
)

func (k Kind) String() string {
	if k == JoinToken {
		return "join token"
	}
	return "API key"
}

// Credential is a join token or an API key, as its holder has it. Its text is
// one line of letters, digits, dots, hyphens and underscores:
//
//	salvor-join-1.ID.SECRET.CA.CHECK
//	salvor-key-1.ID.SECRET.CA.CHECK
//
// ID has 16 hexadecimal digits, SECRET is 256 bits in base64url, CA the
// Fingerprint in hexadecimal, CHECK the CRC-32 of all before its dot.
type Credential struct {
	Kind   Kind
	ID     string // public: names the row in the registry
	Secret Secret
	CA     Fingerprint // the authority that a server must show
}

const textVersion = "1"

// Text is the line that ParseToken and ParseKey read.
func (c Credential) Text() Secret {
	body := fmt.Sprintf("%s-%s.%s.%s.%s", string(c.Kind), textVersion, c.ID, c.Secret.Reveal(), c.CA)
	return NewSecret(body + "." + checksum(body))
}

// String names the credential without its secret.
func (c Credential) String() string { return c.Kind.String() + " " + c.ID }

func checksum(s string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(s))) }

// newID draws 64 bits that name a row.
func newID() string {
	b := make([]byte, 8)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// newCredential draws one.
func newCredential(k Kind, ca Fingerprint) Credential {
	return Credential{Kind: k, ID: newID(), Secret: newSecret(), CA: ca}
}

// ParseToken reads the text of a join token; white space around it is no
// matter. No error shows any of the text.
func ParseToken(text string) (Credential, error) { return parse(JoinToken, text) }

// ParseKey reads the text of an API key, as ParseToken does.
func ParseKey(text string) (Credential, error) { return parse(APIKey, text) }

// maxText is longer than any text of a credential.
const maxText = 512

var (
	idForm   = regexp.MustCompile(`^[0-9a-f]{16}$`)
	kindForm = regexp.MustCompile(`^(salvor-(?:join|key))-([0-9]{1,4})$`)
)

func parse(want Kind, text string) (Credential, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return Credential{}, salvor.Errorf(salvor.Invalid, "the %v is empty", want).WithHint("%s", origin(want))
	case len(text) > maxText || strings.ContainsAny(text, " \t\r\n"):
		return Credential{}, malformed(want, "it is more than one line of text")
	}
	parts := strings.Split(text, ".")
	form := kindForm.FindStringSubmatch(parts[0])
	switch {
	case form == nil:
		return Credential{}, malformed(want, "it does not begin with "+string(want))
	case Kind(form[1]) != want:
		return Credential{}, salvor.Errorf(salvor.Invalid, "this is of the kind %v, and a credential of the kind %v is needed", Kind(form[1]), want).WithHint("%s", origin(want))
	case form[2] != textVersion:
		return Credential{}, salvor.Errorf(salvor.TooNew, "the %v was made by another version of salvor (form %s)", want, form[2]).
			WithHint("use the version of salvor that the cluster runs")
	}
	return fields(want, text, parts)
}

// fields reads what follows the version.
func fields(want Kind, text string, parts []string) (Credential, error) {
	cut := strings.LastIndexByte(text, '.')
	if len(parts) != 5 || checksum(text[:cut]) != parts[4] {
		return Credential{}, malformed(want, "its checksum is wrong, so a part of it is missing or changed")
	}
	c := Credential{Kind: want, ID: parts[1], Secret: NewSecret(parts[2])}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(parts[2])
	ca, caErr := hex.DecodeString(parts[3])
	if !idForm.MatchString(c.ID) || err != nil || len(raw) != secretBytes || caErr != nil || len(ca) != len(c.CA) {
		return Credential{}, malformed(want, "its parts do not have the right form")
	}
	copy(c.CA[:], ca)
	if c.Text().Reveal() != text { // upper-case digits, line ends within base64
		return Credential{}, malformed(want, "its parts do not have the right form")
	}
	return c, nil
}

func malformed(k Kind, why string) error {
	return salvor.Errorf(salvor.Invalid, "the %v is damaged: %s", k, why).WithHint("copy it again as a whole, one line; %s", origin(k))
}

// origin says where a credential comes from.
func origin(k Kind) string {
	if k == JoinToken {
		return "`salvor cluster token` prints one"
	}
	return "`salvor key create` prints one"
}
