package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// Manifest describes content that is to go up in parts. The writer computes it
// and hands it to whoever signs.
type Manifest struct {
	Length    int64    `json:"length"`
	Digest    string   `json:"sha256"` // hexadecimal
	PartSize  int64    `json:"part_size"`
	CRC64NVME string   `json:"crc64nvme"` // of the whole, base64
	Parts     []string `json:"parts"`     // CRC64NVME of each part, base64
}

// Size and SHA256 make a Manifest a Content.
func (m Manifest) Size() int64      { return m.Length }
func (m Manifest) SHA256() [32]byte { return unhex(m.Digest) }

// MakeManifest reads a blob once.
func MakeManifest(ctx context.Context, b storage.Blob, partSize int64) (Manifest, error) {
	if partSize < minPart || partSize > maxPart || b.Size() > partSize*maxParts || b.Size() == 0 {
		return Manifest{}, salvor.Errorf(salvor.Invalid, "%d bytes cannot go up in parts of %d", b.Size(), partSize)
	}
	src, err := openSource(ctx, "", b)
	if err != nil {
		return Manifest{}, err
	}
	defer src.Close()
	m := Manifest{Length: b.Size(), PartSize: partSize}
	whole := newCRC()
	buf := make([]byte, 256<<10)
	for left := m.Length; left > 0; left -= partSize {
		part := newCRC()
		if _, err := io.CopyBuffer(io.MultiWriter(whole, part), io.LimitReader(src, partSize), buf); err != nil {
			return Manifest{}, err
		}
		m.Parts = append(m.Parts, text64(part))
	}
	sum := b.SHA256()
	m.Digest, m.CRC64NVME = hex.EncodeToString(sum[:]), text64(whole)
	return m, nil
}

func (m Manifest) check() error {
	switch {
	case m.PartSize < minPart, m.PartSize > maxPart, m.Length < 1, len(m.Parts) > maxParts,
		int64(len(m.Parts)) != (m.Length+m.PartSize-1)/m.PartSize, len(m.Digest) != 2*sha256.Size, m.SHA256() == [32]byte{}:
		return salvor.Errorf(salvor.Invalid, "the manifest of an upload contradicts itself")
	}
	for _, v := range append([]string{m.CRC64NVME}, m.Parts...) {
		if b, err := base64.StdEncoding.DecodeString(v); err != nil || len(b) != 8 {
			return salvor.Errorf(salvor.Invalid, "the manifest of an upload has the CRC64NVME %.40q", v)
		}
	}
	return nil
}

// PresignedUpload lets its holder send the parts of one object without keys:
// each part's length and CRC64NVME are signed. The object appears only when
// whoever signed completes it, put if absent, with the CRC64NVME of the whole.
// The SHA-256 of an object in parts is what its writer said.
type PresignedUpload struct {
	Key      string          `json:"key"`
	UploadID string          `json:"upload_id"`
	Nonce    string          `json:"nonce"`
	Manifest Manifest        `json:"manifest"`
	Parts    []PresignedPart `json:"parts"`
	Expires  time.Time       `json:"expires"`
}

// PresignedPart is one request of a PresignedUpload.
type PresignedPart struct {
	URL    string      `json:"url"`
	Header http.Header `json:"header"`
}

// PresignUpload begins an upload and signs its parts. An upload that nobody
// completes or aborts is AbortOrphans' to remove.
func (s *Store) PresignUpload(ctx context.Context, key string, m Manifest, o storage.PutOptions, ttl time.Duration) (*PresignedUpload, error) {
	p, err := s.BeginPresigned(ctx, key, m, o)
	if err != nil {
		return nil, err
	}
	p.Expires = time.Now().Add(ttl.Truncate(time.Second))
	if p.Parts, err = s.SignParts(ctx, p, 0, len(m.Parts), ttl); err != nil {
		s.AbortPresigned(ctx, p)
		return nil, err
	}
	return p, nil
}

// BeginPresigned begins an upload without signing its parts, which SignParts
// does a few at a time.
func (s *Store) BeginPresigned(ctx context.Context, key string, m Manifest, o storage.PutOptions) (*PresignedUpload, error) {
	if err := s.startWrite(ctx, "presign", key); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	w := newWrite(key, sized{m}, o)
	u, err := s.newUpload(ctx, w, m.PartSize)
	if err != nil {
		return nil, err
	}
	return &PresignedUpload{Key: key, UploadID: u.ID, Nonce: w.nonce, Manifest: m}, nil
}

// SignParts signs n parts of an upload, or those there are, from the one with
// index from on.
func (s *Store) SignParts(ctx context.Context, p *PresignedUpload, from, n int, ttl time.Duration) ([]PresignedPart, error) {
	ttl = ttl.Truncate(time.Second)
	switch {
	case ttl < time.Second || ttl > MaxTTL:
		return nil, salvor.Errorf(salvor.Invalid, "presign %s: %v is not between a second and seven days", p.Key, ttl)
	case from < 0 || n < 0 || from > len(p.Manifest.Parts):
		return nil, salvor.Errorf(salvor.Invalid, "presign %s: it has %d parts, none from %d on", p.Key, len(p.Manifest.Parts), from)
	}
	parts := make([]PresignedPart, 0, min(n, len(p.Manifest.Parts)-from))
	for i := from; i < from+cap(parts); i++ {
		part, err := s.signPart(ctx, p, i, ttl)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// SentParts asks the server which parts of an upload it has: their ETags by
// index, "" for those to be sent. NotFound says that the upload is gone.
func (s *Store) SentParts(ctx context.Context, p *PresignedUpload) ([]string, error) {
	if err := s.startWrite(ctx, "put", p.Key); err != nil {
		return nil, err
	}
	u := s.uploadOf(p)
	u.old = true
	had, err := s.listParts(ctx, p.Key, u)
	if err != nil {
		return nil, ifGone(p.Key, err)
	}
	etags := make([]string, len(p.Manifest.Parts))
	for i, crc := range p.Manifest.Parts {
		h := had[i+1]
		if h.Size == p.partLen(i) && (h.ChecksumCRC64NVME == "" || h.ChecksumCRC64NVME == crc) {
			etags[i] = h.ETag
		}
	}
	return etags, nil
}

// ifGone gives errGone its class.
func ifGone(key string, err error) error {
	if !errors.Is(err, errGone) {
		return err
	}
	return salvor.Errorf(salvor.NotFound, "put %s: %w", key, err).
		WithHint("somebody aborted it, a lifecycle rule perhaps: begin the upload again")
}

func (p *PresignedUpload) partLen(i int) int64 {
	return min(p.Manifest.PartSize, p.Manifest.Length-int64(i)*p.Manifest.PartSize)
}

func (s *Store) signPart(ctx context.Context, p *PresignedUpload, i int, ttl time.Duration) (PresignedPart, error) {
	h := http.Header{
		"X-Amz-Checksum-Crc64nvme": {p.Manifest.Parts[i]},
		"Content-Length":           {strconv.FormatInt(p.partLen(i), 10)},
	}
	q := url.Values{"partNumber": {strconv.Itoa(i + 1)}, "uploadId": {p.UploadID}}
	u, err := s.core.PresignHeader(ctx, http.MethodPut, s.cfg.Bucket, s.object(p.Key), ttl, q, h)
	if err != nil {
		return PresignedPart{}, s.fail(ctx, err, "presign", p.Key)
	}
	return PresignedPart{u.String(), h}, nil
}

// CompletePresigned makes the object visible unless there is one, as Put does.
// Repeating it is harmless. NotFound says that the upload is gone.
func (s *Store) CompletePresigned(ctx context.Context, p *PresignedUpload, etags []string) (storage.Info, error) {
	if err := s.startWrite(ctx, "put", p.Key); err != nil {
		return storage.Info{}, err
	}
	if len(etags) != len(p.Manifest.Parts) {
		return storage.Info{}, salvor.Errorf(salvor.Invalid, "put %s: %d parts of %d were sent", p.Key, len(etags), len(p.Manifest.Parts))
	}
	w := newWrite(p.Key, sized{p.Manifest}, storage.PutOptions{})
	w.nonce, w.crc = p.Nonce, p.Manifest.CRC64NVME
	done := make([]minio.CompletePart, len(etags))
	for i, e := range etags {
		done[i] = minio.CompletePart{PartNumber: i + 1, ETag: trimQuotes(e), ChecksumCRC64NVME: p.Manifest.Parts[i]}
	}
	info, err := s.complete(ctx, w, s.uploadOf(p), done)
	err = ifGone(p.Key, err)
	switch class := salvor.ClassOf(err); {
	case err == nil && !info.Existed, class == salvor.Unavailable, class == salvor.Interrupted:
	default:
		s.AbortPresigned(ctx, p)
	}
	return info, err
}

// AbortPresigned ends an upload that nobody will complete.
func (s *Store) AbortPresigned(ctx context.Context, p *PresignedUpload) {
	s.abort(ctx, s.uploadOf(p))
}

func (s *Store) uploadOf(p *PresignedUpload) *upload {
	return &upload{Endpoint: s.cfg.Endpoint, Bucket: s.cfg.Bucket, Object: s.object(p.Key), ID: p.UploadID}
}
