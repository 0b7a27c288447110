package risk_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/coordinator/risk"
)

func TestFeeds(t *testing.T) {
	for file, want := range map[string][]string{
		"feed.json": {
			`{"id":"1","sites":["forum.example"],"what":"hosting","dates":["2026-12-31T22:59:00Z"],"zone":"Europe/Berlin","exact":true,"source":"https://watch.example/1","title":"Forum closes","text":"The forum closes.","published":"2026-10-01T08:00:00Z"}`,
			`{"id":"https://watch.example/2","sites":["photos-r-us.com"],"what":"hosting","dates":["2026-11-05T00:00:00Z","2026-12-05T00:00:00Z"],"source":"https://watch.example/2","title":"Photos of photos-r-us.com end","text":"Uploads end 2026-11-05 , all is deleted 2026-12-05; it began in 1999-01-01. See watch.example, index.html","published":"2026-10-02T06:00:00Z"}`,
			`{"id":"3","what":"hosting","title":"A wrong field"}`,
		},
		"rss.xml": {
			`{"id":"urn:a","sites":["cafe.fr","blog.co.uk"],"what":"hosting","dates":["2026-12-24T00:00:00Z"],"source":"https://news.example/a","title":"café.fr \u0026 friends go","text":"Both cafe.fr and blog.co.uk end on 2026-12-24.","published":"2026-10-01T08:00:00Z"}`,
			`{"id":"Nothing","what":"hosting","title":"Nothing"}`,
		},
		"atom.xml": {
			`{"id":"tag:1","sites":["host.org"],"what":"hosting","dates":["2027-01-31T00:00:00Z"],"source":"https://news.example/1","title":"host.org ends","text":"Until 2027-01-31.","published":"2026-10-01T00:00:00Z"}`,
		},
	} {
		b, err := os.ReadFile("testdata/feeds/" + file)
		if err != nil {
			t.Fatal(err)
		}
		list, err := risk.ParseFeed(b, nil)
		if err != nil || len(list) != len(want) {
			t.Errorf("%s: %d candidates, %v", file, len(list), err)
			continue
		}
		for i, c := range list {
			if got, _ := json.Marshal(c); string(got) != want[i] {
				t.Errorf("%s:\n%s, want\n%s", file, got, want[i])
			}
		}
	}
}

// TestFeedDates: a parser of more forms of dates is asked for what has no field.
func TestFeedDates(t *testing.T) {
	asked := ""
	list, err := risk.ParseFeed([]byte(`<rss><item><title>x.org ends</title><description>on New Year's Eve</description></item></rss>`), func(text string) []time.Time {
		asked = text
		return []time.Time{noon, noon}
	})
	if err != nil || len(list) != 1 || len(list[0].Dates) != 1 || !strings.Contains(asked, "New Year") {
		t.Errorf("%+v, %v, asked %q", list, err, asked)
	}
}

func TestBrokenFeeds(t *testing.T) {
	for name, b := range map[string]string{
		"nothing":     "",
		"text":        "closing soon",
		"other JSON":  `{"items":[]}`,
		"cut JSON":    `{"version":"https://jsonfeed.org/version/1.1","items":[`,
		"a web page":  "<!doctype html><html><body><p>x</body></html>",
		"much":        "<rss>" + strings.Repeat(" ", risk.MaxFeed),
		"a cut entry": "<rss><item><title>x",
	} {
		if _, err := risk.ParseFeed([]byte(b), nil); err == nil || salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := "<rss>" + strings.Repeat("<item><title>x.org</title></item>", 2*risk.MaxCandidates)
	if list, err := risk.ParseFeed([]byte(many), nil); err != nil || len(list) != risk.MaxCandidates {
		t.Errorf("%d candidates, %v", len(list), err)
	}
}

func FuzzFeed(f *testing.F) {
	for _, name := range []string{"feed.json", "rss.xml", "atom.xml"} {
		b, err := os.ReadFile("testdata/feeds/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, _ := risk.ParseFeed(b, nil)
		if len(list) > risk.MaxCandidates {
			t.Fatalf("%d candidates", len(list))
		}
		for _, c := range list {
			if len(c.Text) > 2000 || len(c.Title) > 300 || len(c.ID) > 255 || len(c.Sites) > 8 || len(c.Dates) > 8 || strings.ContainsAny(c.Title+c.Text, "\x1b\n") {
				t.Fatalf("%+v", c)
			}
			if _, err := json.Marshal(c); err != nil {
				t.Fatal(err)
			}
			for _, s := range c.Sites {
				if err := (risk.Site{Name: s}).Check(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
