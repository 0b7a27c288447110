package crawler

import (
	"time"

	"salvor"
)

// freeze stops or restarts all starts.
func (s *schedule) freeze(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = on
	kick(s.wake)
}

// stall stops all starts while there is no room for what they would bring.
func (s *schedule) stall(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stalled != on {
		s.stalled = on
		kick(s.wake)
	}
}

// connections is how many exchanges may be under way at once.
func (s *schedule) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

func (s *schedule) setConnections(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.most = n
	kick(s.wake)
}

// setPerOrigin changes the number of exchanges with one origin.
func (s *schedule) setPerOrigin(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.perOrigin = n
	s.purses(s.park)
	kick(s.wake)
}

// soon is how long a host may rest and still count as busy: one that rests
// longer takes no other's place.
const soon = 2 * time.Second

const (
	// maxTodo is how many items may wait here before more are asked for: minutes
	// of work, and some 100 MB.
	maxTodo = 250_000
	// restingHosts is how many hosts are held at most for each that could be busy.
	// Where all rest half a minute between two starts, so many are needed.
	restingHosts = 64
)

// want says how much more the session can use: hosts up to limit, and the
// hosts it has enough of.
func (s *schedule) want(limit, items int) (hosts int, not []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.frozen || s.stalled || s.todo > min(limit*items*4, maxTodo) {
		return 0, nil
	}
	busy, rested := 0, time.Now().Add(soon)
	counted := map[*purse]bool{} // merged hosts that wait for each other are busy as one
	for _, h := range s.hosts {
		p := h.purse
		if len(h.items) > items/2 || (len(h.items) > 0 && p.pace < salvor.Unlimited) {
			not = append(not, h.name)
			if p.pace > 0 && p.start().Before(rested) && !counted[p] {
				busy++
				if p.name != "" && p.pace < salvor.Unlimited {
					counted[p] = true
				}
			}
		}
	}
	return min(limit-busy, restingHosts*limit-len(not)), not
}
