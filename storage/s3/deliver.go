package s3

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// UploadPresigned puts a blob by what PresignPut signed. It is Put for those
// without keys: it tries again, and a lost answer after a success is a success.
// client must end requests that hang, as the one of HTTPClient does.
func UploadPresigned(ctx context.Context, client *http.Client, p *PresignedPut, b storage.Blob) (storage.Info, error) {
	return UploadWithin(ctx, client, p, b, 2*time.Minute)
}

// UploadWithin is UploadPresigned that tries again for so long; less than 0 is
// one try, and a look at the object when its answer leaves the outcome open.
// Forbidden may mean that the URL has expired.
func UploadWithin(ctx context.Context, client *http.Client, p *PresignedPut, b storage.Blob, within time.Duration) (storage.Info, error) {
	return uploadPresigned(ctx, client, p, b, within)
}

func uploadPresigned(ctx context.Context, client *http.Client, p *PresignedPut, b storage.Blob, retryFor time.Duration) (storage.Info, error) {
	sum := b.SHA256()
	if b.Size() != p.Size || hex.EncodeToString(sum[:]) != p.SHA256 {
		return storage.Info{}, salvor.Errorf(salvor.Invalid, "put %s: the upload was signed for other bytes", p.Key)
	}
	u := &delivery{client: client, p: p, w: newWrite(p.Key, b, storage.PutOptions{}), s: &Store{cfg: Config{Endpoint: "the store"}}}
	u.w.nonce = p.Nonce
	t := &tries{until: time.Now().Add(retryFor)}
	for {
		err := u.put(ctx)
		if err == nil {
			return u.w.info(false), nil
		}
		info, err, over := u.settle(ctx, err)
		if over {
			return info, err
		}
		if err := t.wait(ctx, "put", p.Key, err); err != nil {
			return storage.Info{}, err
		}
	}
}

// HTTPClient is a client for UploadPresigned with this Config's certificates
// and timeouts. Only network fields of the Config matter.
func HTTPClient(cfg Config) (*http.Client, error) {
	rt, err := cfg.withDefaults().transport()
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}

// delivery is one presigned put under way.
type delivery struct {
	client *http.Client
	p      *PresignedPut
	w      *write
	s      *Store // for fail
}

func (u *delivery) put(ctx context.Context) error {
	src, err := openSource(ctx, u.p.Key, u.w.blob)
	if err != nil {
		return err
	}
	defer src.Close()
	if u.p.Size == 0 {
		if err := src.drain(); err != nil {
			return err
		}
	}
	_, err = u.do(ctx, u.p.Method, u.p.URL, u.p.Header, struct{ io.Reader }{src})
	if src.err != nil {
		return src.err
	}
	return err
}

func (u *delivery) do(ctx context.Context, method, url string, h http.Header, body io.Reader) (*http.Response, error) {
	if u.p.Size == 0 || method == http.MethodHead {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "put %s: the presigned URL cannot be read", u.p.Key)
	}
	req.Header = h.Clone()
	req.Header.Del("Content-Length")
	if body != nil {
		req.ContentLength = u.p.Size
	}
	resp, err := u.client.Do(req)
	if err != nil {
		return nil, u.s.fail(ctx, err, "put", u.p.Key)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	return nil, u.s.fail(ctx, answerOf(resp), "put", u.p.Key)
}

// answerOf reads an error's XML.
func answerOf(resp *http.Response) minio.ErrorResponse {
	var r minio.ErrorResponse
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil {
		err = xml.NewDecoder(bytes.NewReader(b)).Decode(&r)
	}
	if err != nil {
		r = minio.ErrorResponse{Code: http.StatusText(resp.StatusCode), Message: resp.Status}
	}
	if resp.StatusCode == http.StatusNotFound && r.Code == "Not Found" {
		r.Code = codeNoKey // an answer to HEAD has no body
	}
	r.StatusCode = resp.StatusCode
	return r
}

// settle is Store.settle without keys: only what HEAD tells counts.
func (u *delivery) settle(ctx context.Context, err error) (storage.Info, error, bool) {
	taken := isTaken(err)
	if !taken && salvor.ClassOf(err) != salvor.Unavailable || ctx.Err() != nil {
		return storage.Info{}, err, true
	}
	resp, herr := u.do(ctx, http.MethodHead, u.p.HeadURL, headHeader(), nil)
	switch {
	case herr == nil:
		h := headOfHeader(resp.Header)
		existed := h.nonce != u.p.Nonce && !slices.Contains(u.p.Earlier, h.nonce)
		switch {
		case resp.ContentLength != u.p.Size, h.sum != [32]byte{} && h.sum != u.w.sum, existed && h.sum == [32]byte{}:
			return storage.Info{}, storage.ErrDifferent(u.p.Key), true
		}
		return u.w.info(existed), nil, true
	case taken && !missing(herr) && salvor.ClassOf(herr) != salvor.Unavailable:
		return storage.Info{}, herr, true
	case taken:
		return storage.Info{}, salvor.Errorf(salvor.Unavailable, "put %s: an object was there and cannot be looked at: %v", u.p.Key, herr), false
	}
	return storage.Info{}, err, false
}
