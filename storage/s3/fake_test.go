package s3

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"salvor/storage"
)

func dump(c Config) string { return fmt.Sprintf("%+v", c) }

// fake is as much of an S3 server as a test of faults needs. It signs and
// checks nothing by itself.
type fake struct {
	*httptest.Server
	// before sees each request first, and may answer it or cut it off.
	before func(w http.ResponseWriter, r *http.Request) (done bool)
	// after runs when a PUT has been stored and may spoil the answer.
	after func(w http.ResponseWriter, r *http.Request) (done bool)

	mu      sync.Mutex
	objects map[string]stored
	calls   map[string]int // by method
	noSums  bool           // ignores checksums, as old servers do
}

type stored struct {
	data   []byte
	header http.Header
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{objects: map[string]stored{}, calls: map[string]int{}}
	f.Server = httptest.NewServer(f)
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	return f
}

func (f *fake) count(method string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[method]
}

func (f *fake) config() Config {
	return Config{
		Endpoint: f.URL, Bucket: "bucket", AccessKeyID: "k", SecretAccessKey: "s", PartSize: 5 << 20,
		RetryFor: 5 * time.Second, StallTimeout: 2 * time.Second, AnswerTimeout: 2 * time.Second,
	}
}

func (f *fake) open(t *testing.T, change func(*Config)) *Store {
	t.Helper()
	c := f.config()
	if change != nil {
		change(&c)
	}
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.calls[r.Method]++
	f.mu.Unlock()
	if f.before != nil && f.before(w, r) {
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/bucket/")
	switch {
	case r.Method == http.MethodGet && r.URL.Query().Has("list-type"):
		fmt.Fprint(w, `<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>`)
	case r.Method == http.MethodPut:
		f.put(w, r, key)
	case r.Method == http.MethodDelete:
		f.mu.Lock()
		delete(f.objects, key)
		f.mu.Unlock()
		w.WriteHeader(http.StatusNoContent)
	default:
		f.get(w, r, key)
	}
}

func (f *fake) put(w http.ResponseWriter, r *http.Request, key string) {
	data, err := io.ReadAll(r.Body)
	if err != nil || int64(len(data)) != r.ContentLength {
		refuse(w, http.StatusBadRequest, "IncompleteBody")
		return
	}
	f.mu.Lock()
	_, there := f.objects[key]
	if !there || r.Header.Get("If-None-Match") != "*" {
		f.objects[key] = stored{data, r.Header.Clone()}
		there = false
	}
	f.mu.Unlock()
	if there {
		refuse(w, http.StatusPreconditionFailed, codeTaken)
		return
	}
	if f.after != nil && f.after(w, r) {
		return
	}
	if v := r.Header.Get("X-Amz-Checksum-Sha256"); v != "" && !f.noSums {
		w.Header().Set("X-Amz-Checksum-Sha256", v)
	}
	w.Header().Set("ETag", `"x"`)
}

func (f *fake) get(w http.ResponseWriter, r *http.Request, key string) {
	f.mu.Lock()
	o, ok := f.objects[key]
	f.mu.Unlock()
	if !ok {
		refuse(w, http.StatusNotFound, codeNoKey)
		return
	}
	for k, v := range o.header {
		if strings.HasPrefix(k, metaPrefix) {
			w.Header()[k] = v
		}
	}
	if !f.noSums {
		sum := sha256.Sum256(o.data)
		w.Header().Set("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(sum[:]))
	}
	w.Header().Set("ETag", `"x"`)
	http.ServeContent(w, r, "", time.Now().Add(-time.Minute), bytes.NewReader(o.data))
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<Error><Code>%s</Code><Message>so it is</Message></Error>", code)
}

// cut closes the connection without an answer.
func cut(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		c.Close()
	}
}

func blob(n int) storage.Blob { return storage.BytesBlob(bytes.Repeat([]byte("salvor!"), n/7+1)[:n]) }
