package cli

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/scope"
)

// TestSettingsAsFlags: a report names settings as the command line does, all of
// them, and no secret.
func TestSettingsAsFlags(t *testing.T) {
	s := defaults()
	s.Include, s.Exclude, s.ExcludeFiles, s.ExcludeSets = []string{"i"}, []string{"e", "f"}, []string{"rules"}, []string{"global", "forum"}
	s.Deadline, s.DeadlineSpec, s.LimitURLs, s.LimitBytes, s.MaxBody, s.LimitRate = time.Unix(1e9, 0), "1d", 1, 2, 3, 4
	s.HeaderNames, s.BindAddress, s.Proxy, s.AllowNet = []string{"X-Key"}, netip.MustParseAddr("::1"), "http://p:1", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	s.Operator, s.Description, s.Contact, s.WARCHeaders = "o", "d", "c", [][2]string{{"a", "b"}}
	s.Store, s.Mirror, s.Copies = "s3://a/b", "s3://c/d", 2
	s.ValueRules, s.ValueFiles, s.ValueRecipe = []scope.ValueRule{{Text: "/a/ 2"}, {Text: "/b/ 2", From: "f:1"}}, []string{"f"}, "text-first"
	s.Secrets = job.Secrets{
		Headers: []job.Header{{Name: "X-Key", Value: "s3cret"}}, Cookies: []job.Cookie{{Name: "n", Value: "s3cret"}},
		ProxyUser: "s3cret", ProxyPass: "s3cret", CookiesFile: "s3cret",
	}
	got := map[string]string{}
	for _, f := range s.Flags() {
		got[f.Name] += f.Value + "\n"
		if strings.Contains(f.Value, "s3cret") {
			t.Errorf("--%s tells a secret", f.Name)
		}
	}
	s.ExcludeSets = nil
	for _, f := range s.Flags() {
		got[f.Name] += f.Value + "\n"
	}
	a := &asked{settings: defaults()}
	var flags []string
	for _, g := range a.groups() {
		for _, o := range g.options {
			flags = append(flags, o.name)
			if o.carry != nil && got[o.name] == "" {
				t.Errorf("--%s is a setting and no row tells it", o.name)
			}
		}
	}
	for name := range got {
		if !slices.Contains(flags, name) {
			t.Errorf("--%s is no flag", name)
		}
	}
	for name, want := range map[string]string{"exclude": "e\nf\n", "value-rule": "/a/ 2\n", "max-rate": "20 (default)\n", "max-hops": "none\n", "exclude-set": "forum\n", "header": "X-Key: [secret]\n"} {
		if !strings.HasPrefix(got[name], want) {
			t.Errorf("--%s: %q, want %q", name, got[name], want)
		}
	}
}
