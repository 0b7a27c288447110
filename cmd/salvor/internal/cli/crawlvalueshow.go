package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler/canon"
	"salvor/crawler/scope"
)

// valuesJSON are a crawl's value rules, as the contract has them.
type valuesJSON struct {
	Crawl  string            `json:"crawl"`
	Rules  []scope.ValueRule `json:"rules"`
	Recipe string            `json:"recipe,omitempty"`
	Seeds  []scope.SeedValue `json:"seeds"`
	Ranked bool              `json:"ranked"` // what is queued is in the place of its value
	Tiers  []valueTierJSON   `json:"tiers,omitempty"`
}

// valueTierJSON is what is queued in a band.
type valueTierJSON struct {
	Band   salvor.Band `json:"band"`
	Value  float64     `json:"value"`
	Queued int64       `json:"queued"`
	Rules  []string    `json:"rules"`
}

func valuesOf(c api.Crawl, x *outfit.Spec) valuesJSON {
	v := x.ValuesInForce()
	return valuesJSON{Crawl: c.Name, Rules: append([]scope.ValueRule{}, v.Rules...), Recipe: v.Recipe,
		Seeds: append([]scope.SeedValue{}, x.SeedValues...), Ranked: !x.Unranked()}
}

func (w *world) valueShowCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "show [flags] NAME", Short: "Show the value rules of a crawl, and what is queued by them",
		Long: `Show lists the value rules in force in the order in which they are asked, says
whether all that is queued is in its place, and how much is queued of each
value.`,
		Args:              oneName("crawl", "salvor crawl value show NAME"),
		ValidArgsFunction: w.completeNames(d, crawlNames),
		RunE: func(cmd *cobra.Command, args []string) error {
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				crawl, err := findCrawl(ctx, c, args[0])
				if err != nil {
					return err
				}
				v, err := valuesNow(ctx, c, crawl)
				if err != nil {
					return err
				}
				if d.json {
					return w.printJSON(v)
				}
				_, err = w.stdout.Write([]byte(w.painted(v.text())))
				return err
			})
		},
	}
	declare(cmd, d.groups("print them as JSON (docs/json.md)")...)
	return cmd
}

// valuesNow are the rules, and what is queued by them on all hosts.
func valuesNow(ctx context.Context, c api.Coordinator, crawl api.Crawl) (v valuesJSON, err error) {
	x, err := outfit.SpecOf(crawl)
	if err != nil {
		return v, err
	}
	t, err := scope.CompileValues(x.ValueRules())
	if err != nil {
		return v, err
	}
	hosts, err := c.Hosts(ctx, crawl.ID, 0)
	if err != nil {
		return v, err
	}
	v = valuesOf(crawl, &x)
	queued := map[salvor.Band]int64{}
	for _, h := range hosts {
		for _, b := range h.Bands {
			queued[b.Band] += b.Queued
		}
	}
	for b, n := range queued {
		if n > 0 && b != salvor.BandRobots && t.Valued() {
			v.Tiers = append(v.Tiers, valueTierJSON{b, t.BandValue(b), n, append([]string{}, t.BandRules(b)...)})
		}
	}
	slices.SortFunc(v.Tiers, func(a, b valueTierJSON) int { return cmp.Compare(a.Band, b.Band) })
	return v, nil
}

func (v *valuesJSON) text() string {
	var b strings.Builder
	if len(v.Rules)+len(v.Seeds) == 0 {
		fmt.Fprintf(&b, "crawl %s has no value rules: what is near to a seed comes first\n", v.Crawl)
		return b.String()
	}
	var rows [][]string
	for i, r := range v.Rules {
		rows = append(rows, []string{fmt.Sprint(i + 1), r.Text, ruleSource(r)})
	}
	for _, s := range v.Seeds {
		rows = append(rows, []string{"seeds", fmt.Sprintf("%s %s", quantity(s.Value), strings.Join(atMost(s.Seeds, 3), " ")), ""})
	}
	table(&b, "", []string{"", "RULE", ""}, rows)
	if !v.Ranked {
		b.WriteString("what was queued before these rules is still being moved to its place\n")
	}
	if len(v.Tiers) == 0 {
		return b.String()
	}
	b.WriteString("\n")
	rows = nil
	for _, t := range v.Tiers {
		rows = append(rows, []string{quantity(t.Value), progress.Count(t.Queued), byRules(t.Rules)})
	}
	table(&b, "", []string{">WORTH", ">QUEUED", "BY"}, rows)
	return b.String()
}

// byRules says why a band is worth what it is.
func byRules(rules []string) string {
	return cmp.Or(strings.Join(rules, "; "), "seeds and sitemaps, what pages need, or by distance")
}

func quantity(v float64) string { return fmt.Sprintf("%.3g", v) }

func atMost(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	return append(slices.Clone(list[:n]), fmt.Sprintf("and %d more", len(list)-n))
}

func (w *world) valueListCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use: "list [flags]", Short: "List the built-in sets of value rules", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return w.printJSON(recipesJSON())
			}
			var b strings.Builder
			for _, r := range scope.Recipes() {
				fmt.Fprintf(&b, "%s\n  %s\n", r.Name, r.About)
				for _, x := range r.Rules {
					fmt.Fprintf(&b, "    %s\n", x.Text)
				}
			}
			_, err := w.stdout.Write([]byte(b.String()))
			return err
		},
	}
	declare(cmd, optionGroup{"Output", []option{{name: "json", value: truth(&asJSON), noArg: "true", usage: "print a JSON array (docs/json.md)"}}})
	return cmd
}

type recipeJSON struct {
	Name  string   `json:"name"`
	About string   `json:"about"`
	Rules []string `json:"rules"`
}

func recipesJSON() (out []recipeJSON) {
	for _, r := range scope.Recipes() {
		x := recipeJSON{Name: r.Name, About: r.About}
		for _, rule := range r.Rules {
			x.Rules = append(x.Rules, rule.Text)
		}
		out = append(out, x)
	}
	return out
}

// explainedJSON is what a URL is worth, as the contract has it.
type explainedJSON struct {
	URL    string      `json:"url"`
	Known  bool        `json:"known"` // to the crawl; else it is taken for a page next to a seed
	State  string      `json:"state,omitempty"`
	Class  string      `json:"class"`
	Links  int         `json:"links"` // from a seed
	Value  float64     `json:"value"`
	Factor float64     `json:"factor"`           // what its class makes of it
	Rule   string      `json:"rule,omitempty"`   // "" none matches
	Number int         `json:"number,omitempty"` // of the rule, from 1; 0: it is a seed's
	Page   string      `json:"page,omitempty"`   // whose rule it is, as what it needs
	Band   salvor.Band `json:"band"`
	Now    salvor.Band `json:"queued_band,omitempty"` // where it is, if it has no outcome yet
}

func (w *world) valueExplainCommand() *cobra.Command {
	d := new(dialing)
	cmd := &cobra.Command{
		Use: "explain [flags] NAME URL", Short: "Say what a URL is worth in a crawl, and by which rule",
		Long: `Explain says what a URL is worth, which rule decides it and where it is queued.
One that the crawl does not know is taken for a page next to a seed.`,
		Example: "  salvor crawl value explain forum https://forum.example/thread/17",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return salvor.Errorf(salvor.Invalid, "a crawl and a URL are named, and %d words were given", len(args)).WithHint("salvor crawl value explain NAME URL")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			u, err := canon.ParseSeed(args[1])
			if err != nil {
				return err
			}
			return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
				x, err := explainValue(ctx, c, args[0], u)
				if err != nil {
					return err
				}
				if d.json {
					return w.printJSON(x)
				}
				_, err = w.stdout.Write([]byte(x.text()))
				return err
			})
		},
	}
	declare(cmd, d.groups("print it as JSON (docs/json.md)")...)
	return cmd
}

func explainValue(ctx context.Context, c api.Coordinator, name string, u canon.URL) (*explainedJSON, error) {
	crawl, err := findCrawl(ctx, c, name)
	if err != nil {
		return nil, err
	}
	spec, err := outfit.SpecOf(crawl)
	if err != nil {
		return nil, err
	}
	t, err := scope.CompileValues(spec.ValueRules())
	if err != nil {
		return nil, err
	}
	k, err := c.Lookup(ctx, crawl.ID, u.Host, salvor.ItemKey(crawl.HashKey, "", u.Href, nil))
	x := &explainedJSON{URL: u.Href, Known: err == nil}
	switch {
	case salvor.ClassOf(err) == salvor.NotFound && err != nil:
		k.Class, k.Hop = salvor.ClassPage, salvor.Hop{Links: 1}
	case err != nil:
		return nil, err
	case k.State == api.StateSettled:
		x.State = k.Outcome.String()
	default:
		x.State, x.Now = [...]string{"queued", "waiting", "under_way"}[k.State], k.Band
	}
	x.Class, x.Links = k.Class.String(), int(k.Hop.Links)
	x.take(t.Of(u, canon.Parts(k.Via), k.Class, k.Hop), k.Via)
	return x, nil
}

func (x *explainedJSON) take(v scope.Worth, via string) {
	x.Value, x.Factor, x.Rule, x.Number, x.Band = v.Value, v.Factor, v.Rule, v.Number, v.Band
	if v.Page {
		x.Page = via
	}
}

func (x *explainedJSON) text() string {
	var b strings.Builder
	line := func(label, text string) { fmt.Fprintf(&b, "%-6s %s\n", label, progress.Clean(text)) }
	fmt.Fprintln(&b, progress.Clean(x.URL))
	why := "no rule matches"
	switch {
	case x.Number > 0:
		why = fmt.Sprintf("by rule %d: %s", x.Number, x.Rule)
	case x.Rule != "":
		why = "by " + x.Rule
	}
	if x.Factor != 1 {
		why += fmt.Sprintf("; x %s, as its kind counts", quantity(x.Factor))
	}
	line("worth", quantity(x.Value)+", "+why)
	if x.Page != "" {
		line("", "as the page that needs it: "+x.Page)
	}
	as := fmt.Sprintf("%s, %s from a seed", x.Class, progress.Counted(int64(x.Links), "link"))
	if !x.Known {
		as = "the crawl does not know it: it is taken for a page next to a seed"
	}
	line("as", as)
	place := fmt.Sprintf("%#x", uint8(x.Band))
	if x.Now != 0 && x.Now != x.Band {
		place += fmt.Sprintf(", and still queued in %#x", uint8(x.Now))
	}
	line("band", place)
	if x.State != "" {
		line("is", strings.ReplaceAll(x.State, "_", " "))
	}
	return b.String()
}
