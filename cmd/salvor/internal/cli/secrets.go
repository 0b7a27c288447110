package cli

import (
	"encoding/json"
	"fmt"
	"slices"

	"salvor/cmd/salvor/internal/job"
)

// secretsFile is job.Secrets as state/secrets.json holds it: the one place
// where secret values are written.
type secretsFile struct{ s *job.Secrets }

func newSecretsFile(s *job.Secrets) *secretsFile { return &secretsFile{s} }

type secretsJSON struct {
	Headers   [][2]string  `json:"headers,omitempty"`
	Cookies   []cookieJSON `json:"cookies,omitempty"`
	ProxyUser string       `json:"proxy_user,omitempty"`
	ProxyPass string       `json:"proxy_password,omitempty"`

	HeaderFiles []string `json:"header_files,omitempty"`
	CookiesFile string   `json:"cookies_file,omitempty"`
	ProxyFile   string   `json:"proxy_file,omitempty"`
}

type cookieJSON struct {
	job.Cookie
	Value string // over the embedded one, which hides itself
}

// MarshalJSON writes the values.
func (f *secretsFile) MarshalJSON() ([]byte, error) {
	out := secretsJSON{
		ProxyUser: f.s.ProxyUser, ProxyPass: f.s.ProxyPass.Reveal(),
		HeaderFiles: f.s.HeaderFiles, CookiesFile: f.s.CookiesFile, ProxyFile: f.s.ProxyFile,
	}
	for _, h := range f.s.Headers {
		out.Headers = append(out.Headers, [2]string{h.Name, h.Value.Reveal()})
	}
	for _, c := range f.s.Cookies {
		out.Cookies = append(out.Cookies, cookieJSON{c, c.Value.Reveal()})
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads them.
func (f *secretsFile) UnmarshalJSON(b []byte) error {
	var in secretsJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*f.s = job.Secrets{
		ProxyUser: in.ProxyUser, ProxyPass: job.Secret(in.ProxyPass),
		HeaderFiles: in.HeaderFiles, CookiesFile: in.CookiesFile, ProxyFile: in.ProxyFile,
	}
	for _, h := range in.Headers {
		f.s.Headers = append(f.s.Headers, job.Header{Name: h[0], Value: job.Secret(h[1])})
	}
	for _, c := range in.Cookies {
		c.Cookie.Value = job.Secret(c.Value)
		f.s.Cookies = append(f.s.Cookies, c.Cookie)
	}
	return nil
}

// differences lists what changed between two runs' settings, without secrets.
func differences(old, next job.Settings) (out []string) {
	a, b := fields(old), fields(next)
	var names []string
	for k := range a {
		names = append(names, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			names = append(names, k)
		}
	}
	slices.Sort(names)
	for _, k := range names {
		if x, y := string(a[k]), string(b[k]); x != y {
			out = append(out, fmt.Sprintf("%s: %s -> %s", k, shown(x), shown(y)))
		}
	}
	if !slices.Equal(old.Secrets.Headers, next.Secrets.Headers) {
		out = append(out, "headers: other values")
	}
	if !slices.Equal(old.Secrets.Cookies, next.Secrets.Cookies) {
		out = append(out, fmt.Sprintf("cookies: %d -> %d", len(old.Secrets.Cookies), len(next.Secrets.Cookies)))
	}
	if old.Secrets.ProxyUser != next.Secrets.ProxyUser || old.Secrets.ProxyPass != next.Secrets.ProxyPass {
		out = append(out, "proxy: other credentials")
	}
	return out
}

func fields(s job.Settings) map[string]json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		return nil // plain values always marshal
	}
	var m map[string]json.RawMessage
	_ = json.Unmarshal(b, &m)
	return m
}

func shown(s string) string {
	if s == "" {
		return "(not set)"
	}
	return s
}
