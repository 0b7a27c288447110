package outfit

import (
	"testing"

	"salvor/crawler/scope"
)

// TestFilePrefix: what names a segment is letters, digits, - and _, and no
// option of a command that is given its name.
func TestFilePrefix(t *testing.T) {
	for host, want := range map[string]string{"a.example": "a-example", "--1": "1", "---": "salvor", "": "salvor", "ip6--1": "ip6--1"} {
		if got := filePrefix(host); got != want {
			t.Errorf("%q: %q", host, got)
		}
	}
}

func TestGrows(t *testing.T) {
	for _, c := range []struct {
		kind, to string
		want     bool
	}{
		{"host", "https://www.a.test/home", false},
		{"host", "http://b.test/", true},
		{"page", "http://a.test/home", true},
		{"prefix", "http://a.test/d/home", false},
		{"prefix", "http://a.test/e/", true},
		{"domain", "http://x.a.test/", false},
		{"any", "http://b.test/", false},
	} {
		area, err := scope.Compile(scope.Rules{Kind: c.kind, Seeds: []string{"http://a.test/d/"}, MaxHops: scope.NoLimit})
		if err != nil {
			t.Fatal(err)
		}
		if got := Grows(area, c.to); got != c.want {
			t.Errorf("%s, to %s: %v", c.kind, c.to, got)
		}
	}
}

// TestSensitiveHosts: who lets its bearer in is told to the seeds' hosts only.
func TestSensitiveHosts(t *testing.T) {
	named := hostsOf([]string{"https://www.example.org/", "http://[2001:db8::1]/"})
	for host, want := range map[string]bool{"example.org": true, "www.example.org": true, "2001:db8::1": true, "cdn.example.org": false, "example.net": false} {
		if named(host) != want {
			t.Errorf("%s: %v", host, !want)
		}
	}
}
