package s3

import (
	"strings"
	"testing"
	"time"

	"salvor"
)

func clearEnv(t *testing.T) {
	t.Helper()
	for _, n := range []string{
		"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY",
		"AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE",
		"AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN",
	} {
		t.Setenv(n, "")
	}
	t.Setenv("HOME", t.TempDir())
}

func TestParseURL(t *testing.T) {
	clearEnv(t)
	c, err := ParseURL("s3://archive/crawls/2026/?endpoint=https://s3.example.org:9000&region=eu-1&path-style=true&credentials-file=/etc/keys" +
		"&profile=salvor&ca-file=/etc/ca.pem&storage-class=STANDARD_IA&part-size=64MiB&parallel=2&retention=governance&retain-for=720h" +
		"&read-only=true&stall-timeout=5s&retry-for=1m&credentials=file&state-dir=/var/lib/salvor")
	if err != nil {
		t.Fatal(err, salvor.HintOf(err))
	}
	c.DialContext, c.Wrap = nil, nil
	want := Config{
		Endpoint: "https://s3.example.org:9000", Region: "eu-1", Bucket: "archive", Prefix: "crawls/2026", Style: StylePath,
		Credentials: CredFile, CredentialsFile: "/etc/keys", Profile: "salvor", CAFile: "/etc/ca.pem", StorageClass: "STANDARD_IA",
		PartSize: 64 << 20, Parallel: 2, Retention: RetainGovernance, RetainFor: 720 * time.Hour, ReadOnly: true,
		StallTimeout: 5 * time.Second, RetryFor: time.Minute, StateDir: "/var/lib/salvor",
	}
	if got := c; !equal(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// equal compares Configs without functions.
func equal(a, b Config) bool {
	a.DialContext, b.DialContext, a.Wrap, b.Wrap = nil, nil, nil, nil
	return strings.EqualFold(dump(a), dump(b))
}

func TestParseURLRefuses(t *testing.T) {
	clearEnv(t)
	for url, want := range map[string]string{
		"http://bucket/x":                                     "s3://",
		"s3://key:hunter2@bucket/x":                           "must not hold keys",
		"s3://bucket/x?secret-key=hunter2":                    "must not hold keys",
		"s3://bucket/x?access_key=hunter2":                    "must not hold keys",
		"s3://bucket/x?endpoint=https://u:hunter2@h":          "must not hold keys",
		"s3://bucket/x?endpoint=ftp://h":                      "https://host",
		"s3://bucket/x?endpoint=https://h/path":               "https://host",
		"s3://bucket/x?regoin=a":                              "regoin",
		"s3://bucket/x?region=a&region=b":                     "twice",
		"s3://bucket/x?region=":                               "without a value",
		"s3://bucket/x?part-size=4MiB":                        "4194304",
		"s3://bucket/x?part-size=99999999GiB":                 "part-size",
		"s3://bucket/x?part-size=-1":                          "part-size",
		"s3://bucket/x?parallel=0x":                           "parallel",
		"s3://bucket/x?retention=forever":                     "none, governance and compliance",
		"s3://bucket/x?retention=governance":                  "needs a time",
		"s3://bucket/x?retain-for=1h":                         "without a retention mode",
		"s3://bucket/x?retention=compliance&retain-for=1h":    "not confirmed",
		"s3://bucket/x?credentials=guess":                     "auto, env, file, role and anonymous",
		"s3://bucket/x?read-only=perhaps":                     "read-only",
		"s3://Bucket/x":                                       "bucket name",
		"s3:///x":                                             "bucket name",
		"s3://bucket/a//b":                                    "empty segment",
		"s3://bucket/.x":                                      "dot",
		"s3://bucket/" + strings.Repeat("a", 124):             "123",
		"s3://bucket/x#y":                                     "fragment",
		"s3://bucket/x?region=%zz":                            "hexadecimal",
		"s3://bucket/x?path-style=maybe":                      "auto, path and virtual",
		"s3://bu cket/x":                                      "cannot be read",
		"s3://bucket/x?endpoint=https://h?a=hunter2":          "https://host",
		"s3://bucket/x?retention=governance&retain-for=-1h":   "needs a time",
		"s3://bucket/x?compliance-forbids-erasure=yes-please": "compliance-forbids-erasure",
	} {
		_, err := ParseURL(url)
		if salvor.ClassOf(err) != salvor.Invalid && salvor.ClassOf(err) != salvor.Forbidden || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", url, err)
			continue
		}
		if strings.Contains(url, "key") && strings.Contains(err.Error()+salvor.HintOf(err), "hunter2") {
			t.Errorf("%s: the error repeats the secret: %v", url, err)
		}
	}
	_, err := ParseURL("s3://bucket/x?regoin=a")
	if h := salvor.HintOf(err); !strings.Contains(h, "region") || !strings.Contains(h, "ca-file") {
		t.Errorf("the hint does not name the parameters: %s", h)
	}
	if _, err := ParseURL("s3://bucket/x?retention=compliance&retain-for=1h&compliance-forbids-erasure=true"); err != nil {
		t.Error(err)
	}
}

func FuzzParseURL(f *testing.F) {
	for _, u := range []string{"s3://bucket/prefix?endpoint=https://h&part-size=8MiB", "s3://a:b@c", "s3://bucket/?x=%", "::"} {
		f.Add(u)
	}
	f.Fuzz(func(t *testing.T, u string) {
		c, err := ParseURL(u)
		if err == nil && c.withDefaults().check() != nil {
			t.Errorf("%q was accepted and is not valid", u)
		}
	})
}

func TestEndpointFromEnvironment(t *testing.T) {
	clearEnv(t)
	t.Setenv("AWS_ENDPOINT_URL", "https://all.example")
	if e := (Config{}).withDefaults().Endpoint; e != "https://all.example" {
		t.Error(e)
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "https://s3.example")
	if e := (Config{}).withDefaults().Endpoint; e != "https://s3.example" {
		t.Error(e)
	}
	if e := (Config{Endpoint: "https://mine"}).withDefaults().Endpoint; e != "https://mine" {
		t.Error(e)
	}
}
