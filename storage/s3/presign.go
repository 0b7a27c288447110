package s3

import (
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"time"

	"salvor"
	"salvor/storage"
)

// MaxTTL is the longest life of a presigned URL that S3 allows. URLs signed
// with keys that expire, such as a role's, end with these.
const MaxTTL = 7 * 24 * time.Hour

// PresignedPut lets whoever holds it put one object, and nothing else, without
// keys: the condition that the object is absent, its length and its SHA-256 are
// part of what was signed, so that the holder can neither overwrite nor put
// other bytes. It is secret until it expires, though little can be done with it.
//
// Limits: one request, so at most 5 GB, and it cannot be resumed; the URL
// cannot be taken back before it expires; a server that ignores If-None-Match
// or checksums lets more happen than was signed (Probe tells). Whoever signed
// should look with Stat or Checksum that the object is there: no word of the
// holder proves it.
type PresignedPut struct {
	Key     string      `json:"key"`
	Method  string      `json:"method"`
	URL     string      `json:"url"`
	Header  http.Header `json:"header"`   // to be sent as it is
	HeadURL string      `json:"head_url"` // to look at the object after a lost answer
	Size    int64       `json:"size"`
	SHA256  string      `json:"sha256"` // hexadecimal
	Nonce   string      `json:"nonce"`
	Expires time.Time   `json:"expires"`

	// Earlier are the nonces of puts that the holder began before this one, for
	// the same content: an object of theirs is its own, too.
	Earlier []string `json:"-"`
}

// Content is what a presigned put is for: its size and SHA-256. A storage.Blob
// is one.
type Content interface {
	Size() int64
	SHA256() [32]byte
}

// PresignPut signs a put of this content under this key.
func (s *Store) PresignPut(ctx context.Context, key string, c Content, o storage.PutOptions, ttl time.Duration) (*PresignedPut, error) {
	if err := s.startWrite(ctx, "presign", key); err != nil {
		return nil, err
	}
	ttl = ttl.Truncate(time.Second)
	switch {
	case ttl < time.Second || ttl > MaxTTL:
		return nil, salvor.Errorf(salvor.Invalid, "presign %s: %v is not between a second and seven days", key, ttl)
	case c.Size() > maxPart:
		return nil, salvor.Errorf(salvor.Invalid, "presign %s: %d bytes are more than one request can put", key, c.Size()).
			WithHint("at most 5 GiB: cut segments smaller, or give the writer keys")
	}
	w := newWrite(key, sized{c}, o)
	opts := s.options(w, map[string]string{"x-amz-checksum-sha256": base64Of(w.sum)})
	opts.SetMatchETagExcept("*")
	header := opts.Header()
	header.Set("Content-Length", strconv.FormatInt(c.Size(), 10))
	p := &PresignedPut{
		Key: key, Method: http.MethodPut, Header: flat(header), Size: c.Size(), SHA256: hex.EncodeToString(w.sum[:]),
		Nonce: w.nonce, Expires: time.Now().Add(ttl),
	}
	var err error
	if p.URL, err = s.sign(ctx, key, p.Method, p.Header, ttl); err != nil {
		return nil, err
	}
	p.HeadURL, err = s.sign(ctx, key, http.MethodHead, headHeader(), ttl)
	return p, err
}

// headHeader asks for the checksums that the server keeps.
func headHeader() http.Header { return http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}} }

func (s *Store) sign(ctx context.Context, key, method string, h http.Header, ttl time.Duration) (string, error) {
	u, err := s.core.PresignHeader(ctx, method, s.cfg.Bucket, s.object(key), ttl, nil, h)
	if err != nil {
		return "", s.fail(ctx, err, "presign", key)
	}
	return u.String(), nil
}

// flat has canonical names, as the library sets some that are not.
func flat(h http.Header) http.Header {
	out := http.Header{}
	for k, v := range h {
		for _, v := range v {
			out.Add(k, v)
		}
	}
	return out
}

// sized is a blob of which only size and digest are known.
type sized struct{ Content }

func (sized) Open() (io.ReadSeekCloser, error) {
	return nil, salvor.Errorf(salvor.Internal, "this content is not here")
}
