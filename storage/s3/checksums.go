package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor/storage"
)

// multipart puts an object of one part.
func (p *prober) multipart(ctx context.Context, name string, data []byte, crc string, o minio.PutObjectOptions) error {
	b, obj := p.s.cfg.Bucket, p.s.object(p.key(name))
	begin := minio.PutObjectOptions{UserMetadata: map[string]string{}}
	part := minio.PutObjectPartOptions{}
	done := minio.CompletePart{PartNumber: 1}
	if crc != "" {
		begin.UserMetadata = map[string]string{"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "FULL_OBJECT"}
		part.CustomHeader = map[string][]string{"X-Amz-Checksum-Crc64nvme": {crc}}
		done.ChecksumCRC64NVME = crc
		o.UserMetadata = map[string]string{"x-amz-checksum-crc64nvme": crc, "x-amz-checksum-type": "FULL_OBJECT"}
	}
	id, err := p.s.core.NewMultipartUpload(ctx, b, obj, begin)
	if err != nil {
		return p.s.fail(ctx, err, "begin an upload of", name)
	}
	defer p.s.core.AbortMultipartUpload(context.WithoutCancel(ctx), b, obj, id)
	part.DisableContentSha256 = true
	sent, err := p.s.core.PutObjectPart(ctx, b, obj, id, 1, bytes.NewReader(data), int64(len(data)), part)
	if err != nil {
		return p.s.fail(ctx, err, "put a part of", name)
	}
	done.ETag = sent.ETag
	_, err = p.s.core.CompleteMultipartUpload(ctx, b, obj, id, []minio.CompletePart{done}, o)
	return p.s.fail(ctx, err, "complete", name)
}

var badChecksums = []string{codeBadChecksum, codeBadSHA256, codeBadDigest, codeBadMinio, "InvalidDigest", "InvalidRequest", "InvalidArgument", "InvalidPart"}

func (p *prober) checksumSHA256(ctx context.Context) (Result, string) {
	if _, err := p.put(ctx, "sum", "first"); err != nil {
		return No, said(err)
	}
	h, err := p.s.headOnce(ctx, "stat", p.key("sum"))
	if err != nil {
		return Unknown, said(err)
	}
	if h.sum != sha256.Sum256([]byte("first")) {
		return No, "the server does not keep it"
	}
	wrong := sha256.Sum256([]byte("wrong"))
	o := minio.PutObjectOptions{DisableContentSha256: true, UserMetadata: map[string]string{"x-amz-checksum-sha256": base64Of(wrong)}}
	_, err = p.s.core.PutObject(ctx, p.s.cfg.Bucket, p.s.object(p.key("wrong")), strings.NewReader("right"), 5, "", "", o)
	return refused(p.s.fail(ctx, err, "put", p.key("wrong")), badChecksums...)
}

func (p *prober) checksumCRC(ctx context.Context) (Result, string) {
	data := []byte("parts")
	crc := newCRC()
	crc.Write(data)
	if err := p.multipart(ctx, "crc", data, text64(crc), minio.PutObjectOptions{}); err != nil {
		return No, said(err)
	}
	h, err := p.s.headOnce(ctx, "stat", p.key("crc"))
	switch {
	case err != nil:
		return Unknown, said(err)
	case h.crc != text64(crc):
		return No, "the server does not keep it"
	}
	crc.Write([]byte("x"))
	return refused(p.multipart(ctx, "wrong", data, text64(crc), minio.PutObjectOptions{}), badChecksums...)
}

func (p *prober) trailing(ctx context.Context) (Result, string) {
	u, err := p.s.cfg.endpoint()
	if err != nil {
		return Unknown, said(err)
	}
	creds, err := p.s.cfg.creds()
	if err != nil {
		return Unknown, said(err)
	}
	lookup := map[PathStyle]minio.BucketLookupType{StylePath: minio.BucketLookupPath, StyleVirtual: minio.BucketLookupDNS}
	c, err := minio.New(u.Host, &minio.Options{
		Creds: creds, Secure: p.s.secure, Transport: p.seen, Region: p.s.cfg.Region,
		BucketLookup: lookup[p.s.cfg.Style], MaxRetries: 1, TrailingHeaders: true,
	})
	if err != nil {
		return Unknown, err.Error()
	}
	_, err = c.PutObject(ctx, p.s.cfg.Bucket, p.s.object(p.key("trailing")), strings.NewReader("tail"), 4,
		minio.PutObjectOptions{Checksum: minio.ChecksumCRC64NVME})
	if err != nil {
		return No, said(p.s.fail(ctx, err, "put", "trailing"))
	}
	return Yes, ""
}

func (p *prober) presigned(ctx context.Context) (Result, string) {
	b := storage.BytesBlob([]byte("signed"))
	signed, err := p.s.PresignPut(ctx, p.key("signed"), b, storage.PutOptions{}, time.Minute)
	if err != nil {
		return Unknown, said(err)
	}
	c, err := HTTPClient(p.s.cfg)
	if err != nil {
		return Unknown, said(err)
	}
	if _, err := uploadPresigned(ctx, c, signed, b, time.Second); err != nil {
		return No, said(err)
	}
	other := *signed
	blob := storage.BytesBlob([]byte("fooled"))
	sum := blob.SHA256()
	other.SHA256 = hex.EncodeToString(sum[:])
	if err := p.s.Delete(ctx, p.key("signed")); err != nil {
		return Unknown, said(err)
	}
	_, err = uploadPresigned(ctx, c, &other, blob, -1)
	if _, serr := p.s.Stat(ctx, p.key("signed")); err == nil || !missing(serr) {
		return No, "other bytes than were signed were taken"
	}
	return Yes, "only the signed bytes were taken"
}
