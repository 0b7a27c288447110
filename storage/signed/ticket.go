package signed

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"

	"salvor"
	"salvor/storage/s3"
)

// ticketFor is how long an upload in parts can be gone on with.
const ticketFor = 7 * 24 * time.Hour

// ticket is all that a coordinator has to know of an upload in parts. It
// travels with the worker, sealed: base64url(JSON) "." base64url(HMAC-SHA256).
type ticket struct {
	Upload s3.PresignedUpload `json:"upload"`
	Until  int64              `json:"until"` // Unix seconds
}

// seals makes tickets and knows them again.
type seals struct{ key []byte }

// newSeals derives the key for tickets from the cluster's secret, which may
// serve other ends, too.
func newSeals(secret []byte) seals {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte("salvor/storage/signed ticket 1"))
	return seals{h.Sum(nil)}
}

func (s seals) mac(payload string) []byte {
	h := hmac.New(sha256.New, s.key)
	h.Write([]byte(payload))
	return h.Sum(nil)
}

func (s seals) seal(t ticket) (string, error) {
	b, err := json.Marshal(t)
	if err != nil {
		return "", salvor.Errorf(salvor.Internal, "write a ticket: %w", err)
	}
	payload := base64.RawURLEncoding.EncodeToString(b)
	return payload + "." + base64.RawURLEncoding.EncodeToString(s.mac(payload)), nil
}

// open reads a ticket, which is Forbidden unless a coordinator with the same
// secret sealed it. Nothing of it is looked at before.
func (s seals) open(text string, now time.Time) (t ticket, err error) {
	payload, seal, _ := strings.Cut(text, ".")
	mac, err := base64.RawURLEncoding.DecodeString(seal)
	if err != nil || !hmac.Equal(mac, s.mac(payload)) {
		return t, salvor.Errorf(salvor.Forbidden, "the ticket of this upload was not made by a coordinator of this cluster").
			WithHint("begin the upload again; if it stays so, the coordinators do not share one secret")
	}
	b, err := base64.RawURLEncoding.DecodeString(payload)
	if err == nil {
		err = json.Unmarshal(b, &t)
	}
	if err != nil {
		return t, salvor.Errorf(salvor.TooNew, "the ticket of this upload cannot be read: %w", err)
	}
	if now.Unix() > t.Until {
		return t, salvor.Errorf(salvor.NotFound, "the ticket of the upload of %s has expired", t.Upload.Key)
	}
	return t, nil
}
