package risk_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"salvor/coordinator/risk"
)

// TestNamesAndCatalogue: the signals that are named in code are those of the
// data file.
func TestNamesAndCatalogue(t *testing.T) {
	b, err := os.ReadFile("observation.go")
	if err != nil {
		t.Fatal(err)
	}
	var named []string
	for _, m := range regexp.MustCompile(`\bSig\w+\s*= "([a-z-]+)"`).FindAllStringSubmatch(string(b), -1) {
		named = append(named, m[1])
		if _, ok := risk.Default().Signal(m[1]); !ok {
			t.Errorf("the catalogue has no %s", m[1])
		}
	}
	for _, s := range risk.Default().Signals {
		if !slices.Contains(named, s.ID) {
			t.Errorf("no code names %s", s.ID)
		}
	}
	if len(named) < 30 {
		t.Errorf("%d names found", len(named))
	}
}

const least = "version 3\nclass forum host=.1 access=.1 content=.1 years=5\nlaw company early=.1 late=.1 tail=5d\nmechanism announced host prior=.01 mean=5d cap=4\n"

func TestCatalogueErrors(t *testing.T) {
	if c, err := risk.ParseCatalogue(least); err != nil || c.Version != 3 {
		t.Fatal(c, err)
	}
	for line, want := range map[string]string{
		"version 4": "version",
		"versoin 4": "no kind",
		"class forum host=1 access=1 content=1 years=1":        "there already",
		"class ugc host=1 access=1 years=1":                    "no content",
		"class ugc host=-1 access=1 content=1 years=1":         "no number",
		"class ugc host=NaN access=1 content=1 years=1":        "no number",
		"law x early=.6 late=.5 tail=1d":                       "nothing is left",
		"law x early=.1 late=.1 tail=1w":                       "no time",
		"law x early=.1 late=.1 tail=1d early=.2":              "not understood",
		"mechanism x moon prior=.1 mean=1d cap=1":              "no clock",
		`signal x yy+1 kind=event half=1h "t"`:                 "no mechanism",
		`signal x announced+1 kind=event half=1h fresh=1h "t"`: "neither",
		`signal x announced+1 kind=state half=1h "t"`:          "neither",
		`signal x announced+1 kind=event half=1h`:              "no text",
		`signal x announced+1 kind=event half=1h "t" more`:     "does not end",
		`signal x announced+1 kind=event half=1h role=q "t"`:   "no role",
		`signal X announced+1 kind=event half=1h "t"`:          "no name",
		`signal x announced+99 kind=event half=1h "t"`:         "no number",
		`signal x announced+1 kind=event half=1h what "t"`:     "not understood",
		"signal": "too soon",
	} {
		_, err := risk.ParseCatalogue(least + line + "\n")
		if err == nil || !strings.Contains(err.Error(), "line 5: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
	for _, whole := range []string{"", strings.Replace(least, "forum", "x", 1), strings.Replace(least, "company", "x", 1), strings.Replace(least, "announced host", "announced access", 1)} {
		if _, err := risk.ParseCatalogue(whole); err == nil {
			t.Errorf("not refused: %q", whole)
		}
	}
}

func FuzzCatalogue(f *testing.F) {
	b, err := os.ReadFile("catalogue.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add(least)
	f.Fuzz(func(t *testing.T, text string) {
		c, err := risk.ParseCatalogue(text)
		if err != nil {
			return
		}
		h := history(t, seen{risk.SigClientHold, "", 0}, seen{risk.SigNews, "", 0})
		a := risk.Assess(risk.Input{Site: site(t, "", inDays(noon, 5, .9, "")), History: h, Now: noon, Catalogue: c})
		for _, k := range []risk.Clock{risk.Host, risk.Access, risk.Content} {
			if p, q := a.P(k, day), a.P(k, 9*day); !(p >= 0 && q >= p && q <= 1) {
				t.Fatalf("%s: %g, %g", k, p, q)
			}
		}
	})
}
