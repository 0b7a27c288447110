package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

// Results is all that is kept.
type Results struct {
	At          time.Time  `json:"at"`
	Host        string     `json:"host"`
	Cores       int        `json:"cores"`
	Go          string     `json:"go"`
	Commit      string     `json:"commit"`
	Simulations []SimRun   `json:"simulations"`
	Crawls      []CrawlRun `json:"crawls"`
	Idles       []Idle     `json:"idle"`
	Recoveries  []Recovery `json:"recoveries"`
}

func newResults(options) *Results {
	return &Results{
		At: time.Now().UTC().Truncate(time.Second), Host: cpuModel(), Cores: runtime.NumCPU(), Go: runtime.Version(),
		Commit: firstLine("git", "describe", "--always", "--dirty"),
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

// JSON is for scripts.
func (r *Results) JSON() []byte {
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		panic(err) // numbers and strings only
	}
	return append(out, '\n')
}

// Table is for people.
func (r *Results) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s, %d cores, %s, salvor %s\n", r.At.Format(time.RFC3339), r.Host, r.Cores, r.Go, r.Commit)
	table(&b, "workers without a web, us of CPU a page", r.Simulations,
		"voters\tgroups\tworkers\tlinks\tnew\tleader\tall voters\tsimulation\tpages/s\tentries/s\tentries/page\tlog bytes/page\tdisk bytes/page\tload", func(x SimRun) string {
			n := float64(x.Pages)
			return fmt.Sprintf("%d\t%d\t%s\t%d\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.3f\t%.0f\t%.0f\t%.1f", x.Voters, x.Groups, workersOf(x), x.Links, x.Fresh,
				x.each("leader"), x.voters(), x.each("simulation"), n/x.Wall, x.Entries/x.Wall, x.Entries/n, x.Log/n, float64(x.Written["leader"])/n, x.Load)
		})
	b.WriteString(r.links())
	table(&b, "real workers, us of CPU a page", r.Crawls,
		"what\tworkers\tlinks\tcoordinator\tworkers\tMinIO\tnginx\tpages/s\tentries/page\tlog bytes/page\tload", func(x CrawlRun) string {
			n := float64(x.Pages)
			return fmt.Sprintf("%s\t%d\t%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.3f\t%.0f\t%.1f", x.What, x.Workers, x.Links, x.each("leader"), x.each("workers"),
				x.each("minio"), x.each("nginx"), n/x.Wall, x.Entries/n, x.Log/n, x.Load)
		})
	table(&b, "three nodes with nothing to do, of each", r.Idles, "groups\tseconds\tCPU ms/s\tprivate MB\tlog bytes/s\tload", func(x Idle) string {
		return fmt.Sprintf("%d\t%.0f\t%s\t%s\t%.0f\t%.1f", x.Groups, x.Wall, list(x.CPU, 1000/x.Wall, "%.1f"), list(x.Memory, 1.0/(1<<20), "%.0f"), x.Log/x.Wall, x.Load)
	})
	table(&b, "one coordinator with many known URLs", r.Recoveries,
		"URLs\tus of CPU/URL\tURLs/s\tprivate MB\tdisk MB\tlog since snapshot MB\tserves after SIGKILL s\tCPU s\tafter clean stop s\tCPU s\tload", func(x Recovery) string {
			return fmt.Sprintf("%d\t%.1f\t%.0f\t%d\t%d\t%d\t%.2f\t%.2f\t%.2f\t%.2f\t%.1f", x.URLs, x.FillCPU/float64(x.URLs)*1e6, float64(x.URLs)/x.FillWall, x.Memory>>20,
				x.Disk>>20, int64(x.Log)>>20, x.Killed.Wall, x.Killed.CPU, x.Stopped.Wall, x.Stopped.CPU, x.Load)
		})
	return b.String()
}

func workersOf(x SimRun) string {
	switch {
	case x.Rate == 0:
		return fmt.Sprint(x.Workers)
	case x.Rate < 0:
		return fmt.Sprintf("%d, page by page", x.Workers)
	}
	return fmt.Sprintf("%d of %.0f/s", x.Workers, x.Rate)
}

// links is what a link costs: the difference between rounds that differ in
// nothing else.
func (r *Results) links() string {
	var b strings.Builder
	for i, x := range r.Simulations {
		for _, y := range r.Simulations[i+1:] {
			if n := y.Links - x.Links; n > 0 && x.Voters == y.Voters && x.Groups == y.Groups && x.Workers == y.Workers && x.Rate == y.Rate && x.Fresh == y.Fresh {
				fmt.Fprintf(&b, "a known link, %d voters: %.1f us at the leader, %.1f at all voters\n", x.Voters, (y.each("leader")-x.each("leader"))/float64(n), (y.voters()-x.voters())/float64(n))
			}
			if n := y.Fresh - x.Fresh; n > 0 && x.Voters == y.Voters && x.Groups == y.Groups && x.Workers == y.Workers && x.Rate == y.Rate && x.Links == y.Links {
				fmt.Fprintf(&b, "a new link instead of a known one, %d voters: %.1f us more at the leader\n", x.Voters, (y.each("leader")-x.each("leader"))/float64(n))
			}
		}
	}
	return b.String()
}

func list[T float64 | int64](values []T, by float64, format string) string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = fmt.Sprintf(format, float64(v)*by)
	}
	return strings.Join(out, " ")
}

// table writes a table, unless it is empty.
func table[T any](b *strings.Builder, title string, rows []T, head string, row func(T) string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s\n", title)
	w := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, head+"\t")
	for _, r := range rows {
		fmt.Fprintln(w, row(r)+"\t")
	}
	_ = w.Flush() // a strings.Builder takes everything
}
