package signed

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
	"salvor/storage/mem"
	"salvor/storage/s3"
)

// bucket is a Store that can sign, as far as the tests of faults need one: it
// checks what an S3 server checks of a signed request.
type bucket struct {
	*mem.Store
	*httptest.Server

	mu      sync.Mutex
	fault   func(w http.ResponseWriter, r *http.Request) (done bool) // before a request
	after   func(w http.ResponseWriter, r *http.Request) (done bool) // after it was done
	urls    map[string]signedURL                                     // by number
	uploads map[string]*bucketUpload
	nonces  map[string]string // by key
	puts    map[string]int    // requests by path that came through
	n       int
}

type signedURL struct {
	key, upload string
	part        int
	size        int64
	sum         string
	nonce       string
	until       time.Time
}

type bucketUpload struct {
	p     s3.PresignedUpload
	parts map[int][]byte
	done  bool
}

func newBucket(t testing.TB) *bucket {
	b := &bucket{Store: mem.New(), urls: map[string]signedURL{}, uploads: map[string]*bucketUpload{}, nonces: map[string]string{}, puts: map[string]int{}}
	b.Server = httptest.NewServer(b)
	t.Cleanup(func() {
		b.CloseClientConnections()
		b.Close()
	})
	return b
}

func (b *bucket) set(fault, after func(w http.ResponseWriter, r *http.Request) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault, b.after = fault, after
}

func (b *bucket) count(path string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.puts[path]
}

func (b *bucket) sign(path string, u signedURL) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	id := strconv.Itoa(b.n)
	b.urls[id] = u
	return b.URL + path + "?id=" + id
}

func (b *bucket) PresignPut(_ context.Context, key string, c s3.Content, _ storage.PutOptions, ttl time.Duration) (*s3.PresignedPut, error) {
	sum := c.SHA256()
	u := signedURL{key: key, size: c.Size(), sum: hex.EncodeToString(sum[:]), nonce: fmt.Sprint("nonce", time.Now().UnixNano()), until: time.Now().Add(ttl)}
	return &s3.PresignedPut{
		Key: key, Method: http.MethodPut, URL: b.sign("/put", u), HeadURL: b.sign("/head", u), Header: http.Header{},
		Size: u.size, SHA256: u.sum, Nonce: u.nonce, Expires: u.until,
	}, nil
}

func (b *bucket) BeginPresigned(_ context.Context, key string, m s3.Manifest, _ storage.PutOptions) (*s3.PresignedUpload, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.n++
	p := s3.PresignedUpload{Key: key, UploadID: fmt.Sprint("upload", b.n), Nonce: fmt.Sprint("nonce", b.n), Manifest: m}
	b.uploads[p.UploadID] = &bucketUpload{p: p, parts: map[int][]byte{}}
	return &p, nil
}

func (b *bucket) SignParts(_ context.Context, p *s3.PresignedUpload, from, n int, ttl time.Duration) ([]s3.PresignedPart, error) {
	if from < 0 || n < 0 || from > len(p.Manifest.Parts) {
		return nil, salvor.Errorf(salvor.Invalid, "no such part")
	}
	out := []s3.PresignedPart{}
	for i := from; i < min(from+n, len(p.Manifest.Parts)); i++ {
		u := signedURL{key: p.Key, upload: p.UploadID, part: i, sum: p.Manifest.Parts[i], until: time.Now().Add(ttl)}
		u.size = min(p.Manifest.PartSize, p.Manifest.Length-int64(i)*p.Manifest.PartSize)
		out = append(out, s3.PresignedPart{URL: b.sign("/part", u), Header: http.Header{}})
	}
	return out, nil
}

func (b *bucket) SentParts(_ context.Context, p *s3.PresignedUpload) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.uploads[p.UploadID]
	if u == nil || u.done {
		return nil, salvor.Errorf(salvor.NotFound, "the upload is gone")
	}
	etags := make([]string, len(p.Manifest.Parts))
	for i := range u.parts {
		etags[i] = p.Manifest.Parts[i]
	}
	return etags, nil
}

func (b *bucket) CompletePresigned(ctx context.Context, p *s3.PresignedUpload, etags []string) (storage.Info, error) {
	b.mu.Lock()
	u := b.uploads[p.UploadID]
	var all []byte
	for i := range etags {
		if u != nil {
			all = append(all, u.parts[i]...)
		}
	}
	b.mu.Unlock()
	if u == nil {
		return storage.Info{}, salvor.Errorf(salvor.NotFound, "the upload is gone")
	}
	if int64(len(all)) != p.Manifest.Length {
		return storage.Info{}, salvor.Errorf(salvor.Internal, "a part is not there")
	}
	info, err := b.Put(ctx, p.Key, storage.BytesBlob(all), storage.PutOptions{})
	b.mu.Lock()
	defer b.mu.Unlock()
	info.Existed = info.Existed && b.nonces[p.Key] != p.Nonce
	if u.done = true; err == nil && !info.Existed {
		b.nonces[p.Key] = p.Nonce
	}
	return info, err
}

func (b *bucket) AbortPresigned(_ context.Context, p *s3.PresignedUpload) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.uploads, p.UploadID)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>so it is</Message></Error>", code)
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) bool {
	c, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		c.Close()
	}
	return true
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	fault, after, u := b.fault, b.after, b.urls[r.URL.Query().Get("id")]
	b.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	if u.until.Before(time.Now()) {
		refuse(w, http.StatusForbidden, "AccessDenied")
		return
	}
	b.mu.Lock()
	b.puts[r.URL.Path]++
	b.mu.Unlock()
	answer := httptest.NewRecorder()
	switch r.URL.Path {
	case "/put":
		b.put(answer, r, u)
	case "/part":
		b.part(answer, r, u)
	case "/head":
		b.head(answer, r, u)
	}
	if after != nil && after(w, r) {
		return
	}
	for k, v := range answer.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (b *bucket) put(w http.ResponseWriter, r *http.Request, u signedURL) {
	data, err := io.ReadAll(r.Body)
	blob := storage.BytesBlob(data)
	if sum := blob.SHA256(); err != nil || int64(len(data)) != u.size || hex.EncodeToString(sum[:]) != u.sum {
		refuse(w, http.StatusBadRequest, "BadDigest")
		return
	}
	info, err := b.Put(r.Context(), u.key, blob, storage.PutOptions{})
	if err != nil || info.Existed {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	b.mu.Lock()
	b.nonces[u.key] = u.nonce
	b.mu.Unlock()
}

func (b *bucket) head(w http.ResponseWriter, r *http.Request, u signedURL) {
	info, err := b.Stat(r.Context(), u.key)
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("X-Amz-Meta-Salvor-Nonce", b.nonces[u.key])
	w.Header().Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(info.SHA256[:]))
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size, 10))
}

func (b *bucket) part(w http.ResponseWriter, r *http.Request, u signedURL) {
	data, err := io.ReadAll(r.Body)
	crc := minio.ChecksumCRC64NVME.Hasher()
	crc.Write(data)
	b.mu.Lock()
	defer b.mu.Unlock()
	up := b.uploads[u.upload]
	switch {
	case up == nil || up.done:
		refuse(w, http.StatusNotFound, "NoSuchUpload")
	case err != nil || int64(len(data)) != u.size || base64.StdEncoding.EncodeToString(crc.Sum(nil)) != u.sum:
		refuse(w, http.StatusBadRequest, "BadDigest")
	default:
		up.parts[u.part] = bytes.Clone(data)
		w.Header().Set("ETag", u.sum)
	}
}
