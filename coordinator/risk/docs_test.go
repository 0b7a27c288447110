package risk_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salvor/coordinator/risk"
)

const doc = "../../docs/risk.md"

// TestDocs: docs/risk.md shows the catalogue as it is (-rewrite writes it), and
// explanations that the timelines hold.
func TestDocs(t *testing.T) {
	b, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for name, want := range map[string]string{"signals": signalTable(), "mechanisms": mechanismTable(), "classes": classTable(), "scores": scoreTable(t)} {
		begin, end := "<!-- "+name+" -->\n", "<!-- end -->"
		head, rest, ok := strings.Cut(text, begin)
		got, tail, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("no table of %s", name)
		}
		if got != want {
			if f := flag.Lookup("rewrite"); f == nil || f.Value.String() != "true" {
				t.Errorf("the table of %s is not the catalogue's; go test -rewrite writes it", name)
			}
			text = head + begin + want + end + tail
		}
	}
	if f := flag.Lookup("rewrite"); f.Value.String() == "true" && text != string(b) {
		if err := os.WriteFile(doc, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	shown(t, text)
}

// shown checks that what stands between fences is in a timeline.
func shown(t *testing.T, text string) {
	var stories strings.Builder
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		stories.Write(b)
	}
	blocks := strings.Split(text, "```\n")
	for i := 1; i < len(blocks); i += 2 {
		if !strings.Contains(stories.String(), "----\n"+blocks[i]) {
			t.Errorf("no timeline has\n%s", blocks[i])
		}
	}
	if len(blocks)/2 < 8 {
		t.Errorf("%d explanations are shown", len(blocks)/2)
	}
}

func signalTable() string {
	out := "| signal | what it is | weighs | fades by half in | counts when |\n|---|---|---|---|---|\n"
	for _, s := range risk.Default().Signals {
		var weights []string
		for _, w := range s.Weights {
			n := strings.Trim(strings.ReplaceAll(fmt.Sprintf("%+g", w.W), " ", ", "), "[]")
			weights = append(weights, w.Mechanism+" "+n)
		}
		fades := days(s.Half)
		if !s.Event {
			fades += ", when not seen for " + days(s.Fresh)
		}
		counts := "seen"
		if s.Confirm {
			counts = "confirmed"
		}
		if s.Load {
			counts += "; a quarter under our own load"
		}
		out += fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", s.ID, s.Text, strings.Join(weights, "; "), fades, counts)
	}
	return out
}

func mechanismTable() string {
	out := "| mechanism | clock | believed without evidence | mean time to loss | cap of its evidence |\n|---|---|---|---|---|\n"
	for _, m := range risk.Default().Mechanisms {
		out += fmt.Sprintf("| %s | %s | %g | %s | %g |\n", m.Name, m.Clock, m.Prior, days(m.Mean), m.Cap)
	}
	return out
}

func classTable() string {
	out := "| class | host | access | content | the prior is worth |\n|---|---|---|---|---|\n"
	for _, k := range risk.Default().Classes {
		out += fmt.Sprintf("| %s | %g | %g | %g | %g site-years |\n", k.Name, k.Loss[risk.Host], k.Loss[risk.Access], k.Loss[risk.Content], k.Years)
	}
	return out
}

func days(d time.Duration) string {
	if d < 24*time.Hour {
		return fmt.Sprintf("%g h", d.Hours())
	}
	return fmt.Sprintf("%g d", d.Hours()/24)
}
