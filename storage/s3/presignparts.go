package s3

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	if err := s.startWrite(ctx, "presign", key); err != nil {
		return nil, err
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	ttl = ttl.Truncate(time.Second)
	if ttl < time.Second || ttl > MaxTTL {
		return nil, salvor.Errorf(salvor.Invalid, "presign %s: %v is not between a second and seven days", key, ttl)
	}
	w := newWrite(key, sized{m}, o)
	u, err := s.newUpload(ctx, w, m.PartSize)
	if err != nil {
		return nil, err
	}
	p := &PresignedUpload{Key: key, UploadID: u.ID, Nonce: w.nonce, Manifest: m, Expires: time.Now().Add(ttl)}
	for i := range m.Parts {
		part, err := s.signPart(ctx, p, i, ttl)
		if err != nil {
			s.AbortPresigned(ctx, p)
			return nil, err
		}
		p.Parts = append(p.Parts, part)
	}
	return p, nil
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

// SendPresigned sends the parts, one after the other, and returns their ETags,
// which CompletePresigned needs.
func SendPresigned(ctx context.Context, client *http.Client, p *PresignedUpload, b storage.Blob) ([]string, error) {
	s := &Store{cfg: Config{Endpoint: "the store", RetryFor: 2 * time.Minute}}
	sum := b.SHA256()
	if len(p.Parts) != len(p.Manifest.Parts) || p.Manifest.check() != nil || b.Size() != p.Manifest.Length || hex.EncodeToString(sum[:]) != p.Manifest.Digest {
		return nil, salvor.Errorf(salvor.Invalid, "put %s: the upload was signed for other bytes", p.Key)
	}
	in, err := b.Open()
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "put %s: open the blob: %w", p.Key, err)
	}
	defer in.Close()
	etags := make([]string, len(p.Parts))
	buf := make([]byte, p.partLen(0))
	for i, part := range p.Parts {
		buf = buf[:p.partLen(i)]
		if _, err := io.ReadFull(in, buf); err != nil {
			return nil, salvor.Errorf(salvor.Internal, "put %s: read the blob: %w", p.Key, err)
		}
		err := s.retry(ctx, "put", p.Key, func() (err error) {
			etags[i], err = s.sendSigned(ctx, client, p.Key, part, buf)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return etags, nil
}

func (s *Store) sendSigned(ctx context.Context, client *http.Client, key string, part PresignedPart, buf []byte) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, part.URL, newBody(buf))
	if err != nil {
		return "", salvor.Errorf(salvor.Invalid, "put %s: the presigned URL cannot be read", key)
	}
	req.Header = part.Header.Clone()
	req.Header.Del("Content-Length")
	req.ContentLength = int64(len(buf))
	resp, err := client.Do(req)
	if err != nil {
		return "", s.fail(ctx, err, "put", key)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", s.fail(ctx, answerOf(resp), "put", key)
	}
	return resp.Header.Get("ETag"), nil
}

// CompletePresigned makes the object visible unless there is one, as Put does.
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
	if err != nil && salvor.ClassOf(err) != salvor.Unavailable || info.Existed {
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

func trimQuotes(etag string) string {
	if n := len(etag); n >= 2 && etag[0] == '"' && etag[n-1] == '"' {
		return etag[1 : n-1]
	}
	return etag
}
