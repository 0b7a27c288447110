package pilot

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestSize: the estimate of a site that is found by its links comes close once
// pages bring less than one new URL each, and says before that no end is in sight.
func TestSize(t *testing.T) {
	const pages = 20_000
	r := rand.New(rand.NewPCG(1, 2))
	seen, queue := map[int]bool{0: true}, []int{0}
	var s size
	fetched, endless, checked := 0, 0, 0
	for len(queue) > 0 {
		queue = queue[1:]
		fetched++
		for range 8 {
			if p := r.IntN(pages); !seen[p] {
				seen[p] = true
				queue = append(queue, p)
			}
		}
		if fetched%20 != 0 {
			continue
		}
		s.take(int64(len(seen)), int64(fetched))
		rest, end := s.rest(float64(len(queue)))
		missing := float64(pages - len(seen))
		switch {
		case end:
			endless++
			if fetched > pages/2 {
				t.Errorf("after %d of %d pages no end is in sight", fetched, pages)
			}
		case fetched > pages*6/10 && len(queue) > 500:
			checked++
			if math.Abs(rest-missing) > float64(pages)/10 {
				t.Errorf("after %d pages %.0f are not found yet, estimated %.0f", fetched, missing, rest)
			}
		}
	}
	if endless == 0 || checked < 50 {
		t.Errorf("%d looks saw no end, %d estimates were checked", endless, checked)
	}
}

// TestSizeOfLittle: of a host that was hardly looked at nothing is said.
func TestSizeOfLittle(t *testing.T) {
	var s size
	s.take(10, 0)
	s.take(100, 5)
	if n, endless := s.rest(95); n != 0 || endless {
		t.Errorf("after 5 pages: %.0f, %v", n, endless)
	}
	s.take(1000, 100)
	if _, endless := s.rest(900); !endless {
		t.Error("ten new URLs a page, and an end is in sight")
	}
	s.take(1000, 10) // a new leader knows less of what was begun
	s.take(1000, 5000)
	if n, endless := s.rest(0); n != 0 || endless {
		t.Errorf("nothing waits, and %.0f are not found, %v", n, endless)
	}
}
