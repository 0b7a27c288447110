package cli

import (
	"fmt"
	"strings"

	"salvor/cmd/salvor/internal/drill"
	"salvor/cmd/salvor/internal/progress"
)

// simulationJSON is a drill in virtual time, as the contract has it.
type simulationJSON struct {
	Scenario  string                 `json:"scenario"`
	Simulated bool                   `json:"simulated"`
	Workers   int                    `json:"workers"`
	Length    float64                `json:"length"`
	Capacity  float64                `json:"capacity"` // requests a second
	Value     float64                `json:"value"`    // of all there was
	Possible  float64                `json:"possible"` // of it, for who knows everything beforehand
	Policies  []simulationPolicyJSON `json:"policies"`
}

type simulationPolicyJSON struct {
	Policy string               `json:"policy"`
	Saved  float64              `json:"value_saved"`
	Share  float64              `json:"share"`
	Of     float64              `json:"of_possible"`
	Sites  []simulationSiteJSON `json:"sites"`
	Curve  [][2]float64         `json:"curve"` // seconds, value saved by then
}

type simulationSiteJSON struct {
	Name  string  `json:"name"`
	Pages float64 `json:"pages_saved"`
	Got   float64 `json:"value_saved"`
}

// simulate plays a scenario in virtual time.
func (w *world) simulate(d *drilling, s drill.Scenario) error {
	policies, err := chosen(drill.SimPolicies, d.policies, drill.FindSimPolicy)
	if err != nil {
		return err
	}
	if d.sites > 0 {
		s = s.Grown(d.sites)
	}
	m, err := drill.Simulate(s, d.workers, policies)
	if err != nil {
		return err
	}
	if d.plot != "" {
		if err := writePlot(d.plot, s, m.Lines(), m.Possible); err != nil {
			return err
		}
	}
	if d.json {
		return w.printJSON(simulationJSONOf(s, d.workers, m))
	}
	return w.tellSimulation(s, m)
}

func simulationJSONOf(s drill.Scenario, workers int, m drill.Simulated) simulationJSON {
	out := simulationJSON{
		Scenario: s.Name, Simulated: true, Workers: workers, Length: s.Length.Seconds(), Capacity: s.Capacity, Value: m.Value, Possible: m.Possible,
	}
	for _, r := range m.Results {
		p := simulationPolicyJSON{Policy: r.Policy, Saved: r.Value, Share: r.Value / m.Value, Of: r.Value / m.Possible}
		for i, x := range r.Hosts {
			p.Sites = append(p.Sites, simulationSiteJSON{s.Sites[i].Name, x.Requests, x.Value})
		}
		for _, c := range r.Curve {
			p.Curve = append(p.Curve, [2]float64{c.At, c.Value})
		}
		out.Policies = append(out.Policies, p)
	}
	return out
}

func (w *world) tellSimulation(s drill.Scenario, m drill.Simulated) error {
	var b strings.Builder
	fmt.Fprintf(&b, "scenario %s, simulated: %s, %s, %.0f requests a second\npossible is %.0f, %s of all\n\n", s.Name,
		progress.Counted(int64(len(s.Sites)), "platform"), s.Length, s.Capacity, m.Possible, percent(m.Possible, m.Value))
	var rows [][]string
	for _, r := range m.Results {
		p, err := drill.FindSimPolicy(r.Policy)
		if err != nil {
			return err
		}
		rows = append(rows, []string{r.Policy, fmt.Sprintf("%.0f", r.Value), percent(r.Value, m.Value), percent(r.Value, m.Possible), p.About})
	}
	table(&b, "", []string{"POLICY", ">VALUE SAVED", ">OF ALL", ">OF POSSIBLE", "WHOM IT SERVES FIRST"}, rows)
	_, err := w.stdout.Write([]byte(b.String()))
	return err
}
