package scope

import (
	"regexp/syntax"
	"strings"

	"salvor/crawler/canon"
)

// filter asks many patterns at little cost. A pattern that cannot match
// without certain letters is asked only where their pairs occur: one pass over
// the URL notes all its pairs in a small set, and each pattern needs a few
// look-ups there.
type filter struct {
	patterns []pattern
	always   bool // there are patterns; false: nothing to note
}

// pairs is a set of hashed bigrams of a lower-case text.
type pairs [16]uint64

const pairMask = 16*64 - 1

func pairOf(a, b byte) uint16 { return (uint16(lower(a))*37 ^ uint16(lower(b))*5) & pairMask }

func (p *pairs) add(s string) {
	for i := 1; i < len(s); i++ {
		h := pairOf(s[i-1], s[i])
		p[h>>6] |= 1 << (h & 63)
	}
}

func (p *pairs) has(need []uint16) bool {
	for _, h := range need {
		if p[h>>6]&(1<<(h&63)) == 0 {
			return false
		}
	}
	return true
}

func newFilter(ps []pattern) filter { return filter{patterns: ps, always: len(ps) > 0} }

// match is the id of the first pattern that matches, or "".
func (f *filter) match(u canon.URL) string {
	if !f.always {
		return ""
	}
	var have pairs
	have.add(u.Href)
	for i := range f.patterns {
		if p := &f.patterns[i]; p.may(&have) && p.matches(u) {
			return p.id
		}
	}
	return ""
}

func (p *pattern) may(have *pairs) bool {
	if p.any == nil {
		return true
	}
	for _, need := range p.any {
		if have.has(need) {
			return true
		}
	}
	return false
}

func (p *pattern) matches(u canon.URL) bool {
	if p.guard != nil {
		return p.guard(u)
	}
	return p.re.MatchString(u.Href)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// maxAlternatives is how many literals a pattern may need one of before
// looking for them costs as much as asking it.
const maxAlternatives = 24

// literals returns bigram lists of which any text that the expression matches
// holds at least one; nil if no such lists are known. URLs are ASCII, so that
// folding case means folding ASCII.
func literals(text string) [][]uint16 {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil
	}
	var out [][]uint16
	for _, lit := range required(re.Simplify()) {
		if len(lit) < 2 || !isASCII(lit) {
			return nil
		}
		var need []uint16
		for i := 1; i < len(lit); i++ {
			need = append(need, pairOf(lit[i-1], lit[i]))
		}
		out = append(out, need)
	}
	return out
}

// required is a set of texts of which every match holds one; nil if unknown.
func required(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpCapture, syntax.OpPlus:
		return required(re.Sub[0])
	case syntax.OpConcat:
		return requiredOfAll(re.Sub)
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			r := required(sub)
			if r == nil {
				return nil
			}
			all = append(all, r...)
		}
		if len(all) > maxAlternatives {
			return nil
		}
		return all
	case syntax.OpRepeat:
		if re.Min > 0 {
			return required(re.Sub[0])
		}
		return nil
	}
	return exact(re)
}

// requiredOfAll chooses among the parts of a sequence. Neighbours that can be
// but a few texts count as one part.
func requiredOfAll(parts []*syntax.Regexp) (best []string) {
	better := func(r []string) {
		if r != nil && (best == nil || shortest(r) > shortest(best)) {
			best = r
		}
	}
	var run []string
	for _, part := range parts {
		if run = product(run, exact(part)); run == nil {
			run = exact(part)
		}
		better(run)
		better(required(part))
	}
	return best
}

// exact is all texts that an expression matches; nil if they are many.
func exact(re *syntax.Regexp) []string {
	switch re.Op {
	case syntax.OpLiteral:
		return []string{string(re.Rune)}
	case syntax.OpCapture:
		return exact(re.Sub[0])
	case syntax.OpCharClass:
		var all []string
		for i := 0; i+1 < len(re.Rune); i += 2 {
			for r := re.Rune[i]; r <= re.Rune[i+1]; r++ {
				if all = append(all, string(r)); len(all) > maxAlternatives {
					return nil
				}
			}
		}
		return all
	case syntax.OpConcat:
		all := []string{""}
		for _, sub := range re.Sub {
			all = product(all, exact(sub))
		}
		return all
	case syntax.OpAlternate:
		var all []string
		for _, sub := range re.Sub {
			r := exact(sub)
			if r == nil || len(all)+len(r) > maxAlternatives {
				return nil
			}
			all = append(all, r...)
		}
		return all
	}
	return nil
}

// product is each of a followed by each of b; nil if they are too many.
func product(a, b []string) []string {
	if len(a)*len(b) > maxAlternatives {
		return nil
	}
	var out []string
	for _, x := range a {
		for _, y := range b {
			out = append(out, x+y)
		}
	}
	return out
}

func shortest(s []string) int {
	n := len(s[0])
	for _, x := range s {
		n = min(n, len(x))
	}
	return n
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}
