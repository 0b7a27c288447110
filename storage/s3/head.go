package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor/storage"
)

// Metadata of every object that this package puts.
const (
	metaSum   = "Salvor-Sha256" // hexadecimal, said by the writer
	metaNonce = "Salvor-Nonce"  // drawn for each Put
)

const metaPrefix = "X-Amz-Meta-"

// head is what a server says of an object.
type head struct {
	size     int64
	modified time.Time
	etag     string
	sum      [32]byte // SHA-256 that the server computed over the whole object
	said     [32]byte // SHA-256 according to the writer
	crc      string   // CRC64NVME of the whole object, base64, computed by the server
	nonce    string

	retainMode  string
	retainUntil time.Time
	hold        bool
}

func (h head) info(key string) storage.Info {
	i := storage.Info{Key: key, Size: h.size, Modified: h.modified, SHA256: h.sum}
	if i.SHA256 == ([32]byte{}) {
		i.SHA256 = h.said
		i.Claimed = h.said != [32]byte{} && h.crc == ""
	}
	return i
}

// head asks about an object; ErrMissing when there is none.
func (s *Store) head(ctx context.Context, doing, key string) (h head, err error) {
	err = s.retry(ctx, doing, key, func() error {
		h, err = s.headOnce(ctx, doing, key)
		return err
	})
	return h, err
}

func (s *Store) headOnce(ctx context.Context, doing, key string) (head, error) {
	o, err := s.core.StatObject(ctx, s.cfg.Bucket, s.object(key), minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return head{}, s.fail(ctx, err, doing, key)
	}
	return headOf(o), nil
}

func headOf(o minio.ObjectInfo) head {
	h := headOfHeader(o.Headers)
	h.size, h.modified, h.etag = o.Size, o.LastModified, o.ETag
	return h
}

func headOfHeader(hd http.Header) head {
	h := head{
		said:       unhex(hd.Get(metaPrefix + metaSum)),
		nonce:      hd.Get(metaPrefix + metaNonce),
		sum:        fullSHA256(hd.Get("X-Amz-Checksum-Sha256"), hd.Get("X-Amz-Checksum-Type")),
		crc:        fullCRC(hd.Get("X-Amz-Checksum-Crc64nvme")),
		retainMode: hd.Get("X-Amz-Object-Lock-Mode"),
		hold:       hd.Get("X-Amz-Object-Lock-Legal-Hold") == "ON",
	}
	h.retainUntil, _ = time.Parse(time.RFC3339, hd.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	return h
}

// fullSHA256 reads a server's SHA-256, unless it is one of the parts'
// checksums ("composite"), which says nothing about the whole object.
func fullSHA256(v, kind string) (sum [32]byte) {
	b, err := base64.StdEncoding.DecodeString(v)
	if err == nil && len(b) == len(sum) && kind != "COMPOSITE" {
		copy(sum[:], b)
	}
	return sum
}

// fullCRC accepts a CRC64NVME, which is always one of the whole object, or "".
func fullCRC(v string) string {
	if strings.Contains(v, "-") {
		return ""
	}
	return v
}

func unhex(v string) (sum [32]byte) {
	b, err := hex.DecodeString(v)
	if err == nil && len(b) == len(sum) {
		copy(sum[:], b)
	}
	return sum
}

func base64Of(sum [32]byte) string { return base64.StdEncoding.EncodeToString(sum[:]) }
