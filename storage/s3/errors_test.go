package s3

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

func TestErrorClasses(t *testing.T) {
	s := &Store{cfg: Config{Endpoint: "https://s3.example", Bucket: "archive"}}
	for _, c := range []struct {
		err   error
		class salvor.ErrorClass
		hint  string
	}{
		{minio.ErrorResponse{Code: "NoSuchKey", StatusCode: 404}, salvor.NotFound, ""},
		{minio.ErrorResponse{Code: "NoSuchBucket", StatusCode: 404}, salvor.NotFound, "archive at https://s3.example"},
		{minio.ErrorResponse{Code: "AccessDenied", StatusCode: 403}, salvor.Forbidden, "policy"},
		{minio.ErrorResponse{Code: "InvalidAccessKeyId", StatusCode: 403}, salvor.Forbidden, "access key"},
		{minio.ErrorResponse{Code: "SignatureDoesNotMatch", StatusCode: 403}, salvor.Forbidden, "secret key"},
		{minio.ErrorResponse{Code: "RequestTimeTooSkewed", StatusCode: 403}, salvor.Forbidden, "NTP"},
		{minio.ErrorResponse{Code: "SlowDown", StatusCode: 503}, salvor.Unavailable, "slower"},
		{minio.ErrorResponse{Code: "ConditionalRequestConflict", StatusCode: 409}, salvor.Unavailable, ""},
		{minio.ErrorResponse{Code: "XMinioStorageFull", StatusCode: 507}, salvor.Exhausted, "full"},
		{minio.ErrorResponse{Code: "XMinioAdminBucketQuotaExceeded", StatusCode: 400}, salvor.Exhausted, "quota of archive"},
		{minio.ErrorResponse{Code: "507 Insufficient Storage", StatusCode: 507}, salvor.Exhausted, "full"},
		{minio.ErrorResponse{Code: "ObjectParentIsFile", StatusCode: 409}, salvor.Conflict, "directories"},
		{minio.ErrorResponse{Code: "NotImplemented", StatusCode: 501}, salvor.Invalid, "store check"},
		{minio.ErrorResponse{Code: "PermanentRedirect", StatusCode: 301}, salvor.Invalid, "region="},
		{minio.ErrorResponse{Code: "Odd", StatusCode: 502}, salvor.Unavailable, ""},
		{minio.ErrorResponse{Code: "Odd", StatusCode: 429}, salvor.Unavailable, "overloaded"},
		{minio.ErrorResponse{Code: "Odd", StatusCode: 403}, salvor.Forbidden, "policy"},
		{minio.ErrorResponse{Code: "Odd", StatusCode: 418}, salvor.Internal, ""},
		{&url.Error{Op: "Put", URL: "https://s3.example/?X-Amz-Signature=abc", Err: io.ErrUnexpectedEOF}, salvor.Unavailable, ""},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, salvor.Unavailable, "nothing listens"},
		{&net.DNSError{Name: "s3.example", IsNotFound: true}, salvor.Unavailable, "not known"},
		{x509.UnknownAuthorityError{}, salvor.Invalid, "ca-file"},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "h"}, salvor.Invalid, "another name"},
		{errStalled, salvor.Unavailable, "hangs"},
		{errors.New("http: server gave HTTP response to HTTPS client"), salvor.Invalid, "http://"},
		{storage.ErrDifferent("k"), salvor.Conflict, "never overwritten"},
	} {
		err := s.fail(t.Context(), c.err, "put", "k")
		hint := salvor.HintOf(err)
		if salvor.ClassOf(err) != c.class || (c.hint == "") != (hint == "") || !strings.Contains(hint, c.hint) {
			t.Errorf("%v: %v: %v (%s)", c.err, salvor.ClassOf(err), err, hint)
		}
		if strings.Contains(err.Error(), "X-Amz-Signature") {
			t.Errorf("the error tells a signature: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.fail(ctx, io.EOF, "put", "k"); salvor.ClassOf(err) != salvor.Interrupted {
		t.Errorf("cancelled: %v", err)
	}
	if s.fail(ctx, nil, "put", "k") != nil {
		t.Error("nil became an error")
	}
}

// What is asked of a server stands in the request's headers.
func TestPolicyHeaders(t *testing.T) {
	for mode, want := range map[Retention]string{RetainNone: "", RetainGovernance: "GOVERNANCE", RetainCompliance: "COMPLIANCE"} {
		f := newFake(t)
		s := f.open(t, func(c *Config) {
			c.StorageClass, c.Retention, c.ComplianceForbidsErasure = "STANDARD_IA", mode, true
			if mode != RetainNone {
				c.RetainFor = 24 * 3600e9
			}
		})
		if _, err := s.Put(t.Context(), "k", blob(10), storage.PutOptions{Type: "application/warc"}); err != nil {
			t.Fatal(err)
		}
		h := f.objects["k"].header
		got := fmt.Sprint(h.Get("X-Amz-Object-Lock-Mode"), h.Get("X-Amz-Storage-Class"), h.Get("Content-Type"), h.Get("If-None-Match"), h.Get("X-Amz-Object-Lock-Retain-Until-Date") != "")
		if got != fmt.Sprint(want, "STANDARD_IA", "application/warc", "*", mode != RetainNone) {
			t.Errorf("%s: %s", mode, got)
		}
		sum := blob(10).SHA256()
		if h.Get("X-Amz-Checksum-Sha256") != base64Of(sum) || h.Get("X-Amz-Content-Sha256") != fmt.Sprintf("%x", sum) {
			t.Errorf("checksums: %v", h)
		}
	}
}

func TestHeld(t *testing.T) {
	f := newFake(t)
	s := f.open(t, nil)
	for name, set := range map[string][2]string{
		"retention": {"X-Amz-Object-Lock-Retain-Until-Date", "2999-01-02T03:04:05Z"},
		"hold":      {"X-Amz-Object-Lock-Legal-Hold", "ON"},
	} {
		f.before = func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Last-Modified", "Wed, 25 Nov 2026 10:00:00 GMT")
			w.Header().Set(set[0], set[1])
			return true
		}
		err := s.Delete(t.Context(), "k")
		if salvor.ClassOf(err) != salvor.Conflict || salvor.HintOf(err) == "" || f.count(http.MethodDelete) != 0 {
			t.Errorf("%s: %v", name, err)
		}
		if name == "retention" && !strings.Contains(salvor.HintOf(err), "2999-01-02T03:04:05Z") {
			t.Errorf("the hint does not say until when: %s", salvor.HintOf(err))
		}
	}
}

// Objects of more parts than S3 allows get larger ones.
func TestPartSize(t *testing.T) {
	s := &Store{cfg: Config{PartSize: 16 << 20}}
	for _, size := range []int64{1, 16 << 20, 156 << 30, 157 << 30, 5 << 40} {
		p := s.partSize(size)
		if n := (size + p - 1) / p; p < 16<<20 || n > maxParts {
			t.Errorf("%d bytes: %d parts of %d", size, n, p)
		}
	}
}
