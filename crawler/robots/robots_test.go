package robots

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"
)

// answers are the questions people have of RFC 9309, and the cases in which
// other libraries differ from it.
var answers = []struct {
	name, file, path string
	want             bool
}{
	{"no file", "", "/a", true},
	{"no rule for us", "User-agent: other\nDisallow: /", "/a", true},
	{"everybody", "User-agent: *\nDisallow: /", "/a", false},
	{"robots.txt itself", "User-agent: *\nDisallow: /", "/robots.txt", true},
	{"an empty Disallow", "User-agent: *\nDisallow:", "/a", true},
	{"our group, not everybody's", "User-agent: *\nDisallow: /\nUser-agent: salvor\nAllow: /", "/a", true},
	{"our group is empty", "User-agent: *\nDisallow: /\n\nUser-agent: salvor\nDisallow:", "/a", true},
	{"a token inside a whole agent", "User-agent: Salvor/1.0 (+https://x.example)\nDisallow: /", "/a", false},
	{"no prefix of a token", "User-agent: salvorbot\nDisallow: /\n", "/a", true},
	{"nor a token that we begin with", "User-agent: sal\nDisallow: /\n", "/a", true},
	{"case of the agent", "USER-AGENT: SALVOR\nDISALLOW: /", "/a", false},
	{"case of the path", "User-agent: *\nDisallow: /A", "/a", true},
	{"groups of one agent are one", "User-agent: salvor\nDisallow: /a\n\nUser-agent: x\nDisallow: /\n\nUser-agent: salvor\nDisallow: /b", "/b", false},
	{"agents share a group", "User-agent: x\nUser-agent: salvor\nDisallow: /a", "/a", false},
	{"Crawl-delay splits no group", "User-agent: x\nCrawl-delay: 3\nUser-agent: salvor\nDisallow: /a", "/a", false},
	{"Sitemap splits no group", "User-agent: salvor\nSitemap: https://x.example/s\nDisallow: /a", "/a", false},
	{"rules before any agent", "Disallow: /\nUser-agent: *\nDisallow: /b", "/a", true},
	{"the longest rule", "User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", true},
	{"whatever its place", "User-agent: *\nAllow: /a/b\nDisallow: /a", "/a/b/c", true},
	{"a tie allows", "User-agent: *\nDisallow: /a\nAllow: /a", "/a", true},
	{"a star", "User-agent: *\nDisallow: /*.gif", "/x/y.gif?z", false},
	{"an anchor", "User-agent: *\nDisallow: /*.gif$", "/x/y.gif?z", true},
	{"an anchor that holds", "User-agent: *\nDisallow: /*.gif$", "/x.gif/y.gif", false},
	{"a dollar inside", "User-agent: *\nDisallow: /a$b", "/a$b", false},
	{"a final star", "User-agent: *\nDisallow: /a*", "/abc", false},
	{"a rule without a slash", "User-agent: *\nDisallow: a", "/a", false},
	{"a star first", "User-agent: *\nDisallow: *.php", "/x.php", false},
	{"space before the colon", "User-agent : *\nDisallow : /a", "/a", false},
	{"comments", "# x\nUser-agent: * # all\nDisallow: /a # that", "/a", false},
	{"UTF-8 in the rule", "User-agent: *\nDisallow: /ü", "/%C3%BC", false},
	{"UTF-8 in the path", "User-agent: *\nDisallow: /%c3%bc", "/ü", false},
	{"an encoded letter", "User-agent: *\nDisallow: /%62", "/b", false},
	{"an encoded slash is another", "User-agent: *\nDisallow: /a%2Fb", "/a/b", true},
	{"case of the digits", "User-agent: *\nDisallow: /a%2fb", "/a%2Fb", false},
	{"the query counts", "User-agent: *\nDisallow: /*?s=", "/find?s=1", false},
	{"a byte order mark", "\xef\xbb\xbfUser-agent: *\nDisallow: /", "/a", false},
	{"old line ends", "User-agent: *\rDisallow: /a\r", "/a", false},
	{"lines that mean nothing", "<html>\nUser-agent: *\nfoo\nNoindex: /\nDisallow: /a", "/a", false},
	{"an empty path", "User-agent: *\nDisallow: /$", "", false},
}

func TestAllowed(t *testing.T) {
	for _, c := range answers {
		t.Run(c.name, func(t *testing.T) {
			f := Parse([]byte(c.file), "salvor")
			if got, rule := f.Allowed(c.path); got != c.want {
				t.Errorf("%s of\n%s\nis %v by %q, want %v", c.path, c.file, got, rule, c.want)
			}
			again := Parse(f.Text(16<<10), "salvor")
			if got, _ := again.Allowed(c.path); got != c.want {
				t.Errorf("the kept text answers %v:\n%s", got, f.Text(16<<10))
			}
		})
	}
}

func TestAgents(t *testing.T) {
	f := Parse([]byte("User-agent: archive.org_bot\nDisallow: /a\nUser-agent: *\nDisallow: /b"), "salvor", "Archive")
	if ok, _ := f.Allowed("/a"); ok {
		t.Error("the second of our names is not heard")
	}
}

func TestDelayAndSitemaps(t *testing.T) {
	f := Parse([]byte("Sitemap: https://x.example/1\nUser-agent: *\nCrawl-delay: 2.5\nDisallow: /a\nUser-agent: x\nCrawl-delay: 90\nsitemap: /2"), "salvor")
	if f.CrawlDelay() != 2500*time.Millisecond || fmt.Sprint(f.Sitemaps()) != "[https://x.example/1 /2]" {
		t.Errorf("%v %v", f.CrawlDelay(), f.Sitemaps())
	}
	if again := Parse(f.Text(1000), "salvor"); again.CrawlDelay() != f.CrawlDelay() {
		t.Errorf("kept as %v", again.CrawlDelay())
	}
	for _, bad := range []string{"-1", "x", "NaN", "", "0"} {
		if d := Parse([]byte("User-agent: *\nCrawl-delay: "+bad), "salvor").CrawlDelay(); d != 0 {
			t.Errorf("Crawl-delay %q is %v", bad, d)
		}
	}
	if d := Parse([]byte("User-agent: *\nCrawl-delay: 1e300"), "salvor").CrawlDelay(); d != MaxDelay {
		t.Errorf("a delay without end is %v", d)
	}
}

// TestLarge: what lies behind the limit is not read, and a line that the limit
// cuts does not mean more than was written.
func TestLarge(t *testing.T) {
	rule := "Disallow: /abc\n"
	body := "User-agent: *\n" + strings.Repeat("#", MaxSize-len("User-agent: *\n")-len("\nDisallow: /")) + "\n" + rule + "Disallow: /late\n"
	f := Parse([]byte(body), "salvor")
	for _, path := range []string{"/x", "/late"} {
		if ok, by := f.Allowed(path); !ok {
			t.Errorf("%s is forbidden by %q", path, by)
		}
	}
}

// TestKeptText: what does not fit is left out so that less is allowed, not more.
func TestKeptText(t *testing.T) {
	var b strings.Builder
	b.WriteString("User-agent: *\nDisallow: /\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "Allow: /some/longer/path/%d\n", i)
	}
	text := Parse([]byte(b.String()), "salvor").Text(1000)
	if len(text) > 1000 {
		t.Fatalf("%d bytes", len(text))
	}
	if ok, _ := Parse(text, "salvor").Allowed("/other"); ok {
		t.Error("a shortened text allows what the file forbids")
	}
}

// TestWildcard compares with the same pattern as a regular expression.
func TestWildcard(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	text := func(letters string, n int) string {
		b := make([]byte, rng.IntN(n))
		for i := range b {
			b[i] = letters[rng.IntN(len(letters))]
		}
		return "/" + string(b)
	}
	for range 20_000 {
		pattern, path := text("ab**$", 7), text("ab$", 9)
		body, anchored := strings.CutSuffix(pattern, "$")
		expr := "(?s)^" + strings.ReplaceAll(regexp.QuoteMeta(body), `\*`, ".*")
		if anchored {
			expr += "$"
		}
		if got, want := wildcard(pattern, path), regexp.MustCompile(expr).MatchString(path); got != want {
			t.Fatalf("%s on %s: %v, the expression says %v", pattern, path, got, want)
		}
	}
}

// FuzzParse: nothing panics, and what is kept answers as the file does.
func FuzzParse(f *testing.F) {
	for _, c := range answers {
		f.Add([]byte(c.file), c.path)
	}
	f.Add([]byte("User-agent: *\nDisallow: /"+strings.Repeat("*a", 200)), "/"+strings.Repeat("a", 500))
	f.Fuzz(func(t *testing.T, body []byte, path string) {
		file := Parse(body, "salvor")
		got, rule := file.Allowed(path)
		text := file.Text(1 << 20)
		if text == nil && file.Rules() > 0 {
			return // larger than what is kept
		}
		if again, by := Parse(text, "salvor").Allowed(path); again != got {
			t.Errorf("%q: %v by %q, kept: %v by %q\n%s", path, got, rule, again, by, text)
		}
	})
}

func BenchmarkAllowed(b *testing.B) {
	var text strings.Builder
	text.WriteString("User-agent: *\n")
	for i := range 200 {
		fmt.Fprintf(&text, "Disallow: /dir%d/*.php$\nAllow: /dir%d/\n", i, i)
	}
	f := Parse([]byte(text.String()), "salvor")
	for b.Loop() {
		f.Allowed("/forum/viewtopic.php?t=123456")
	}
}
