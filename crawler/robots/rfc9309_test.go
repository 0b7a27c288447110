package robots

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

// examples are those of RFC 9309 2.2.2 and 2.2.3 and of the documents it grew
// from: a rule, a path, and whether the rule matches.
var examples = []struct {
	rule, path string
	match      bool
}{
	// 2.2.2: octets, compared as they are written in a URL.
	{"/foo/bar?baz=quz", "/foo/bar?baz=quz", true},
	{"/foo/bar?baz=https://foo.bar", "/foo/bar?baz=https://foo.bar", true},
	{"/foo/bar/ツ", "/foo/bar/%E3%83%84", true},
	{"/foo/bar/%E3%83%84", "/foo/bar/%E3%83%84", true},
	{"/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84", true},
	{"/foo/bar/%62%61%7A", "/foo/bar/baz", true},
	{"/foo/bar/baz", "/foo/bar/%62%61%7A", true},
	{"/a%3cd.html", "/a%3Cd.html", true},
	{"/a%2fb.html", "/a/b.html", false},
	{"/%7Ejoe/index.html", "/~joe/index.html", true},
	{"/~joe/index.html", "/%7ejoe/index.html", true},
	{"/100%", "/100%", true},
	{"/100%2", "/100%25", true},
	{"/a%zz", "/a%zz", true},
	{"/a%zz", "/a%ZZ", false},

	// 2.2.3: special characters, and themselves in their encoding.
	{"/path/file-with-a-%2A.html", "/path/file-with-a-*.html", true},
	{"/path/file-with-a-%2a.html", "/path/file-with-a-%2A.html", true},
	{"/path/file-with-a-%2A.html", "/path/file-with-a-x.html", false},
	{"/path/foo-%24", "/path/foo-$", true},
	{"/path/foo-%24", "/path/foo-", false},
	{"/path/foo-$", "/path/foo-$", false},
	{"/a$b", "/a$b", true},
	{"/a$b", "/a%24b", true},
	{"/a$b$", "/a$b", true},
	{"/a$b$", "/a$bc", false},
	{"/a$b*", "/a$bc", true},
	{"/$$", "/$", true},
	{"/$", "/", true},
	{"/$", "/a", false},
	{"/this/*/exactly", "/this/path/exactly", true},
	{"/this/*/exactly", "/this//exactly", true},
	{"/this/*/exactly", "/this/exactly", false},

	// Wildcards as people write them.
	{"/fish", "/fish.html", true},
	{"/fish", "/Fish.asp", false},
	{"/fish*", "/fishheads/yummy.html", true},
	{"/fish*", "/?id=fish", false},
	{"/fish/", "/fish", false},
	{"/*.php", "/folder/any.php.file.html", true},
	{"/*.php", "/windows.PHP", false},
	{"/*.php$", "/folder/filename.php", true},
	{"/*.php$", "/filename.php?parameters", false},
	{"/*.php$", "/filename.php5", false},
	{"/*.php$", "/filename.php/.php", true},
	{"/fish*.php", "/fishheads/catfish.php?parameters", true},
	{"/fish*.php", "/Fish.PHP", false},
	{"*", "/", true},
	{"**", "/x", true},
	{"*$", "/x", true},
	{"/*a*b*", "/ba", false},
	{"/ab*ab$", "/ab", false},
	{"/ab*ab$", "/aab", false},
	{"/ab*ab$", "/abab", true},
	{"?", "/?", true},
	{"/a b", "/a%20b", true},
}

func TestExamples(t *testing.T) {
	for _, c := range examples {
		f := Parse([]byte("User-agent: *\nDisallow: "+c.rule), "salvor")
		if allowed, _ := f.Allowed(c.path); allowed == c.match {
			t.Errorf("%s on %s: match is %v", c.rule, c.path, !c.match)
		}
	}
}

// TestRuleNamed: the answer names the line as it was written.
func TestRuleNamed(t *testing.T) {
	f := Parse([]byte("User-agent: *\nDISALLOW :  /ü/a # x\nAllow: /ü/a/b"), "salvor")
	for path, want := range map[string]string{
		"/%C3%BC/a": "false Disallow: /ü/a", "/ü/a/b/c": "true Allow: /ü/a/b", "/": "true ", "/robots.txt": "true ",
	} {
		allowed, rule := f.Allowed(path)
		if got := fmt.Sprintf("%v %s", allowed, rule); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}

// TestReference compares whole files with rules as regular expressions, all of
// which are asked: the longest decides, and Allow among two.
func TestReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 309))
	parts := []string{"a", "b", "/", "*", "$", "%62", "%2F", "%2f", "é", "%C3%A9", "%2A", "%24", "?"}
	text := func(n int) string {
		var b strings.Builder
		b.WriteByte('/')
		for range rng.IntN(n) {
			b.WriteString(parts[rng.IntN(len(parts))])
		}
		return b.String()
	}
	for range 200 {
		var file strings.Builder
		file.WriteString("User-agent: salvor\n")
		type line struct {
			allow  bool
			length int
			re     *regexp.Regexp
		}
		var rules []line
		for range 1 + rng.IntN(6) {
			r, pattern := line{allow: rng.IntN(2) == 0}, text(6)
			r.length, r.re = len(normalise(pattern)), reference(pattern)
			rules = append(rules, r)
			fmt.Fprintf(&file, "%s: %s\n", map[bool]string{true: "Allow", false: "Disallow"}[r.allow], pattern)
		}
		f := Parse([]byte(file.String()), "salvor")
		for range 10 {
			path := text(8)
			want, longest := true, 0
			for _, r := range rules {
				if (r.length > longest || r.length == longest && r.allow) && r.re.MatchString(atoms(path)) {
					want, longest = r.allow, r.length
				}
			}
			if got, by := f.Allowed(path); got != want {
				t.Fatalf("%s is %v by %q, want %v in\n%s", path, got, by, want, file.String())
			}
		}
	}
}

// atoms spells every octet in one way: as three characters, of which the first
// is a percent sign where an encoded octet means something else than itself.
func atoms(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		encoded := false
		if c == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0 {
			c, encoded = byte(unhex(s[i+1])<<4|unhex(s[i+2])), true
			i += 2
		}
		sign := '-'
		if encoded && strings.IndexByte("/?%", c) >= 0 {
			sign = '%'
		}
		fmt.Fprintf(&b, "%c%02x", sign, c)
	}
	return b.String()
}

// reference is a rule's pattern as an expression over atoms.
func reference(pattern string) *regexp.Regexp {
	body, anchored := strings.CutSuffix(pattern, "$")
	var b strings.Builder
	b.WriteString("^")
	for i, piece := range strings.Split(body, "*") {
		if i > 0 {
			b.WriteString("(?:...)*?")
		}
		b.WriteString(atoms(piece))
	}
	if anchored {
		b.WriteString("$")
	}
	return regexp.MustCompile(b.String())
}

// TestMostHostile: the largest file of the most expensive patterns on the
// longest path takes milliseconds where backtracking would take for ever.
func TestMostHostile(t *testing.T) {
	for _, unit := range []string{"*a", "a*", "*a*b", "*aaaaaaaaab"} {
		line := "Disallow: /" + strings.Repeat(unit, 200) + "$\n"
		body := "User-agent: *\n" + strings.Repeat(line, MaxSize/len(line))
		start := time.Now()
		f := Parse([]byte(body), "salvor")
		f.Allowed("/" + strings.Repeat("a", 16<<10))
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%s: %v for %d rules", unit, d, f.Rules())
		}
	}
	f := Parse([]byte("User-agent: *\n"+strings.Repeat("Disallow: /x\n", 2*maxRules)+strings.Repeat("Sitemap: /s\n", 20000)), "salvor")
	if f.Rules() > maxRules || len(f.Sitemaps()) > 10000 {
		t.Errorf("%d rules, %d sitemaps", f.Rules(), len(f.Sitemaps()))
	}
}
