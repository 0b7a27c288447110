package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"salvor"
	"salvor/api"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got); -update makes it so:\n%s", name, d)
	}
}

func mustWrite(t *testing.T, v api.View, c api.Crawl, x Extra) (string, *Report) {
	t.Helper()
	dir := t.TempDir()
	r, err := Write(t.Context(), dir, v, c, x)
	if err != nil {
		t.Fatal(err)
	}
	return dir, r
}

func TestFiles(t *testing.T) {
	v, c, x := rescue()
	dir, _ := mustWrite(t, v, c, x)
	names, _ := os.ReadDir(dir)
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(dir, n.Name()))
		if err != nil {
			t.Fatal(err)
		}
		golden(t, n.Name(), b)
	}
	if len(names) != 6 {
		t.Errorf("%d files: %v", len(names), names)
	}
}

// Nothing at all is known: every list is [] and the page still stands.
func TestEmpty(t *testing.T) {
	dir, r := mustWrite(t, &fakeView{}, api.Crawl{}, Extra{Created: began})
	b, err := os.ReadFile(filepath.Join(dir, JSONFile))
	if err != nil || bytes.Contains(b, []byte("null")) {
		t.Errorf("report.json says null, or %v:\n%s", err, b)
	}
	if r.Headline != "No URL is known yet." {
		t.Error(r.Headline)
	}
	page, _ := os.ReadFile(filepath.Join(dir, HTMLFile))
	checkPage(t, page)
}

// The counters of the report add up, for any mix of outcomes.
func TestAddsUp(t *testing.T) {
	v, c, x := rescue()
	v.totals.Queued, v.totals.Waiting, v.totals.Leased = 70, 20, 10
	v.totals.Accepted += 100
	for _, late := range []bool{false, true} {
		x.End = map[bool]string{false: "interrupted", true: "deadline"}[late]
		r, err := Build(t.Context(), v, c, x)
		if err != nil {
			t.Fatal(err)
		}
		var sum int64
		by := map[string]int64{}
		for _, o := range r.Outcomes {
			sum += o.URLs
			by[o.Name] = o.URLs
		}
		if sum != r.Totals.Known {
			t.Errorf("outcomes sum up to %d of %d", sum, r.Totals.Known)
		}
		open, outOfTime := int64(100), int64(0)
		if late {
			open, outOfTime = outOfTime, open
		}
		if r.Totals.Open != open || by["open"] != open || by["out_of_time"] != outOfTime {
			t.Errorf("late %v: open %d, outcomes %v", late, r.Totals.Open, by)
		}
		if got := int64(len(r.NotSaved.Examples)) + r.NotSaved.More; got != r.Totals.Known-r.Totals.Saved {
			t.Errorf("not saved: %d", got)
		}
	}
}

func TestBounds(t *testing.T) {
	v, c, x := rescue()
	for i := range 5000 {
		v.known = append(v.known, missed("h", fmt.Sprintf("/%d", i), salvor.Failed, "timeout", -4, 8))
		v.hosts = append(v.hosts, api.Host{Name: fmt.Sprintf("h%d.example", i)})
		x.Samples = append(x.Samples, Sample{At: began.Add(5*time.Hour + time.Duration(i)*time.Minute)})
	}
	dir, r := mustWrite(t, v, c, x)
	if len(r.NotSaved.Examples) > maxExamples || len(r.Hosts) != maxHosts || r.MoreHost != len(v.hosts)-maxHosts || len(r.Throughput) != maxSamples {
		t.Errorf("%d examples, %d hosts, %d more, %d samples", len(r.NotSaved.Examples), len(r.Hosts), r.MoreHost, len(r.Throughput))
	}
	if r.Throughput[0] != x.Samples[0] || r.Throughput[maxSamples-1] != x.Samples[len(x.Samples)-1] {
		t.Error("the first or the last sample is missing")
	}
	for name, want := range map[string]int{NotSavedFile: len(v.known), HostsFile: len(v.hosts)} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if got := bytes.Count(b, []byte("\n")) - 1; err != nil || got != want {
			t.Errorf("%s has %d rows, want %d (%v)", name, got, want, err)
		}
	}
}

// A view that fails leaves the report of before.
func TestFailureKeepsOldReport(t *testing.T) {
	v, c, x := rescue()
	dir, _ := mustWrite(t, v, c, x)
	before, _ := os.ReadFile(filepath.Join(dir, NotSavedFile))
	v.err = salvor.Errorf(salvor.Unavailable, "no leader")
	if _, err := Write(t.Context(), dir, v, c, x); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("got %v", err)
	}
	after, _ := os.ReadFile(filepath.Join(dir, NotSavedFile))
	if !bytes.Equal(before, after) {
		t.Error("not-saved.tsv changed")
	}
	if names, _ := os.ReadDir(dir); len(names) != 6 {
		t.Errorf("left over: %v", names)
	}
}

func TestHTMLStandsAlone(t *testing.T) {
	v, c, x := rescue()
	r, err := Build(t.Context(), v, c, x)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	checkPage(t, b.Bytes())
	for _, want := range []string{r.Headline, `alert(&#34;1&#34;)`, "Archive &lt;of&gt; Forums", "sid=&lt;x&gt;", "not-saved.tsv", r.Segments[0].SHA256} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

var local = regexp.MustCompile(`^(#[a-z]+|[a-z0-9-]+\.(tsv|json|txt))$`)

// checkPage wants no script, nothing loaded from elsewhere, headings in order,
// a header cell in every table, and no value that the template refused.
func checkPage(t *testing.T, page []byte) {
	t.Helper()
	if bytes.Contains(page, []byte("ZgotmplZ")) || bytes.Contains(page, []byte("<no value>")) || bytes.Contains(page, []byte("%!")) {
		t.Error("a value did not fit its place")
	}
	ids, level := map[string]bool{}, 0
	var hrefs []string
	z := html.NewTokenizer(bytes.NewReader(page))
	for {
		tt := z.Next()
		if tt == html.ErrorToken {
			break
		}
		tok := z.Token()
		if tt != html.StartTagToken && tt != html.SelfClosingTagToken {
			continue
		}
		switch tok.Data {
		case "script", "link", "img", "iframe", "object", "form", "base", "image", "use":
			t.Errorf("the page has a <%s>", tok.Data)
		case "h1", "h2", "h3":
			if n := int(tok.Data[1] - '0'); n > level+1 {
				t.Errorf("<%s> follows a heading of level %d", tok.Data, level)
			} else {
				level = n
			}
		}
		for _, a := range tok.Attr {
			switch {
			case a.Key == "id":
				if ids[a.Val] {
					t.Errorf("id %s twice", a.Val)
				}
				ids[a.Val] = true
			case a.Key == "href":
				hrefs = append(hrefs, a.Val)
			case a.Key == "src", strings.HasPrefix(a.Key, "on"):
				t.Errorf("the page has %s=%q", a.Key, a.Val)
			}
		}
	}
	for _, h := range hrefs {
		if !local.MatchString(h) || strings.HasPrefix(h, "#") && !ids[h[1:]] {
			t.Errorf("link to %q", h)
		}
	}
}

// report.json is a contract: every field of docs/report.md exists, and every
// field is described.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../../docs/report.md")
	if err != nil {
		t.Fatal(err)
	}
	v, c, x := rescue()
	r, err := Build(t.Context(), v, c, x)
	if err != nil {
		t.Fatal(err)
	}
	var buf bytes.Buffer
	if err := r.JSON(&buf); err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := json.Unmarshal(buf.Bytes(), &tree); err != nil {
		t.Fatal(err)
	}
	for name := range fields("", tree, map[string]bool{}) {
		if !bytes.Contains(doc, []byte("`"+name+"`")) {
			t.Errorf("docs/report.md does not describe `%s`", name)
		}
	}
}

// fields collects the names in a JSON tree: "a", "a.b" for objects, "a[].b"
// for lists. What a host's outcomes hold are names of outcomes.
func fields(prefix string, v any, out map[string]bool) map[string]bool {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			out[prefix+k] = true
			if k != "outcomes" || prefix == "" {
				fields(prefix+k+".", x, out)
			}
		}
	case []any:
		for _, x := range v {
			fields(strings.TrimSuffix(prefix, ".")+"[].", x, out)
		}
	}
	return out
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{percent(0, 0), "0 %"}, {percent(0, 9), "0 %"}, {percent(9, 9), "100 %"}, {percent(99_999, 100_000), "99.9 %"},
		{percent(1, 100_000), "< 0.1 %"}, {percent(1, 3), "33.3 %"},
		{count(0), "0"}, {count(999), "999"}, {count(1000), "1,000"}, {count(-1234567), "-1,234,567"},
		{size(999), "999 B"}, {size(1000), "1.0 kB"}, {size(9_949), "9.9 kB"}, {size(9_960), "10 kB"}, {size(999_600), "1.0 MB"}, {size(5_000_000_000_000_000), "5.0 PB"},
		{span(59 * time.Second), "59 s"}, {span(61 * time.Second), "1 min 1 s"}, {span(30*time.Hour + 5*time.Minute), "30 h 5 min"},
		{rateText(0.034), "0.034"}, {rateText(3.14159), "3.1"}, {rateText(1234.5), "1,235"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestPlots(t *testing.T) {
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	if p := plots([]Sample{{At: at(0)}, {At: at(0), URLs: 5}}, nil); p != nil {
		t.Errorf("drew no time at all: %+v", p)
	}
	samples := []Sample{{At: at(0)}, {at(10), 20, 1000}, {at(20), 15, 1000}, {at(40), 15, 1000}, {at(50), 65, 9000}}
	p := plots(samples, []Interruption{{From: at(21), To: at(40), Why: "x"}})[0]
	if p.Curve != "M0 60H200V100H400M800 0H1000" || p.Area != "M0 100V60H200V100H400V100ZM800 100V0H1000V100Z" {
		t.Errorf("curve %s, area %s", p.Curve, p.Area)
	}
	if p.Sub != "mean 2.3, highest 5" || len(p.Pauses) != 1 || p.Pauses[0].X != "420" {
		t.Errorf("%q, %+v", p.Sub, p.Pauses)
	}
	for _, d := range []time.Duration{2 * time.Second, time.Minute, 5 * time.Hour, 30 * time.Hour, 400 * 24 * time.Hour} {
		p := plots([]Sample{{At: at(0)}, {At: at(0).Add(d), URLs: 1}}, nil)[0]
		if len(p.X) == 0 || len(p.X) > 9 {
			t.Errorf("%v has %d ticks", d, len(p.X))
		}
	}
}

func TestTSVKeepsColumns(t *testing.T) {
	var b strings.Builder
	if err := row(&b, "a\tb", "c\nd\r\x00", 7); err != nil || b.String() != "a%09b\tc%0Ad%0D%00\t7\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
	boom := errors.New("boom")
	r := &Report{Types: make([]TypeCount, 10_000)}
	if err := r.TypesTSV(failing{boom}); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

var _ io.Writer = failing{}
