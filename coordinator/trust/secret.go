package trust

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
)

// Secret is text that lets its holder in. However it is printed, logged or
// marshalled, only its presence shows; Reveal is the one way to the value. The
// zero value is the empty text. It hides behind a pointer because fmt goes past
// every method for a verb that does not suit a type.
type Secret struct{ text *string }

const hidden = "[secret]"

// NewSecret hides a text.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal is the text itself.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// String hides the text.
func (s Secret) String() string {
	if s.Reveal() == "" {
		return ""
	}
	return hidden
}

// Format hides the text from every verb.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue hides the text from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the text from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

const secretBytes = 32

// newSecret draws 256 bits. With so many, a plain hash cannot be searched.
func newSecret() Secret {
	b := make([]byte, secretBytes)
	rand.Read(b) // never fails
	return NewSecret(base64.RawURLEncoding.EncodeToString(b))
}

// hash is what the registry keeps of a secret.
func (s Secret) hash() string {
	h := sha256.Sum256([]byte(s.Reveal()))
	return hex.EncodeToString(h[:])
}

// is compares with a hash that the registry kept, in a time that tells
// nothing. An empty hash is nobody's.
func (s Secret) is(hash string) bool {
	return subtle.ConstantTimeCompare([]byte(s.hash()), []byte(hash)) == 1
}
