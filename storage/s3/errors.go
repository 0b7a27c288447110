package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// Codes that this package acts on.
const (
	codeNoKey         = "NoSuchKey"
	codeNoUpload      = "NoSuchUpload"
	codeTaken         = "PreconditionFailed"
	codeRange         = "InvalidRange"
	codeNotYet        = "NotImplemented"
	codeBadChecksum   = "XAmzContentChecksumMismatch"
	codeBadSHA256     = "XAmzContentSHA256Mismatch"
	codeBadDigest     = "BadDigest"
	codeBadMinio      = "XMinioContentChecksumMismatch"
	codeConflictRetry = "ConditionalRequestConflict"
	codeIsDirectory   = "ExistingObjectIsDirectory"
)

// answer is what an error code of a server means.
type answer struct {
	class salvor.ErrorClass
	hint  string
}

var answers = map[string]answer{
	"NoSuchBucket":                 {salvor.NotFound, "make the bucket, or check its name and the endpoint: %BUCKET"},
	"InvalidBucketName":            {salvor.Invalid, "check the bucket's name: %BUCKET"},
	"PermanentRedirect":            {salvor.Invalid, "the bucket lies in another region: set region="},
	"AuthorizationHeaderMalformed": {salvor.Invalid, "the bucket lies in another region: set region="},
	"IllegalLocationConstraint":    {salvor.Invalid, "the bucket lies in another region: set region="},
	"InvalidRegion":                {salvor.Invalid, "the bucket lies in another region: set region="},
	"InvalidStorageClass":          {salvor.Invalid, "this server has no such storage class: check storage-class="},
	"InvalidObjectName":            {salvor.Invalid, ""},
	"KeyTooLong":                   {salvor.Invalid, ""},
	"KeyTooLongError":              {salvor.Invalid, ""},
	"EntityTooLarge":               {salvor.Invalid, "the server takes no object of this size"},
	"AccessDenied":                 {salvor.Forbidden, "the keys are right but may not do this in %BUCKET: check the user's policy"},
	"AllAccessDisabled":            {salvor.Forbidden, "the owner of the account shut off access to %BUCKET"},
	"AccountProblem":               {salvor.Forbidden, "the server refuses the account"},
	"InvalidAccessKeyId":           {salvor.Forbidden, "the server does not know this access key: check the keys and the endpoint"},
	"XAdminUserNotFound":           {salvor.Forbidden, "the server does not know this access key: check the keys and the endpoint"},
	"SignatureDoesNotMatch":        {salvor.Forbidden, "the secret key is wrong, or something between here and the server changes requests"},
	"InvalidToken":                 {salvor.Forbidden, "the session token is not valid (any more)"},
	"ExpiredToken":                 {salvor.Forbidden, "the session token has expired: get new keys"},
	"RequestTimeTooSkewed":         {salvor.Forbidden, "the clocks of this machine and the server differ by more than 15 minutes: set this one's by NTP"},
	"InvalidObjectState":           {salvor.Forbidden, "the object was moved to an archive tier: restore it first"},
	"ObjectLocked":                 {salvor.Conflict, "the object is under retention"},
	"ObjectParentIsFile":           {salvor.Conflict, "a part of the key's path is an object already: this server keeps objects in directories"},
	codeIsDirectory:                {salvor.Conflict, "the key is the directory of other objects: this server keeps objects in directories"},
	"XMinioParentIsObject":         {salvor.Conflict, "a part of the key's path is an object already"},
	"XMinioObjectExistsAsDirectory": {salvor.Conflict,
		"the key is the directory of other objects"},
	codeConflictRetry:            {salvor.Unavailable, ""},
	"OperationAborted":           {salvor.Unavailable, ""},
	codeBadChecksum:              {salvor.Unavailable, "the bytes changed on their way to the server"},
	codeBadSHA256:                {salvor.Unavailable, "the bytes changed on their way to the server"},
	codeBadDigest:                {salvor.Unavailable, "the bytes changed on their way to the server"},
	codeBadMinio:                 {salvor.Unavailable, "the bytes changed on their way to the server"},
	"IncompleteBody":             {salvor.Unavailable, ""},
	"RequestTimeout":             {salvor.Unavailable, ""},
	"SlowDown":                   {salvor.Unavailable, "the server asks to be slower"},
	"SlowDownWrite":              {salvor.Unavailable, "the server asks to be slower"},
	"SlowDownRead":               {salvor.Unavailable, "the server asks to be slower"},
	"Throttling":                 {salvor.Unavailable, "the server asks to be slower"},
	"ThrottlingException":        {salvor.Unavailable, "the server asks to be slower"},
	"RequestLimitExceeded":       {salvor.Unavailable, "the server asks to be slower"},
	"InternalError":              {salvor.Unavailable, ""},
	"ServiceUnavailable":         {salvor.Unavailable, ""},
	"XMinioServerNotInitialized": {salvor.Unavailable, "the server is still starting"},
	"XMinioReadQuorum":           {salvor.Unavailable, "too few of the server's disks answer"},
	"XMinioWriteQuorum":          {salvor.Unavailable, "too few of the server's disks answer"},
	"XMinioStorageFull":          {salvor.Exhausted, "the server's disks are full: make room there"},
	"XMinioAdminBucketQuotaExceeded": {salvor.Exhausted,
		"the quota of %BUCKET is used up: raise it or make room"},
	"QuotaExceeded":                 {salvor.Exhausted, "the quota of %BUCKET is used up: raise it or make room"},
	"ServiceQuotaExceededException": {salvor.Exhausted, "a quota of the account is used up"},
	"InsufficientStorage":           {salvor.Exhausted, "the server is full: make room there"},
	codeNotYet:                      {salvor.Invalid, "the server cannot do this: `salvor store check` shows what it can"},
}

// code is the server's error code, or "".
func code(err error) string {
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return r.Code
	}
	return ""
}

// fail gives an error of the library its class and the remedy. It is the one
// place where that is decided. An error that has a class stays as it is.
func (s *Store) fail(ctx context.Context, err error, doing, key string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*salvor.Error](err); ok {
		return err
	}
	if ctxErr := storage.ContextError(ctx, doing, key); ctxErr != nil {
		return ctxErr
	}
	what := strings.TrimSpace(doing + " " + key)
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok && (r.Code != "" || r.StatusCode != 0) {
		return s.failAnswer(r, what, key)
	}
	return s.failNetwork(err, what)
}

func (s *Store) failAnswer(r minio.ErrorResponse, what, key string) error {
	if r.Code == codeNoKey && key != "" {
		return storage.ErrMissing(key)
	}
	a, ok := answers[r.Code]
	if !ok {
		a = byStatus(r)
	}
	cause := r.Code
	if r.Message != "" && r.Message != r.Code {
		cause += ": " + r.Message
	}
	if s.cfg.Retention != RetainNone && r.Code == "InvalidRequest" && strings.Contains(r.Message, "Lock") {
		a = answer{salvor.Invalid, "the bucket %BUCKET was made without object lock: leave retention out of the URL, or make a bucket that has it"}
	}
	e := &salvor.Error{Class: a.class, Err: &failure{what + ": the store answered " + cause, r}}
	if a.hint == "" {
		return e
	}
	return e.WithHint("%s", strings.ReplaceAll(a.hint, "%BUCKET", s.cfg.Bucket+" at "+s.cfg.Endpoint))
}

// failure keeps the server's answer within reach without saying it twice.
type failure struct {
	text string
	r    minio.ErrorResponse
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.r }

func byStatus(r minio.ErrorResponse) answer {
	switch {
	case r.StatusCode == http.StatusBadRequest && strings.Contains(r.Message, "HTTP request to an HTTPS server"):
		return answer{salvor.Invalid, "this port speaks TLS: write https:// in the endpoint"}
	case r.StatusCode == http.StatusInsufficientStorage:
		return answers["InsufficientStorage"]
	case r.StatusCode == http.StatusNotImplemented:
		return answers[codeNotYet]
	case r.StatusCode == http.StatusServiceUnavailable, r.StatusCode == http.StatusTooManyRequests:
		return answer{salvor.Unavailable, "the server is overloaded, or still starting"}
	case r.StatusCode >= 500, r.StatusCode == http.StatusRequestTimeout:
		return answer{salvor.Unavailable, ""}
	case r.StatusCode == http.StatusUnauthorized, r.StatusCode == http.StatusForbidden:
		return answers["AccessDenied"]
	case r.StatusCode == http.StatusConflict:
		return answer{salvor.Conflict, ""}
	case r.StatusCode >= 300 && r.StatusCode < 400:
		return answers["PermanentRedirect"]
	}
	return answer{salvor.Internal, ""}
}

func (s *Store) failNetwork(err error, what string) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // its URL is long, and of no use to a reader
	}
	wrap := func(c salvor.ErrorClass) *salvor.Error { return salvor.Errorf(c, "%s: %w", what, err) }
	host := s.cfg.Endpoint
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, wrongName := errors.AsType[x509.HostnameError](err)
	_, badCert := errors.AsType[*tls.CertificateVerificationError](err)
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case unknown:
		return wrap(salvor.Invalid).WithHint("the certificate of %s was signed by an authority that this machine does not know: name its certificate with ca-file=FILE", host)
	case wrongName:
		return wrap(salvor.Invalid).WithHint("the certificate of %s is for another name: check the endpoint, or use path-style=true", host)
	case badCert:
		return wrap(salvor.Invalid).WithHint("the certificate of %s is not accepted: is it out of date, or this machine's clock?", host)
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return wrap(salvor.Invalid).WithHint("this port does not speak TLS: write http:// in the endpoint, but only where nobody else can listen")
	case isDNS && dns.IsNotFound:
		return wrap(salvor.Unavailable).WithHint("the name %s is not known: check the endpoint and the path style", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return wrap(salvor.Unavailable).WithHint("nothing listens at %s: is the server running, and is this the right port?", host)
	case errors.Is(err, errStalled):
		return wrap(salvor.Unavailable).WithHint("%s hangs or the network lost the connection", host)
	}
	return wrap(salvor.Unavailable)
}
