package main

import (
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"time"
)

// part is processes whose costs are counted together.
type part struct {
	name string
	pids []int
}

// reading is what the kernel had accounted to each part at a moment.
type reading struct {
	at      time.Time
	cpu     map[string]time.Duration
	written map[string]int64 // bytes sent to the disk
}

func read(parts []part) (reading, error) {
	r := reading{at: time.Now(), cpu: map[string]time.Duration{}, written: map[string]int64{}}
	for _, p := range parts {
		for _, pid := range p.pids {
			cpu, err := cpuOf(pid)
			if err != nil {
				return r, fmt.Errorf("%s: %w", p.name, err)
			}
			r.cpu[p.name] += cpu
			r.written[p.name] += writtenBy(pid)
		}
	}
	return r, nil
}

// since is what was used from an earlier reading on, in seconds and bytes.
func (r reading) since(earlier reading) (wall float64, cpu map[string]float64, written map[string]int64) {
	cpu, written = map[string]float64{}, maps.Clone(r.written)
	for name, d := range r.cpu {
		cpu[name] = (d - earlier.cpu[name]).Seconds()
		written[name] -= earlier.written[name]
	}
	return r.at.Sub(earlier.at).Seconds(), cpu, written
}

// tick is the unit of /proc/PID/stat: USER_HZ is 100 on every Linux.
const tick = 10 * time.Millisecond

// cpuOf is the user and system time of a running process.
func cpuOf(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(b))
}

// parseStat reads fields 14 and 15. The second, the program's name, may hold
// blanks and brackets.
func parseStat(s string) (time.Duration, error) {
	f := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(f) < 13 {
		return 0, fmt.Errorf("cannot read process times from %q", s)
	}
	var sum time.Duration
	for _, x := range f[11:13] {
		n, err := strconv.ParseInt(x, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("cannot read process times from %q: %w", s, err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// writtenBy is what a process had the kernel write to disks; 0 where the kernel
// does not tell.
func writtenBy(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "write_bytes:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(rest), 10, 64) // a kernel's number
			return n
		}
	}
	return 0
}

// loadNow is the machine's load average of the last minute.
func loadNow() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return -1
	}
	first, _, _ := strings.Cut(string(b), " ")
	n, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return -1
	}
	return n
}
