package job

import (
	"encoding/json"
	"log/slog"
)

// Secret is a string that must not leave the state directory: the value of a
// header, a cookie, the password of a proxy. However it is printed, logged or
// marshalled, only its presence shows; Reveal is the one way to the value.
type Secret string

const hidden = "[secret]"

// Reveal is the value itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the value from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON hides the value from every report.
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
