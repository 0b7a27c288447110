//go:build race

package coordinator

// underRace is by how much the race detector shortens the long tests.
const underRace = 4
