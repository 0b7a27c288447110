package cli

import (
	"fmt"
	"strings"
	"time"

	"salvor/cmd/salvor/internal/drill"
	"salvor/cmd/salvor/internal/progress"
)

// drillJSON is a drill, as the contract has it. Durations are seconds.
type drillJSON struct {
	Scenario string            `json:"scenario"`
	Seed     uint64            `json:"seed"`
	Workers  int               `json:"workers"`
	Length   float64           `json:"length"`
	Capacity float64           `json:"capacity"` // requests a second
	Possible float64           `json:"possible"` // value, for who knows everything beforehand
	Planner  float64           `json:"planner"`  // value that the planner saves in a simulation
	Policies []drillPolicyJSON `json:"policies"`
}

type drillPolicyJSON struct {
	Policy string          `json:"policy"`
	Value  float64         `json:"value"`
	Saved  float64         `json:"value_saved"`
	Share  float64         `json:"share"`
	Of     float64         `json:"of_possible"`
	Pages  int             `json:"pages_saved"`
	Took   float64         `json:"took"`
	Sites  []drillSiteJSON `json:"sites"`
	Curve  [][2]float64    `json:"curve"` // seconds, value saved by then
}

type drillSiteJSON struct {
	Name     string  `json:"name"`
	Deadline float64 `json:"deadline,omitempty"`
	Death    float64 `json:"death,omitempty"`
	Pages    int     `json:"pages"`
	Saved    int     `json:"pages_saved"`
	Value    float64 `json:"value"`
	Got      float64 `json:"value_saved"`
	Served   int     `json:"pages_served"`
	Answers  int     `json:"answers"`
	Repeats  int     `json:"repeats"`
	Refusals int     `json:"refusals"`
	Banned   int     `json:"banned"`
	Errors   int     `json:"errors"`
}

func drillJSONOf(s drill.Scenario, workers int, results []drill.Result, m drill.Simulated) drillJSON {
	out := drillJSON{
		Scenario: s.Name, Seed: s.Seed, Workers: workers, Length: s.Length.Seconds(), Capacity: s.Capacity,
		Possible: m.Possible, Planner: m.Results[0].Value,
	}
	for _, r := range results {
		p := drillPolicyJSON{Policy: r.Policy, Value: r.Value, Saved: r.Saved, Share: r.Saved / r.Value, Of: r.Saved / m.Possible, Pages: r.Pages, Took: r.Took.Seconds()}
		for _, x := range r.Sites {
			p.Sites = append(p.Sites, drillSiteJSON{
				Name: x.Name, Deadline: x.Deadline.Seconds(), Death: x.Death.Seconds(), Pages: x.Pages, Saved: x.Saved, Value: x.Value, Got: x.Got,
				Served: x.Served, Answers: x.Answers, Repeats: x.Repeats, Refusals: x.Refusals, Banned: x.Banned, Errors: x.Errors,
			})
		}
		for _, c := range r.Curve {
			p.Curve = append(p.Curve, [2]float64{c.At.Seconds(), c.Value})
		}
		out.Policies = append(out.Policies, p)
	}
	return out
}

// tellDrill prints two tables: the policies, and what each saved of each
// platform.
func (w *world) tellDrill(s drill.Scenario, workers int, results []drill.Result, m drill.Simulated) error {
	var b strings.Builder
	fmt.Fprintf(&b, "scenario %s: %s, %s, %s, %.0f requests a second\n", s.Name, progress.Counted(int64(len(s.Sites)), "platform"),
		progress.Counted(int64(workers), "worker"), s.Length, s.Capacity)
	fmt.Fprintf(&b, "possible is %.0f, %s of all; in a simulation the planner saves %s of that\n\n", m.Possible, percent(m.Possible, m.Value), percent(m.Results[0].Value, m.Possible))
	var rows [][]string
	head := []string{"PLATFORM", ">PAGES", ">VALUE", ">DEADLINE", ">DIED"}
	for _, r := range results {
		rows = append(rows, []string{r.Policy, fmt.Sprintf("%.0f", r.Saved), percent(r.Saved, r.Value), percent(r.Saved, m.Possible), progress.Count(int64(r.Pages))})
		head = append(head, ">"+r.Policy)
	}
	table(&b, "", []string{"POLICY", ">VALUE SAVED", ">OF ALL", ">OF POSSIBLE", ">PAGES"}, rows)
	b.WriteString("\n")
	table(&b, "", head, siteRows(results))
	_, err := w.stdout.Write([]byte(b.String()))
	return err
}

// siteRows have a platform each, and in them what part of it each policy saved.
func siteRows(results []drill.Result) (rows [][]string) {
	for i, x := range results[0].Sites {
		row := []string{x.Name, progress.Count(int64(x.Pages)), fmt.Sprintf("%.0f", x.Value), moment(x.Deadline), moment(x.Death)}
		for _, r := range results {
			row = append(row, percent(r.Sites[i].Got, x.Value))
		}
		rows = append(rows, row)
	}
	return rows
}

func percent(part, whole float64) string { return fmt.Sprintf("%.1f %%", 100*part/whole) }

// moment is a time of a drill; one that never comes is a dash.
func moment(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(100 * time.Millisecond).String()
}

// showScenario lists the platforms.
func (w *world) showScenario(s drill.Scenario) error {
	if _, err := fmt.Fprintf(w.stdout, "%s: %s, %.0f requests a second\n\n", s.Name, s.Length, s.Capacity); err != nil {
		return err
	}
	var rows [][]string
	for _, x := range s.Sites {
		var news []string
		for _, n := range x.Notices {
			news = append(news, fmt.Sprintf("at %s: %s", n.At, moment(n.Deadline)))
		}
		rows = append(rows, []string{x.Name, progress.Count(int64(x.Pages)), fmt.Sprintf("%.1f", x.Mean()), fmt.Sprintf("%.3g/s", x.Manner.Rate), moment(x.Manner.Death), strings.Join(news, ", ")})
	}
	return w.printTable([]string{"PLATFORM", ">PAGES", ">VALUE OF ONE", ">BEARS", ">DIES", "DEADLINE, AS IT IS HEARD"}, rows)
}

func (w *world) printTable(head []string, rows [][]string) error {
	var b strings.Builder
	table(&b, "", head, rows)
	_, err := w.stdout.Write([]byte(b.String()))
	return err
}
