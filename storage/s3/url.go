package s3

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// param is a query parameter of a Store's URL.
type param struct {
	name string
	set  func(c *Config, v string) error
}

func text(f func(*Config) *string) func(*Config, string) error {
	return func(c *Config, v string) error { *f(c) = v; return nil }
}

func flag(f func(*Config) *bool) func(*Config, string) error {
	return func(c *Config, v string) (err error) {
		*f(c), err = strconv.ParseBool(v)
		return err
	}
}

func span(f func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, v string) (err error) {
		*f(c), err = time.ParseDuration(v)
		return err
	}
}

func oneOf[T ~string](f func(*Config) *T, values ...T) func(*Config, string) error {
	return func(c *Config, v string) error {
		if !slices.Contains(values, T(v)) {
			return salvor.Errorf(salvor.Invalid, "there are %s", join(values))
		}
		*f(c) = T(v)
		return nil
	}
}

func join[T ~string](values []T) string {
	var b strings.Builder
	for i, v := range values {
		switch {
		case i == 0:
		case i == len(values)-1:
			b.WriteString(" and ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(v))
	}
	return b.String()
}

var params = []param{
	{"endpoint", text(func(c *Config) *string { return &c.Endpoint })},
	{"region", text(func(c *Config) *string { return &c.Region })},
	{"path-style", setStyle},
	{"credentials", oneOf(func(c *Config) *CredentialSource { return &c.Credentials }, CredAuto, CredEnv, CredFile, CredRole, CredAnonymous)},
	{"credentials-file", text(func(c *Config) *string { return &c.CredentialsFile })},
	{"profile", text(func(c *Config) *string { return &c.Profile })},
	{"role-endpoint", text(func(c *Config) *string { return &c.RoleEndpoint })},
	{"ca-file", text(func(c *Config) *string { return &c.CAFile })},
	{"storage-class", text(func(c *Config) *string { return &c.StorageClass })},
	{"part-size", setPartSize},
	{"parallel", setParallel},
	{"retention", oneOf(func(c *Config) *Retention { return &c.Retention }, RetainNone, RetainGovernance, RetainCompliance)},
	{"retain-for", span(func(c *Config) *time.Duration { return &c.RetainFor })},
	{"compliance-forbids-erasure", flag(func(c *Config) *bool { return &c.ComplianceForbidsErasure })},
	{"state-dir", text(func(c *Config) *string { return &c.StateDir })},
	{"read-only", flag(func(c *Config) *bool { return &c.ReadOnly })},
	{"dial-timeout", span(func(c *Config) *time.Duration { return &c.DialTimeout })},
	{"stall-timeout", span(func(c *Config) *time.Duration { return &c.StallTimeout })},
	{"answer-timeout", span(func(c *Config) *time.Duration { return &c.AnswerTimeout })},
	{"retry-for", span(func(c *Config) *time.Duration { return &c.RetryFor })},
}

// setStyle takes what people write for it: true, false, path, virtual, auto.
func setStyle(c *Config, v string) error {
	switch v {
	case "true", "path":
		c.Style = StylePath
	case "false", "virtual":
		c.Style = StyleVirtual
	case "auto":
		c.Style = StyleAuto
	default:
		return salvor.Errorf(salvor.Invalid, "there are auto, path and virtual")
	}
	return nil
}

var units = []struct {
	suffix string
	bytes  int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}

func setPartSize(c *Config, v string) error {
	for _, u := range units {
		n, ok := strings.CutSuffix(v, u.suffix)
		if !ok {
			continue
		}
		size, err := strconv.ParseInt(n, 10, 64)
		if err != nil || size <= 0 || size > maxPart/u.bytes {
			break
		}
		c.PartSize = size * u.bytes
		return nil
	}
	return salvor.Errorf(salvor.Invalid, "write 16MiB or a number of bytes")
}

func setParallel(c *Config, v string) (err error) {
	c.Parallel, err = strconv.Atoi(v)
	return err
}

func errSecretInURL() error {
	return salvor.Errorf(salvor.Invalid, "a store's URL must not hold keys: URLs end up in logs and process lists").
		WithHint("put the keys into a credentials file (credentials-file=FILE&profile=NAME) or into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
}

// ParseURL reads s3://BUCKET/PREFIX?parameter=value&... No parameter can hold
// a secret, and one that is not known is refused. Errors never repeat what
// might be a secret.
func ParseURL(raw string) (Config, error) {
	var c Config
	u, err := url.Parse(raw)
	if err != nil {
		return c, salvor.Errorf(salvor.Invalid, "the store's URL cannot be read").WithHint("it has the form s3://BUCKET/PREFIX?endpoint=https://HOST")
	}
	switch {
	case u.User != nil:
		return c, errSecretInURL()
	case u.Scheme != "s3":
		return c, salvor.Errorf(salvor.Invalid, "a store's URL begins with s3://, not %s://", u.Scheme)
	case u.Fragment != "":
		return c, salvor.Errorf(salvor.Invalid, "a store's URL has no #fragment")
	}
	c.Bucket = u.Host
	c.Prefix = strings.Trim(u.Path, "/")
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return c, salvor.Errorf(salvor.Invalid, "the parameters of the store's URL cannot be read: every %% needs two hexadecimal digits, and semicolons are not allowed")
	}
	if err := c.parseParams(q); err != nil {
		return c, err
	}
	return c, c.withDefaults().check()
}

func (c *Config) parseParams(q url.Values) error {
	for name, values := range q {
		i := slices.IndexFunc(params, func(p param) bool { return p.name == name })
		switch {
		case i < 0 && secretName(name):
			return errSecretInURL()
		case i < 0:
			return salvor.Errorf(salvor.Invalid, "the store's URL has an unknown parameter %q", name).
				WithHint("known are %s", join(paramNames()))
		case len(values) > 1:
			return salvor.Errorf(salvor.Invalid, "the store's URL has %s twice", name)
		case values[0] == "":
			return salvor.Errorf(salvor.Invalid, "the store's URL has %s without a value", name)
		}
		if err := params[i].set(c, values[0]); err != nil {
			return salvor.Errorf(salvor.Invalid, "the store's URL has %s=%.40q: %w", name, values[0], err)
		}
	}
	return nil
}

func secretName(name string) bool {
	n := strings.ToLower(name)
	return strings.Contains(n, "secret") || strings.Contains(n, "access") || strings.Contains(n, "password") || strings.Contains(n, "token")
}

func paramNames() (names []string) {
	for _, p := range params {
		names = append(names, p.name)
	}
	return names
}
