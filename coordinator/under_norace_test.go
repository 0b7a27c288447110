//go:build !race

package coordinator

const underRace = 1
