package robots

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// groups are files whose lines are for one crawler or another: what
// "salvor", which also goes by "ia_archiver", may not fetch of /a, /b and /c.
var groups = []struct {
	name, file, forbidden string
}{
	{"everybody's", "User-agent: *\nDisallow: /a", "/a"},
	{"ours and everybody's are one group", "User-agent: *\nUser-agent: salvor\nDisallow: /a\n\nUser-agent: *\nDisallow: /b", "/a"},
	{"everybody's groups are one, too", "User-agent: *\nDisallow: /a\n\nUser-agent: x\nDisallow: /b\n\nUser-agent: *\nDisallow: /c", "/a/c"},
	{"both of our names count", "User-agent: ia_archiver\nDisallow: /a\n\nUser-agent: salvor\nDisallow: /b\n\nUser-agent: *\nDisallow: /c", "/a/b"},
	{"only the second of our names", "User-agent: ia_archiver\nDisallow: /a\n\nUser-agent: *\nDisallow: /c", "/a"},
	{"a longer name is not ours", "User-agent: salvor-images\nDisallow: /a\n\nUser-agent: *\nDisallow: /b", "/b"},
	{"a name with a version is", "User-agent: Salvor/2.0\nDisallow: /a\n\nUser-agent: *\nDisallow: /b", "/a"},
	{"a name inside is not", "User-agent: Mozilla/5.0 (compatible; salvor)\nDisallow: /a", ""},
	{"blank lines end no group", "User-agent: salvor\n\n\nDisallow: /a\n\n\nDisallow: /b", "/a/b"},
	{"nor separate agents", "User-agent: salvor\n\nUser-agent: x\nDisallow: /a", "/a"},
	{"lines that are not understood neither", "User-agent: salvor\nHost: x.example\nRequest-rate: 1/5\nUser-agent: x\nNoindex: /c\nDisallow: /a", "/a"},
	{"Sitemap between agents neither", "User-agent: salvor\nSitemap: /s\nUser-agent: x\nDisallow: /a", "/a"},
	{"Crawl-delay between agents neither", "User-agent: salvor\nCrawl-delay: 1\nUser-agent: x\nDisallow: /a", "/a"},
	{"an empty rule does", "User-agent: salvor\nDisallow:\nUser-agent: x\nDisallow: /a", ""},
	{"our group has a delay only", "User-agent: *\nDisallow: /a\n\nUser-agent: salvor\nCrawl-delay: 1", ""},
	{"no colon, no line", "User-agent salvor\nDisallow /a\nUser-agent: *\nDisallow /a\nDisallow: /b", "/b"},
	{"lines before any agent", "Disallow: /a\nAllow: /\nUser-agent: *\nDisallow: /b", "/b"},
	{"agents without rules", "User-agent: *\nUser-agent: salvor", ""},
	{"an agent without a name", "User-agent:\nDisallow: /a\nUser-agent: *\nDisallow: /b", "/b"},
	{"Windows line ends", "User-agent: *\r\nDisallow: /a\r\n\r\nDisallow: /b\r\n", "/a/b"},
	{"mixed line ends", "User-agent: *\rDisallow: /a\nDisallow: /b\r\rDisallow: /c", "/a/b/c"},
	{"white space of all kinds", "\t User-agent\t:\t*\t\n \x0bDisallow :\x0c/a\x00\n", "/a"},
	{"comments at every place", "#User-agent: x\nUser-agent: *#y\n#Disallow: /c\nDisallow: /a#/b\nDisallow: #/b", "/a"},
	{"a mark only at the beginning", "\xef\xbb\xbfUser-agent: *\nDisallow: /a\n\xef\xbb\xbfDisallow: /b", "/a"},
	{"a page instead of a file", "<!DOCTYPE html>\n<p>User-agent: *</p>\n<p>Disallow: /a</p>", ""},
	{"bytes instead of a file", "\x00\x01\xff\xfe:\n::\nDisallow\n:", ""},
	{"spelled as people do", "useragent: *\nDISALLOW:/a\nuser agent: salvor\ndisallow:b", "/b"},
}

func TestGroups(t *testing.T) {
	for _, c := range groups {
		t.Run(c.name, func(t *testing.T) {
			f := Parse([]byte(c.file), "Salvor", "ia_archiver", "")
			kept := Parse(f.Text(16<<10), "Salvor")
			got, again := "", ""
			for _, path := range []string{"/a", "/b", "/c"} {
				if ok, _ := f.Allowed(path); !ok {
					got += path
				}
				if ok, _ := kept.Allowed(path); !ok {
					again += path
				}
			}
			if got != c.forbidden || again != got {
				t.Errorf("%q forbids %q, its kept text %q, want %q", c.file, got, again, c.forbidden)
			}
		})
	}
}

func TestDelays(t *testing.T) {
	for file, want := range map[string]time.Duration{
		"User-agent: *\nCrawl-delay: 10":                                                      10 * time.Second,
		"User-agent: *\nCrawl-delay: 0.25 # s":                                                250 * time.Millisecond,
		"User-agent: *\nCrawl-delay: 1\nCrawl-delay: 3\nCrawl-delay: 2":                       3 * time.Second,
		"User-agent: *\nCrawl-delay: 9\n\nUser-agent: salvor\nDisallow: /a":                   0,
		"User-agent: *\nCrawl-delay: 9\n\nUser-agent: salvor\nDisallow: /a\nCrawl-delay: 0.5": 500 * time.Millisecond,
		"Crawl-delay: 9\nUser-agent: *":                                                       0,
		"User-agent: *\nCrawl-delay: 10s":                                                     0,
		"User-agent: *\nCrawl-delay: +Inf":                                                    MaxDelay,
		"User-agent: *\nCrawl-delay: 1e-12":                                                   0,
	} {
		f := Parse([]byte(file), "salvor")
		if f.CrawlDelay() != want {
			t.Errorf("%q asks for %v, want %v", file, f.CrawlDelay(), want)
		}
		if kept := Parse(f.Text(1000), "salvor").CrawlDelay(); kept != want {
			t.Errorf("%q is kept as %v", file, kept)
		}
	}
}

// TestLimit: a rule that ends within the limit counts, also when it has no
// line end; one that goes on behind it does not.
func TestLimit(t *testing.T) {
	fill := func(head, tail string) string {
		return head + "#" + strings.Repeat("x", MaxSize-len(head)-1-len(tail)) + tail
	}
	for name, c := range map[string]struct {
		body string
		want bool
	}{
		"exactly":      {fill("User-agent: *\n", "\nDisallow: /ab"), false},
		"a byte more":  {fill("User-agent: *\n", "\nDisallow: /ab") + "c", true},
		"a line more":  {fill("User-agent: *\n", "\nDisallow: /ab\n") + "Allow: /ab", false},
		"a whole line": {fill("User-agent: *\n", "\nDisallow: /ab") + "\nAllow: /ab", false},
		"one line":     {strings.Repeat("x", 2*MaxSize), true},
	} {
		if got, by := Parse([]byte(c.body), "salvor").Allowed("/ab"); got != c.want {
			t.Errorf("%s: %v by %q", name, got, by)
		}
	}
}

// TestKeptTextIsStricter: a text in which all Disallow rules have room allows
// nothing that the file forbids, however many Allow rules it lost.
func TestKeptTextIsStricter(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	path := func() string {
		var b strings.Builder
		for range 1 + rng.IntN(4) {
			fmt.Fprintf(&b, "/%c", 'a'+rune(rng.IntN(3)))
		}
		return b.String()
	}
	for range 150 {
		var file strings.Builder
		file.WriteString("User-agent: salvor\n")
		room := len("User-agent: *\n")
		for range 20 {
			line := "Disallow: " + path() + "\n"
			if rng.IntN(2) == 0 {
				line = "Allow: " + path() + "\n"
			} else {
				room += len(line)
			}
			file.WriteString(line)
		}
		f := Parse([]byte(file.String()), "salvor")
		text := f.Text(room + rng.IntN(100))
		kept := Parse(text, "salvor")
		for range 20 {
			p := path()
			was, _ := f.Allowed(p)
			if is, by := kept.Allowed(p); is && !was {
				t.Fatalf("%s is allowed by %q in\n%s\nbut not in\n%s", p, by, text, file.String())
			}
		}
	}
}

// TestTooManyRules: where the Disallow rules alone have no room, more is
// forbidden, never less.
func TestTooManyRules(t *testing.T) {
	var file strings.Builder
	file.WriteString("User-agent: *\nAllow: /dir/allowed/12\n")
	for i := range 3000 {
		fmt.Fprintf(&file, "Disallow: /dir/%%C3%%BC/thread-%d/*.php$\n", i*7919)
	}
	f := Parse([]byte(file.String()), "salvor")
	for _, room := range []int{16 << 10, 1000, 60, 30} {
		text := f.Text(room)
		if len(text) > room {
			t.Errorf("%d bytes in %d", len(text), room)
		}
		kept := Parse(text, "salvor")
		for i := range 3000 {
			if ok, by := kept.Allowed(fmt.Sprintf("/dir/ü/thread-%d/x.php", i*7919)); ok {
				t.Fatalf("thread %d is allowed by %q in %d bytes:\n%.300s", i, by, room, text)
			}
		}
		if ok, by := kept.Allowed("/other/"); !ok && room > 100 {
			t.Errorf("/other/ is forbidden by %q in %d bytes", by, room)
		}
	}
}
