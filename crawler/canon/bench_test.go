package canon

import (
	"fmt"
	"strings"
	"testing"
)

// pageRefs are 50 links as pages have them.
func pageRefs() (refs []string) {
	for i := range 50 {
		switch i % 5 {
		case 0:
			refs = append(refs, fmt.Sprintf("/section/%d/article-%d.html", i%7, i))
		case 1:
			refs = append(refs, fmt.Sprintf("../images/photo_%d.jpg", i))
		case 2:
			refs = append(refs, fmt.Sprintf("https://www.example.org/tag/%d?page=%d", i, i))
		case 3:
			refs = append(refs, fmt.Sprintf("item-%d.html#part", i))
		default:
			refs = append(refs, fmt.Sprintf("https://cdn%d.example.net/assets/app.%d.js", i%3, i))
		}
	}
	return refs
}

func benchmarkRefs(b *testing.B, resolve func(*Base, string) (URL, error)) {
	refs := pageRefs()
	b.ReportAllocs()
	for b.Loop() {
		base, _ := NewBase("https://www.example.org/news/2026/index.html")
		for _, r := range refs {
			if _, err := resolve(base, r); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkResolve50(b *testing.B)       { benchmarkRefs(b, (*Base).Resolve) }
func BenchmarkResolve50Parser(b *testing.B) { benchmarkRefs(b, (*Base).resolveSlow) }

// BenchmarkResolveHostile: the worst a reference of 16 KB can cost.
func BenchmarkResolveHostile(b *testing.B) {
	for name, ref := range map[string]string{
		"slashes": "/" + strings.Repeat("%2e/", MaxLen/4-1), "segments": "/é" + strings.Repeat("/", MaxLen-10), "ats": "http://" + strings.Repeat("@", MaxLen-20) + "h/",
		"colons": "http://u:" + strings.Repeat(":", MaxLen-20) + "@h/", "unicode": "/" + strings.Repeat("é", MaxLen/7), "labels": "http://" + strings.Repeat("é.", MaxLen/8) + "h/",
	} {
		b.Run(name, func(b *testing.B) {
			base, _ := NewBase("https://www.example.org/news/2026/index.html")
			for b.Loop() {
				base.Resolve(ref) //nolint:errcheck // only its time matters
			}
		})
	}
}
