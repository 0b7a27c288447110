package risk

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// maxCatalogue bounds the file.
const maxCatalogue = 256 << 10

// ParseCatalogue reads the format of catalogue.txt. Errors name the line.
func ParseCatalogue(text string) (*Catalogue, error) {
	if len(text) > maxCatalogue {
		return nil, salvor.Errorf(salvor.Invalid, "catalogue: %d bytes, at most %d", len(text), maxCatalogue)
	}
	c := &Catalogue{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if err := c.parseLine(line); err != nil {
			return nil, salvor.Errorf(salvor.Invalid, "catalogue: line %d: %w", n, err)
		}
	}
	return c, c.whole()
}

// whole refuses a catalogue the model cannot work with.
func (c *Catalogue) whole() error {
	bad := func(what string) error { return salvor.Errorf(salvor.Invalid, "catalogue: %s", what) }
	switch {
	case c.Version == 0:
		return bad("no version")
	case c.class("").Name == "":
		return bad("no class forum")
	case c.law("").Name == "":
		return bad("no law company")
	}
	if m, ok := c.mechanism(announced); !ok || m.Clock != Host {
		return bad("no mechanism announced of the host clock")
	}
	return nil
}

func (c *Catalogue) mechanism(name string) (Mechanism, bool) {
	return find(c.Mechanisms, func(m Mechanism) bool { return m.Name == name })
}

// announced is the mechanism that deadlines belong to.
const announced = "announced"

func (c *Catalogue) parseLine(line string) error {
	line, text, quoted := strings.Cut(line, `"`)
	p := &fields{words: strings.Fields(line)}
	if quoted {
		p.text, quoted = strings.CutSuffix(text, `"`)
		if !quoted || strings.Contains(p.text, `"`) || !tidy(p.text, 1, 80) {
			p.fail("the text does not end with the line, or is too long")
		}
	}
	switch kind := p.next(); kind {
	case "version":
		c.Version = p.whole(p.next(), c.Version)
	case "class":
		c.Classes = add(p, c.Classes, p.class(), func(k Class) string { return k.Name })
	case "law":
		c.Laws = add(p, c.Laws, p.law(), func(l Law) string { return l.Name })
	case "mechanism":
		c.Mechanisms = add(p, c.Mechanisms, p.mechanism(), func(m Mechanism) string { return m.Name })
	case "signal":
		c.Signals = add(p, c.Signals, p.signal(c), func(s Signal) string { return s.ID })
	default:
		p.fail("%q is no kind of entry", kind)
	}
	if p.err == nil && len(p.words) > 0 {
		p.fail("%q is too much", p.words[0])
	}
	return p.err
}

func add[T any](p *fields, list []T, x T, name func(T) string) []T {
	if slices.ContainsFunc(list, func(o T) bool { return name(o) == name(x) }) {
		p.fail("%s is there already", name(x))
	}
	return append(list, x)
}

// fields reads the words of a line; the first error stays.
type fields struct {
	words []string
	text  string // in quotes
	err   error
}

func (p *fields) fail(format string, args ...any) {
	if p.err == nil {
		p.err = salvor.Errorf(salvor.Invalid, format, args...)
	}
}

func (p *fields) next() (w string) {
	if len(p.words) == 0 {
		p.fail("it ends too soon")
		return ""
	}
	w, p.words = p.words[0], p.words[1:]
	return w
}

var idForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

func (p *fields) id() string {
	w := p.next()
	if !idForm.MatchString(w) {
		p.fail("%q is no name: small letters, digits and -", w)
	}
	return w
}

func (p *fields) whole(w string, before int) int {
	n, err := strconv.Atoi(w)
	if err != nil || n < 1 || n > 1<<20 || before != 0 {
		p.fail("%q is no version, or the second", w)
	}
	return n
}

// set takes NAME=VALUE words; every one of need must be there.
func (p *fields) set(need ...string) map[string]string {
	got := map[string]string{}
	for len(p.words) > 0 {
		k, v, ok := strings.Cut(p.words[0], "=")
		if _, twice := got[k]; !ok || twice || !slices.Contains(need, k) {
			p.fail("%q is not understood here", p.words[0])
			return got
		}
		got[k] = v
		p.words = p.words[1:]
	}
	for _, k := range need {
		if got[k] == "" {
			p.fail("no %s", k)
		}
	}
	return got
}

func (p *fields) number(w string, least, most float64) float64 {
	f, err := strconv.ParseFloat(w, 64)
	if err != nil || !(f >= least && f <= most) {
		p.fail("%q is no number from %g to %g", w, least, most)
	}
	return f
}

// span reads a time such as 6h, 45d or 15m.
func (p *fields) span(w string) time.Duration {
	unit, n := time.Minute, len(w)-1
	if n < 1 {
		p.fail("%q is no time", w)
		return 0
	}
	switch w[n] {
	case 'd':
		unit = day
	case 'h':
		unit = time.Hour
	case 'm':
	default:
		p.fail("%q is no time: use 15m, 6h or 45d", w)
	}
	return time.Duration(p.number(w[:n], 1, 10000) * float64(unit))
}

func (p *fields) class() Class {
	k := Class{Name: p.id()}
	v := p.set("host", "access", "content", "years")
	for c := range Clocks {
		k.Loss[c] = p.number(v[c.String()], 0, 10)
	}
	k.Years = p.number(v["years"], 1, 1e6)
	return k
}

func (p *fields) law() Law {
	l := Law{Name: p.id()}
	v := p.set("early", "late", "tail")
	l.Early, l.Late, l.Tail = p.number(v["early"], 0, 1), p.number(v["late"], 0, 1), p.span(v["tail"])
	if l.Early+l.Late >= 1 {
		p.fail("nothing is left for the date itself")
	}
	return l
}

func (p *fields) mechanism() Mechanism {
	m := Mechanism{Name: p.id()}
	if err := m.Clock.UnmarshalText([]byte(p.next())); err != nil {
		p.fail("%w", err)
	}
	v := p.set("prior", "mean", "cap")
	m.Prior, m.Mean, m.Cap = p.number(v["prior"], 1e-9, .5), p.span(v["mean"]), p.number(v["cap"], 0, 20)
	return m
}

func (p *fields) signal(c *Catalogue) Signal {
	s := Signal{ID: p.id(), Text: p.text, Event: true}
	for len(p.words) > 0 && weightForm.MatchString(p.words[0]) {
		s.Weights = append(s.Weights, p.weight(c, p.next()))
	}
	for _, flag := range []struct {
		name string
		on   *bool
	}{{"confirm", &s.Confirm}, {"load", &s.Load}} {
		if i := slices.Index(p.words, flag.name); i >= 0 {
			*flag.on, p.words = true, slices.Delete(p.words, i, i+1)
		}
	}
	p.rest(&s)
	if p.text == "" {
		p.fail("no text says what it is")
	}
	return s
}

// rest reads a signal's NAME=VALUE words.
func (p *fields) rest(s *Signal) {
	need := []string{"kind", "half"}
	for _, w := range p.words {
		if k, _, _ := strings.Cut(w, "="); k == "fresh" || k == "role" {
			need = append(need, k)
		}
	}
	v := p.set(slices.Compact(slices.Sorted(slices.Values(need)))...)
	s.Half = p.span(v["half"])
	switch {
	case v["kind"] == "event" && v["fresh"] == "":
	case v["kind"] == "state" && v["fresh"] != "":
		s.Event, s.Fresh = false, p.span(v["fresh"])
	default:
		p.fail("it is neither an event nor a state with fresh")
	}
	if r := v["role"]; r != "" {
		i := slices.Index(roleNames[:], r)
		if i < 0 {
			p.fail("%q is no role", r)
			return
		}
		s.Role = Role(i)
	}
}

var weightForm = regexp.MustCompile(`^[a-z](?:[a-z-]*[a-z])?[-+][0-9.,]+$`)

func (p *fields) weight(c *Catalogue, w string) Weight {
	i := strings.LastIndexAny(w, "+-")
	out := Weight{Mechanism: w[:i]}
	if _, ok := c.mechanism(out.Mechanism); !ok {
		p.fail("there is no mechanism %q", out.Mechanism)
	}
	for _, n := range strings.Split(w[i+1:], ",") {
		f := p.number(n, 0, 20)
		if w[i] == '-' {
			f = math.Copysign(f, -1)
		}
		out.W = append(out.W, f)
	}
	return out
}
