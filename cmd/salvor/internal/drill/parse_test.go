package drill

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"salvor"
	"salvor/cmd/salvor/internal/drill/platform"
)

// TestParseMistakes: each says where it is and what to do.
func TestParseMistakes(t *testing.T) {
	datadriven.RunTest(t, "testdata/mistakes.txt", func(t *testing.T, d *datadriven.TestData) string {
		_, err := Parse("mine", strings.NewReader(d.Input))
		if err == nil {
			return "it can be played\n"
		}
		if salvor.ClassOf(err) != salvor.Invalid {
			t.Errorf("%v is of class %v", err, salvor.ClassOf(err))
		}
		return err.Error() + "\n  " + salvor.HintOf(err) + "\n"
	})
}

// TestParse reads every setting.
func TestParse(t *testing.T) {
	s := time.Second
	got, err := Parse("all", strings.NewReader(`about   All of  it # and a comment
seed 7
length 2m
capacity 60
worker-lost 40s

site a
	pages 900
	tier 25% 4
	tier 75% 1
	value 2
	rate 12
	group cdn
	media 10%
	api 5%
	sitemap
	heard 5s 90s
	heard 30s dies
	heard 40s
	dies 60s
	suspended
	risk 20%
	taken-for 0.1
	bears 3 from 30s
	storm 50% from 10s to 20s
	slow 3% 2s
	ban 30 20s
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Scenario{Name: "all", About: "All of it", Seed: 7, Length: 120 * s, Capacity: 60, Lost: []time.Duration{40 * s}, Sites: []Site{{
		Spec: platform.Spec{
			Name: "a", Group: "cdn", Pages: 900, Tiers: []platform.Tier{{Share: .25, Value: 8}, {Share: .75, Value: 2}}, Media: .1, API: .05, Listed: true,
			Manner: platform.Conduct{
				Rate: 12, Tail: platform.Tail{Share: .03, Latency: 2 * s}, Changes: []platform.Change{{At: 30 * s, Rate: 3}}, Ban: platform.Ban{After: 30, For: 20 * s},
				Storms: []platform.Storm{{From: 10 * s, To: 20 * s, Share: .5}}, Death: 60 * s, End: platform.Suspended,
			},
		},
		Notices: []Notice{{5 * s, 90 * s}, {30 * s, 60 * s}, {40 * s, 0}}, Risk: .2, Guess: .1,
	}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

// TestSeveral: sites that are alike differ in what is a range, over all of it.
func TestSeveral(t *testing.T) {
	got, err := Parse("several", strings.NewReader("length 1m\ncapacity 9\nsite a x 8\n pages 100 to 1600\n rate 4\n heard 0s dies\n dies 10s to 50s\n"))
	if err != nil {
		t.Fatal(err)
	}
	pages, first, last := 1.0, time.Hour, time.Duration(0)
	for _, x := range got.Sites {
		if x.Manner.Rate != 4 || x.Notices[0].Deadline != x.Manner.Death || x.Pages < 100 || x.Pages > 1600 {
			t.Errorf("%+v", x)
		}
		pages *= float64(x.Pages)
		first, last = min(first, x.Manner.Death), max(last, x.Manner.Death)
	}
	if mean := math.Pow(pages, 1./8); math.Abs(mean/400-1) > .01 || first != 12500*time.Millisecond || last != 47500*time.Millisecond {
		t.Errorf("%.0f pages in the geometric mean, deaths from %s to %s", mean, first, last)
	}
	if got.Sites[0].Name != "a01" || got.Sites[7].Name != "a08" {
		t.Errorf("names %s to %s", got.Sites[0].Name, got.Sites[7].Name)
	}
}

// FuzzParse: whatever a file says, it is refused, or can be played.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("scenarios/*")
	if err != nil || len(files) == 0 {
		f.Fatal("no scenarios", err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := Parse("fuzz", bytes.NewReader(b))
		if err != nil {
			if salvor.ClassOf(err) != salvor.Invalid {
				t.Errorf("%v is of class %v", err, salvor.ClassOf(err))
			}
			return
		}
		if err := s.Check(); err != nil {
			t.Errorf("it was read and cannot be played: %v", err)
		}
		for _, x := range s.Sites {
			if x.Pages < 1 || !(x.Manner.Rate >= 0) || x.Manner.Death < 0 {
				t.Errorf("%+v", x)
			}
			for _, tier := range x.Tiers {
				if !(tier.Value >= 0) || math.IsInf(tier.Value, 0) {
					t.Errorf("%+v", x)
				}
			}
		}
	})
}
