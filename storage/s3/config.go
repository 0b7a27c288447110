package s3

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"salvor"
	"salvor/storage"
)

// PathStyle says where the bucket stands in a request's URL.
type PathStyle string

// Path styles.
const (
	StyleAuto    PathStyle = "auto"    // virtual host at Amazon, path elsewhere
	StylePath    PathStyle = "path"    // https://host/bucket/key
	StyleVirtual PathStyle = "virtual" // https://bucket.host/key
)

// CredentialSource says where keys come from.
type CredentialSource string

// Sources of credentials. Auto takes the first that is there, in this order:
// Config's own keys, the environment, the credentials file, the role of the
// instance or container.
const (
	CredAuto      CredentialSource = "auto"
	CredEnv       CredentialSource = "env"
	CredFile      CredentialSource = "file"
	CredRole      CredentialSource = "role"
	CredAnonymous CredentialSource = "anonymous"
)

// Retention is what the server is asked to enforce on new objects.
type Retention string

// Retention modes.
const (
	RetainNone       Retention = "none"
	RetainGovernance Retention = "governance" // a privileged user may still erase
	RetainCompliance Retention = "compliance" // nobody may, not by order of a court either
)

// Sizes that S3 fixes.
const (
	minPart  = 5 << 20
	maxPart  = 5 << 30
	maxParts = 10_000
)

// Config says which bucket, how to reach it, and what new objects get. The
// zero value of a field means its default.
type Config struct {
	Endpoint string // "https://host[:port]"; default the environment's, else Amazon
	Region   string // default the environment's; us-east-1 outside of Amazon
	Bucket   string
	Prefix   string // keys of this Store lie below PREFIX/
	Style    PathStyle

	Credentials     CredentialSource
	CredentialsFile string // default the environment's, else ~/.aws/credentials
	Profile         string
	RoleEndpoint    string // of the instance metadata service; default the environment's
	AccessKeyID     string // for callers that have keys; never part of a URL
	SecretAccessKey string
	SessionToken    string

	CAFile       string // PEM, trusted besides the system's
	StorageClass string
	ReadOnly     bool

	PartSize int64 // objects above it go up in parts; default 16 MiB
	Parallel int   // parts of one object under way at once; default 4

	Retention Retention
	RetainFor time.Duration
	// ComplianceForbidsErasure must be set for compliance: until RetainFor is
	// over nobody can erase an object, whatever a person or a court asks for.
	ComplianceForbidsErasure bool

	// StateDir keeps notes of unfinished uploads, so that a process that
	// comes after a crash goes on with them. It belongs to one process at a
	// time. Without it unfinished uploads are remembered in memory only.
	StateDir string

	DialTimeout    time.Duration // default 10 s
	StallTimeout   time.Duration // no byte moved for so long; default 30 s
	AnswerTimeout  time.Duration // from the last byte sent to the answer; default 1 min
	AssembleWithin time.Duration // the same for joining parts; default 10 min
	RetryFor       time.Duration // tries go on for so long; default 2 min, negative: one try

	// Unasked opens the Store without asking the server anything: for a process
	// that goes on with a bucket it knows, which may be away.
	Unasked bool
	// OnTrouble hears of every failure that is about to be tried again.
	OnTrouble func(error)

	// DialContext and Wrap are for tests of faults: how connections are made,
	// and what stands between this package and the network.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
	Wrap        func(http.RoundTripper) http.RoundTripper
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// amazon is the endpoint that stands for all of Amazon's.
const amazon = "https://s3.amazonaws.com"

func (c Config) withDefaults() Config {
	orDefault(&c.Endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"))
	orDefault(&c.Endpoint, os.Getenv("AWS_ENDPOINT_URL"))
	orDefault(&c.Endpoint, amazon)
	orDefault(&c.Region, os.Getenv("AWS_REGION"))
	orDefault(&c.Region, os.Getenv("AWS_DEFAULT_REGION"))
	if !c.atAmazon() {
		orDefault(&c.Region, "us-east-1") // asking would cost every process a request
	}
	orDefault(&c.Style, StyleAuto)
	orDefault(&c.Credentials, CredAuto)
	orDefault(&c.RoleEndpoint, os.Getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"))
	orDefault(&c.Retention, RetainNone)
	orDefault(&c.PartSize, 16<<20)
	orDefault(&c.Parallel, 4)
	orDefault(&c.DialTimeout, 10*time.Second)
	orDefault(&c.StallTimeout, 30*time.Second)
	orDefault(&c.AnswerTimeout, time.Minute)
	orDefault(&c.AssembleWithin, 10*time.Minute)
	orDefault(&c.RetryFor, 2*time.Minute)
	return c
}

func (c Config) atAmazon() bool {
	u, err := url.Parse(c.Endpoint)
	return err == nil && (strings.HasSuffix(u.Hostname(), ".amazonaws.com") || strings.HasSuffix(u.Hostname(), ".amazonaws.com.cn"))
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// check refuses what cannot work before anything is dialled.
func (c Config) check() error {
	if _, err := c.endpoint(); err != nil {
		return err
	}
	if !bucketName.MatchString(c.Bucket) {
		return salvor.Errorf(salvor.Invalid, "%q is no bucket name", c.Bucket).
			WithHint("bucket names have 3 to 63 lower-case letters, digits, dots and hyphens: s3://BUCKET/PREFIX")
	}
	if err := c.checkPrefix(); err != nil {
		return err
	}
	switch {
	case c.PartSize < minPart || c.PartSize > maxPart:
		return salvor.Errorf(salvor.Invalid, "a part size of %d bytes is not possible", c.PartSize).
			WithHint("S3 takes parts of 5 MiB to 5 GiB; 16 MiB is the default")
	case c.Parallel < 1:
		return salvor.Errorf(salvor.Invalid, "%d parallel parts are not possible", c.Parallel)
	}
	return c.checkRetention()
}

func (c Config) checkPrefix() error {
	if c.Prefix == "" {
		return nil
	}
	if err := storage.CheckKey(c.Prefix); err != nil {
		return salvor.Errorf(salvor.Invalid, "prefix: %w", err)
	}
	if n := len(c.Prefix) + 1 + storage.MaxKey; n > 1024 {
		return salvor.Errorf(salvor.Invalid, "the prefix has %d bytes, at most %d leave room for keys", len(c.Prefix), 1023-storage.MaxKey)
	}
	return nil
}

func (c Config) checkRetention() error {
	switch c.Retention {
	case RetainNone:
		if c.RetainFor != 0 {
			return salvor.Errorf(salvor.Invalid, "a retention time without a retention mode").
				WithHint("say retention=governance as well")
		}
		return nil
	case RetainCompliance:
		if !c.ComplianceForbidsErasure {
			return salvor.Errorf(salvor.Forbidden, "retention in compliance mode was not confirmed").
				WithHint("nobody can erase such an object before its time, whatever a person or a court asks for: use retention=governance, or confirm with compliance-forbids-erasure=true")
		}
	case RetainGovernance:
	default:
		return salvor.Errorf(salvor.Invalid, "retention mode %q is unknown", c.Retention).
			WithHint("there are none, governance and compliance")
	}
	if c.RetainFor <= 0 {
		return salvor.Errorf(salvor.Invalid, "retention needs a time").WithHint("for instance retain-for=8760h, a year")
	}
	return nil
}

func (c Config) endpoint() (*url.URL, error) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		return nil, salvor.Errorf(salvor.Invalid, "the endpoint is no URL")
	case u.User != nil:
		return nil, errSecretInURL()
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", strings.Trim(u.Path, "/") != "", u.RawQuery != "", u.Fragment != "":
		return nil, salvor.Errorf(salvor.Invalid, "endpoint %q is not of the form https://host or https://host:port", c.Endpoint)
	}
	return u, nil
}
