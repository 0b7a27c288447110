package drill

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestPlot(t *testing.T) {
	s := time.Second
	p := &Plot{
		Title: "Value saved: a <b> & c", Length: 120 * s, Most: 900,
		Lines: []Line{
			{"salvor", []Point{{s, 10}, {s + 1, 11}, {50 * s, 500}, {110 * s, 870}}},
			{"fifo", []Point{{2 * s, 10}, {60 * s, 300}}},
			{"rr", nil},
		},
		Deaths: []Death{{"site01", 20 * s}, {"site02", 21 * s}, {"never", 0}},
	}
	var b bytes.Buffer
	if err := p.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/plot.svg"
	if *update {
		if err := os.WriteFile(golden, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("the drawing is not %s (-update writes it anew):\n%s", golden, b.Bytes())
	}
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("it is no XML: %v", err)
		}
	}
}

// TestPlotOfNothing has no number that is none.
func TestPlotOfNothing(t *testing.T) {
	var b bytes.Buffer
	if err := (&Plot{Length: time.Second, Lines: []Line{{Name: "a"}}}).WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(b.Bytes(), []byte("NaN")) || bytes.Contains(b.Bytes(), []byte("Inf")) {
		t.Errorf("%s", b.Bytes())
	}
}
