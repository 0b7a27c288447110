//go:build !race

package frontier

const slower = 1
