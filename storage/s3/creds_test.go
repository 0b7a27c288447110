package s3

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salvor"
)

func keyOf(t *testing.T, c Config) string {
	t.Helper()
	creds, err := c.withDefaults().creds()
	if err != nil {
		t.Fatalf("%v (%s)", err, salvor.HintOf(err))
	}
	v, err := creds.GetWithContext(nil)
	if err != nil {
		t.Fatal(err)
	}
	return v.AccessKeyID + "/" + v.SecretAccessKey
}

func TestCredentialsInOrder(t *testing.T) {
	clearEnv(t)
	c := Config{Endpoint: "https://s3.example", Bucket: "b"}
	if _, err := c.withDefaults().creds(); salvor.ClassOf(err) != salvor.Forbidden || !strings.Contains(salvor.HintOf(err), "AWS_ACCESS_KEY_ID") {
		t.Errorf("without any: %v (%s)", err, salvor.HintOf(err))
	}
	c.RoleEndpoint = metadata(t)
	if k := keyOf(t, c); k != "role/role-secret" {
		t.Errorf("role: %s", k)
	}
	home := filepath.Join(os.Getenv("HOME"), ".aws")
	writeFile(t, filepath.Join(home, "credentials"), "[default]\naws_access_key_id=home\naws_secret_access_key=hs\n")
	if k := keyOf(t, c); k != "home/hs" {
		t.Errorf("home: %s", k)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "env")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "es")
	if k := keyOf(t, c); k != "env/es" {
		t.Errorf("environment: %s", k)
	}
	c.CredentialsFile, c.Profile = filepath.Join(home, "mine"), "two"
	writeFile(t, c.CredentialsFile, "[one]\naws_access_key_id=1\naws_secret_access_key=1s\n[two]\naws_access_key_id=2\naws_secret_access_key=2s\n")
	if k := keyOf(t, c); k != "2/2s" {
		t.Errorf("file: %s", k)
	}
	c.AccessKeyID, c.SecretAccessKey = "own", "os"
	if k := keyOf(t, c); k != "own/os" {
		t.Errorf("own: %s", k)
	}
	for source, want := range map[CredentialSource]string{CredEnv: "env/es", CredFile: "2/2s", CredRole: "role/role-secret", CredAnonymous: "/"} {
		c.Credentials = source
		if k := keyOf(t, c); k != want {
			t.Errorf("%s: %s", source, k)
		}
	}
}

func TestCredentialErrors(t *testing.T) {
	clearEnv(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "half"), "[default]\naws_access_key_id=1\n")
	for name, c := range map[string]Config{
		"no file":    {CredentialsFile: filepath.Join(dir, "none")},
		"no profile": {CredentialsFile: filepath.Join(dir, "half"), Profile: "other"},
		"half":       {CredentialsFile: filepath.Join(dir, "half")},
		"no env":     {Credentials: CredEnv},
	} {
		c.Endpoint = "https://s3.example"
		if _, err := c.withDefaults().creds(); salvor.ClassOf(err) != salvor.Forbidden || salvor.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := Config{Endpoint: "https://s3.example", Credentials: CredRole, RoleEndpoint: "http://127.0.0.1:1"}
	if _, err := c.withDefaults().creds(); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("role: %v", err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// metadata is an instance's metadata service that gives keys of a role.
func metadata(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/latest/api/token":
			fmt.Fprint(w, "token")
		case "/latest/meta-data/iam/security-credentials/":
			fmt.Fprint(w, "archiver")
		case "/latest/meta-data/iam/security-credentials/archiver":
			fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"role","SecretAccessKey":"role-secret","Token":"t","Expiration":%q}`,
				time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// An unknown authority is refused with the remedy, which works.
func TestOwnCA(t *testing.T) {
	f := &fake{objects: map[string]stored{}, calls: map[string]int{}}
	f.Server = httptest.NewUnstartedServer(f)
	f.Config.ErrorLog = nil
	f.StartTLS()
	t.Cleanup(f.Close)
	c := f.config()
	_, err := Open(t.Context(), c)
	if salvor.ClassOf(err) != salvor.Invalid || !strings.Contains(salvor.HintOf(err), "ca-file") {
		t.Errorf("%v (%s)", err, salvor.HintOf(err))
	}
	c.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	writeFile(t, c.CAFile, "nothing")
	if _, err := Open(t.Context(), c); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("a file without certificates: %v", err)
	}
	writeFile(t, c.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Certificate().Raw})))
	if _, err := Open(t.Context(), c); err != nil {
		t.Errorf("%v (%s)", err, salvor.HintOf(err))
	}
	c.Endpoint = strings.Replace(c.Endpoint, "https", "http", 1)
	if _, err := Open(t.Context(), c); salvor.ClassOf(err) != salvor.Invalid || !strings.Contains(salvor.HintOf(err), "https://") {
		t.Errorf("plain HTTP to a TLS port: %v (%s)", err, salvor.HintOf(err))
	}
}

// The bucket is part of the host name, or of the path.
func TestPathStyle(t *testing.T) {
	for style, want := range map[PathStyle]string{StylePath: "s3.example /bucket/", StyleVirtual: "bucket.s3.example /", StyleAuto: "s3.example /bucket/"} {
		var got string
		c := Config{Endpoint: "http://s3.example", Bucket: "bucket", AccessKeyID: "k", SecretAccessKey: "s", Style: style, RetryFor: -1}
		c.Wrap = func(http.RoundTripper) http.RoundTripper {
			return tripFunc(func(r *http.Request) (*http.Response, error) {
				got = r.URL.Host + " " + r.URL.Path
				return nil, fmt.Errorf("enough")
			})
		}
		if _, err := Open(t.Context(), c); err == nil || got != want {
			t.Errorf("%s: %q, want %q (%v)", style, got, want, err)
		}
	}
}

type tripFunc func(r *http.Request) (*http.Response, error)

func (f tripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
