package s3

import (
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"time"

	"salvor"
	"salvor/storage"
)

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
			etags[i], err = SendPart(ctx, client, p.Key, part, newBody(buf), int64(len(buf)))
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return etags, nil
}

// SendPart sends the n bytes of one part and returns its ETag. It tries once.
// Forbidden may mean that the part's URL has expired.
func SendPart(ctx context.Context, client *http.Client, key string, part PresignedPart, body io.Reader, n int64) (string, error) {
	s := &Store{cfg: Config{Endpoint: "the store"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, part.URL, body)
	if err != nil {
		return "", salvor.Errorf(salvor.Invalid, "put %s: the presigned URL cannot be read", key)
	}
	req.Header = part.Header.Clone()
	req.Header.Del("Content-Length")
	req.ContentLength = n
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

func trimQuotes(etag string) string {
	if n := len(etag); n >= 2 && etag[0] == '"' && etag[n-1] == '"' {
		return etag[1 : n-1]
	}
	return etag
}

// IsNoUpload reports whether an error is a server's word that it knows no such
// upload: it was completed, or aborted.
func IsNoUpload(err error) bool { return code(err) == codeNoUpload || errors.Is(err, errGone) }
