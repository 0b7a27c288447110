package drill

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"math"
	"time"
)

// Plot is the value saved over time by policy, with the ends of the platforms.
type Plot struct {
	Title  string
	Length time.Duration
	Most   float64 // what could have been saved; 0 is not known
	Lines  []Line
	Deaths []Death
}

// Line is one policy's curve.
type Line struct {
	Name  string
	Curve []Point // by time, rising
}

// Death is a platform's end.
type Death struct {
	Name string
	At   time.Duration
}

// The drawing, in pixels.
const (
	plotWidth, plotHeight           = 900, 440
	plotLeft, plotRight             = 70, 150
	plotTop, plotBottom             = 50, 50
	innerWidth, innerHeight float64 = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
)

// inks are told apart by people who see few colours (Okabe and Ito, Color
// Universal Design); dashes tell them apart without any.
var inks = [...]struct{ colour, dash string }{
	{"#000000", ""}, {"#0072b2", "8 3"}, {"#d55e00", "2 3"}, {"#009e73", "10 3 2 3"},
	{"#cc79a7", "5 5"}, {"#56b4e9", "12 4"}, {"#e69f00", "3 6"},
}

// WriteSVG draws it. The file stands alone: it loads nothing.
func (p *Plot) WriteSVG(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" role=\"img\">\n", plotWidth, plotHeight)
	fmt.Fprintf(&b, "<title>%s</title>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", html.EscapeString(p.Title), plotWidth, plotHeight)
	fmt.Fprintf(&b, "<text x=\"%d\" y=\"24\" font-size=\"15\">%s</text>\n", plotLeft, html.EscapeString(p.Title))
	top := p.top()
	p.axes(&b, top)
	p.deaths(&b)
	if p.Most > 0 {
		y := p.y(p.Most, top)
		fmt.Fprintf(&b, "<path d=\"M%d %.1fH%.1f\" stroke=\"#888\" stroke-dasharray=\"1 3\"/>\n<text x=\"%.1f\" y=\"%.1f\" fill=\"#555\">possible</text>\n",
			plotLeft, y, plotLeft+innerWidth, plotLeft+innerWidth+6, y+4)
	}
	for i, l := range p.Lines {
		p.line(&b, i, l, top)
	}
	b.WriteString("</svg>\n")
	_, err := w.Write(b.Bytes())
	return err
}

// top is a round value above all.
func (p *Plot) top() float64 {
	most := p.Most
	for _, l := range p.Lines {
		if n := len(l.Curve); n > 0 {
			most = max(most, l.Curve[n-1].Value)
		}
	}
	if most <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(most)))
	return math.Ceil(most/unit*5) / 5 * unit
}

func (p *Plot) x(at time.Duration) float64 {
	return plotLeft + innerWidth*min(max(at.Seconds()/p.Length.Seconds(), 0), 1)
}

func (p *Plot) y(value, top float64) float64 {
	return plotTop + innerHeight*(1-value/top)
}

// axes has four lines of value and six moments.
func (p *Plot) axes(b *bytes.Buffer, top float64) {
	for i := range 5 {
		v := top * float64(i) / 4
		y := p.y(v, top)
		fmt.Fprintf(b, "<path d=\"M%d %.1fh%.1f\" stroke=\"#ddd\"/>\n<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.0f</text>\n", plotLeft, y, innerWidth, plotLeft-6, y+4, v)
	}
	for i := range 7 {
		at := p.Length * time.Duration(i) / 6
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n", p.x(at), plotHeight-plotBottom+18, at.Round(time.Second))
	}
	fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">time</text>\n", plotLeft+innerWidth/2, plotHeight-10)
	fmt.Fprintf(b, "<text x=\"16\" y=\"%.1f\" text-anchor=\"middle\" transform=\"rotate(-90 16 %.1f)\">value saved</text>\n", plotTop+innerHeight/2, plotTop+innerHeight/2)
}

// deaths are lines from top to bottom, with names that do not cover each other.
func (p *Plot) deaths(b *bytes.Buffer) {
	for i, d := range p.Deaths {
		if d.At <= 0 || d.At > p.Length {
			continue
		}
		x, y := p.x(d.At), plotTop+float64(i%4)*12+10
		fmt.Fprintf(b, "<path d=\"M%.1f %dv%.1f\" stroke=\"#c33\" stroke-dasharray=\"2 4\"/>\n", x, plotTop, innerHeight)
		fmt.Fprintf(b, "<text x=\"%.1f\" y=\"%.1f\" font-size=\"9\" fill=\"#a22\">%s</text>\n", x+2, y, html.EscapeString(d.Name))
	}
}

// line is a staircase, thinned to what a screen can show, with its name in the
// legend.
func (p *Plot) line(b *bytes.Buffer, i int, l Line, top float64) {
	ink := inks[i%len(inks)]
	style := fmt.Sprintf("fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\"", ink.colour, ink.dash)
	fmt.Fprintf(b, "<path %s d=\"M%d %.1f", style, plotLeft, p.y(0, top))
	last := float64(plotLeft)
	for k, c := range l.Curve {
		if x := p.x(c.At); x-last >= 1 || k == len(l.Curve)-1 {
			fmt.Fprintf(b, "H%.1fV%.1f", x, p.y(c.Value, top))
			last = x
		}
	}
	fmt.Fprintf(b, "H%.1f\"/>\n", plotLeft+innerWidth)
	x, y := plotLeft+innerWidth+10, float64(plotTop+24+18*i)
	if p.Most > 0 {
		y += 18
	}
	fmt.Fprintf(b, "<path %s d=\"M%.1f %.1fh28\"/>\n<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", style, x, y-4, x+34, y, html.EscapeString(l.Name))
}

// PlotOf draws what came of a scenario, of what was possible.
func PlotOf(s Scenario, results []Result, possible float64) *Plot {
	p := &Plot{Title: "Value saved: " + s.Name, Length: s.Length, Most: possible}
	for _, r := range results {
		p.Lines = append(p.Lines, Line{r.Policy, r.Curve})
	}
	for i := range s.Sites {
		p.Deaths = append(p.Deaths, Death{s.Sites[i].Name, s.Sites[i].Manner.Death})
	}
	return p
}
