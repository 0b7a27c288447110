package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Run is one crawl of the site by one program.
type Run struct {
	Program   string  `json:"program"`
	Pages     int     `json:"pages"`
	Wall      float64 `json:"wall_seconds"`
	User      float64 `json:"user_seconds"`
	System    float64 `json:"system_seconds"`
	MaxRSS    int64   `json:"max_rss_bytes"`
	WARCBytes int64   `json:"warc_bytes"`
}

// CPU is the processor time in seconds.
func (r Run) CPU() float64 { return r.User + r.System }

// Results is all that is kept.
type Results struct {
	At     time.Time `json:"at"`
	Host   string    `json:"host"`
	Cores  int       `json:"cores"`
	Go     string    `json:"go"`
	Commit string    `json:"commit"`
	Wget   string    `json:"wget"`
	Pages  int       `json:"pages"`
	Runs   []Run     `json:"runs"`
}

func newResults(o options) *Results {
	return &Results{
		At: time.Now().UTC().Truncate(time.Second), Host: cpuModel(), Cores: runtime.NumCPU(), Go: runtime.Version(),
		Commit: firstLine("git", "describe", "--always", "--dirty"), Wget: firstLine("wget", "--version"), Pages: o.pages,
	}
}

func firstLine(name string, args ...string) string {
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := bytes.Cut(out, []byte{'\n'})
	return string(line)
}

func cpuModel() string {
	out, err := exec.Command("grep", "-m1", "model name", "/proc/cpuinfo").Output()
	if err != nil {
		return runtime.GOARCH
	}
	_, model, _ := strings.Cut(string(out), ":")
	return strings.TrimSpace(model)
}

// best is the run of a program that took the least processor time: on a shared
// machine the others measure the neighbours.
func (r *Results) best(program string) (Run, bool) {
	var of []Run
	for _, run := range r.Runs {
		if run.Program == program {
			of = append(of, run)
		}
	}
	if len(of) == 0 {
		return Run{}, false
	}
	return slices.MinFunc(of, func(a, b Run) int { return int((a.CPU() - b.CPU()) * 1e6) }), true
}

// Table is for people.
func (r *Results) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s, %d cores, %s, salvor %s, %s\n", r.At.Format(time.RFC3339), r.Host, r.Cores, r.Go, r.Commit, r.Wget)
	fmt.Fprintf(&b, "%d pages of 22 KB with 50 links, nginx on loopback\n\n", r.Pages)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "program\tCPU s\tuser\tsystem\tus/page\tpages/CPU s\twall s\tpages/s\tmax RSS MB\tWARC MB\t")
	for _, run := range r.Runs {
		n := float64(run.Pages)
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.2f\t%.0f\t%d\t%.1f\t\n", run.Program, run.CPU(), run.User, run.System,
			run.CPU()/n*1e6, n/run.CPU(), run.Wall, n/run.Wall, run.MaxRSS>>20, float64(run.WARCBytes)/1e6)
	}
	_ = w.Flush() // a strings.Builder takes everything
	b.WriteString(r.verdict())
	return b.String()
}

// verdict is the ratio of the best runs.
func (r *Results) verdict() string {
	wget, okW := r.best("wget")
	salvor, okS := r.best("salvor")
	if !okW || !okS {
		return ""
	}
	return fmt.Sprintf("\nbest of each: salvor saves %.2f times as many pages a CPU second as wget, and %.2f times as many a second\n",
		wget.CPU()/salvor.CPU(), wget.Wall/salvor.Wall)
}

// JSON is for scripts.
func (r *Results) JSON() []byte {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // numbers and strings only
	}
	return append(out, '\n')
}
