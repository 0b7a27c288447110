//go:build race

package frontier

// slower is by how much the race detector shortens the long tests.
const slower = 4
