package site

import "strings"

// random is SplitMix64 (Steele, Lea, Flood 2014): the same on every machine
// and in every version of Go, which math/rand does not promise.
type random struct{ state uint64 }

func newRandom(seed int) *random {
	return &random{state: uint64(seed)*0x9e3779b97f4a7c15 + 0x2545f4914f6cdd1d}
}

func (r *random) next() uint64 {
	r.state += 0x9e3779b97f4a7c15
	z := r.state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (r *random) below(n int) int { return int(r.next() % uint64(n)) }

// words strings n words together. The fourth power of the draw makes the first
// words of the list common and the last ones rare, as in a language.
func (r *random) words(n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(' ')
		}
		x := uint64(r.below(1 << 16))
		x = x * x >> 16
		x = x * x >> 16
		b.WriteString(vocabulary[x*uint64(len(vocabulary))>>16])
	}
	return b.String()
}

// vocabulary is a list of invented words, the short ones first.
var vocabulary = makeVocabulary(1200)

func makeVocabulary(n int) []string {
	syllables := strings.Fields("a be ca do el fi go ha in ja ke lo ma ne o pi qua ro sa te u vi wo xe yl za tion ment ing er ly ous al")
	r := newRandom(42)
	seen := make(map[string]bool, n)
	words := make([]string, 0, n)
	for len(words) < n {
		var w string
		for range 1 + r.below(2+len(words)*3/n) {
			w += syllables[r.below(len(syllables))]
		}
		if !seen[w] || len(words) < 40 {
			seen[w] = true
			words = append(words, w)
		}
	}
	return words
}
