package rig

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Hosts are machines of the tests' own: network namespaces on one bridge, which
// the tests' processes are on, too. Every direction between two of them can be
// cut, silently, as a broken switch does.
type Hosts struct {
	n      int
	subnet string // 10.A.B
	prefix string // of the names of all that is made
}

// ErrForbidden says that this machine lets nobody make network namespaces.
var ErrForbidden = errors.New("not permitted")

// Outside is the number of the tests' own side of the bridge.
const Outside = 0

// NewHosts makes n of them, numbered from 1, and so many addresses on the
// tests' side. number tells apart those of one process.
func NewHosts(n, outside, number int) (*Hosts, error) {
	if _, err := LookPath("ip"); err != nil {
		return nil, fmt.Errorf("iproute2: %w", err)
	}
	sweep()
	h := &Hosts{n: n, prefix: fmt.Sprintf("sv%d-%d", os.Getpid(), number), subnet: fmt.Sprintf("10.%d.%d", 100+os.Getpid()%100, number)}
	if err := ip("netns", "add", h.name(1)); err != nil {
		return nil, errors.Join(ErrForbidden, err)
	}
	steps := [][]string{{"link", "add", h.prefix, "type", "bridge"}, {"link", "set", h.prefix, "up"}}
	for i := range outside {
		steps = append(steps, []string{"addr", "add", h.Outside(i) + "/24", "dev", h.prefix})
	}
	for i := range n {
		steps = append(steps, h.host(i+1)...)
	}
	for _, s := range steps {
		if err := ip(s...); err != nil {
			h.Close()
			return nil, err
		}
	}
	return h, nil
}

// host are the commands that make one.
func (h *Hosts) host(i int) [][]string {
	name, here := h.name(i), fmt.Sprintf("%s.%d", h.prefix, i)
	steps := [][]string{
		{"link", "add", here, "type", "veth", "peer", "name", "eth0", "netns", name},
		{"link", "set", here, "master", h.prefix, "up"},
		{"-n", name, "addr", "add", h.Address(i) + "/24", "dev", "eth0"},
		{"-n", name, "link", "set", "eth0", "up"},
		{"-n", name, "link", "set", "lo", "up"},
	}
	if i > 1 {
		steps = append([][]string{{"netns", "add", name}}, steps...)
	}
	return steps
}

func (h *Hosts) name(i int) string { return fmt.Sprintf("%s.%d", h.prefix, i) }

// Address is the IP address of a host.
func (h *Hosts) Address(i int) string {
	if i == Outside {
		return h.Outside(0)
	}
	return fmt.Sprintf("%s.%d", h.subnet, i)
}

// Outside are the addresses of the tests' side.
func (h *Hosts) Outside(i int) string { return fmt.Sprintf("%s.%d", h.subnet, 254-i) }

// Net is the network of all of them.
func (h *Hosts) Net() string { return h.subnet + ".0/24" }

// Wrap is what runs a program on a host.
func (h *Hosts) Wrap(i int) []string { return []string{"ip", "netns", "exec", h.name(i)} }

// nobody has this hardware address.
const nobody = "02:00:00:00:de:ad"

// Cut loses all that one host sends to another from now on.
func (h *Hosts) Cut(from, to int) error {
	return ip(h.neighbour("replace", from, to, "lladdr", nobody, "nud", "permanent")...)
}

// Heal ends a Cut.
func (h *Hosts) Heal(from, to int) error { return ip(h.neighbour("del", from, to)...) }

func (h *Hosts) neighbour(do string, from, to int, more ...string) []string {
	args := []string{"neigh", do, h.Address(to), "dev", h.prefix}
	if from != Outside {
		args = []string{"-n", h.name(from), "neigh", do, h.Address(to), "dev", "eth0"}
	}
	return append(args, more...)
}

// Close removes them. What runs there keeps its network until it ends.
func (h *Hosts) Close() {
	for i := range h.n {
		_ = ip("netns", "del", h.name(i+1))
	}
	_ = ip("link", "del", h.prefix)
}

// sweep removes what processes that were killed have left.
func sweep() {
	out, _ := exec.Command("ip", "netns", "list").Output()
	links, _ := exec.Command("ip", "-o", "link", "show", "type", "bridge").Output()
	for line := range strings.Lines(string(out)) {
		if name := strings.Fields(line)[0]; leftover(name) {
			_ = ip("netns", "del", name)
		}
	}
	for line := range strings.Lines(string(links)) {
		if name := strings.TrimSuffix(strings.Fields(line)[1], ":"); leftover(name) {
			_ = ip("link", "del", name)
		}
	}
}

// leftover says whether a name is of Hosts whose process is no more.
func leftover(name string) bool {
	pid, _, ok := strings.Cut(strings.TrimPrefix(name, "sv"), "-")
	if _, err := strconv.Atoi(pid); err != nil || !ok || !strings.HasPrefix(name, "sv") {
		return false
	}
	_, err := os.Stat("/proc/" + pid)
	return errors.Is(err, os.ErrNotExist)
}

func ip(args ...string) error {
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
