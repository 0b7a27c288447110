package fleet

import (
	"cmp"
	"slices"
)

// shares divides connections among crawls that want at most so many each: as
// evenly as that allows, and one each at least.
func shares(total int, wants []int) []int {
	order := make([]int, len(wants))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(wants[a], wants[b]) })
	out := make([]int, len(wants))
	for done, i := range order { // who wants least is served first, the rest is the others'
		n := total / (len(order) - done)
		if wants[i] > 0 {
			n = min(n, wants[i])
		}
		out[i] = max(n, 1)
		total = max(total-out[i], 0)
	}
	return out
}

// share divides the node's connections anew. f.mu is held.
func (f *Fleet) share() {
	var busy []*crew
	var wants []int
	for _, c := range f.crews {
		if n := c.wish(); n > 0 {
			busy, wants = append(busy, c), append(wants, n)
		}
	}
	for i, n := range shares(f.c.Connections, wants) {
		busy[i].setShare(n)
	}
}
