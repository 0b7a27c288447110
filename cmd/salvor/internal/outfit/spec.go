package outfit

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/scope"
)

// SpecVersion is the newest form of a Spec that this program knows. Form 2 has
// value rules: a node that does not know them would fetch in another order.
const SpecVersion = 2

const (
	// MaxSpec is how long a Spec may be, in bytes of JSON: it travels through the
	// replicated log whenever its crawl changes.
	MaxSpec = 64 << 10
	// wholeSeeds is how long a list of seeds may be to be kept as it is.
	wholeSeeds = 16 << 10
)

// Spec is all that a worker must know of a cluster's crawl: the content of
// api.Crawl.Settings, as JSON. Whoever changes it raises api.Crawl.Scope when
// the rules changed, and puts it in the place of the version it read.
type Spec struct {
	Version  int          `json:"version"`
	Settings job.Settings `json:"settings"`
	Seeds    []string     `json:"seeds"`              // as named; where those are many, Roots
	Named    int          `json:"named"`              // how many seeds people named
	Moves    []Move       `json:"moves,omitempty"`    // of seeds, where the scope grew by them
	Excludes []string     `json:"excludes,omitempty"` // given while the crawl runs
	// Addresses are where hosts were whose names are gone.
	Addresses []Address `json:"addresses,omitempty"`
	// Rescanned is the version of the scope by which the links of all stored
	// pages were judged last; 0 that was never needed.
	Rescanned uint32 `json:"rescanned,omitempty"`
	// Values are value rules given while the crawl runs, in the place of those of
	// the settings; nil: those of the settings hold.
	Values     *Values           `json:"values,omitempty"`
	SeedValues []scope.SeedValue `json:"seed_values,omitempty"` // of seeds that have one
	// Valued is the version of the scope that brought the value rules in force, 0
	// if the crawl began with them; Ranked is the version by which all that was
	// queued before was put into its place.
	Valued uint32 `json:"valued,omitempty"`
	Ranked uint32 `json:"ranked,omitempty"`
}

// Values are value rules, and the recipe that the last of them come from.
type Values struct {
	Rules  []scope.ValueRule `json:"rules"`
	Recipe string            `json:"recipe,omitempty"`
}

// Move is a seed's redirect to where the other seeds do not reach.
type Move struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Scope uint32 `json:"scope"` // the version of the crawl's scope that took it in
	// Widens says that pages were judged before: links that were left outside
	// then may belong now.
	Widens bool `json:"widens,omitempty"`
}

// Unjudged reports whether the scope grew since the links of stored pages were
// judged last, so that some were left outside that belong now.
func (x *Spec) Unjudged() bool {
	return slices.ContainsFunc(x.Moves, func(m Move) bool { return m.Widens && m.Scope > x.Rescanned })
}

// Unranked reports whether value rules changed since what is queued was put into
// its place last.
func (x *Spec) Unranked() bool { return x.Valued > x.Ranked }

// ValuesInForce are the value rules without those of seeds.
func (x *Spec) ValuesInForce() Values {
	if x.Values != nil {
		return *x.Values
	}
	return Values{Rules: x.Settings.ValueRules, Recipe: x.Settings.ValueRecipe}
}

// ValueRules are all value rules in force.
func (x *Spec) ValueRules() scope.ValueRules {
	return scope.ValueRules{Rules: x.ValuesInForce().Rules, Seeds: x.SeedValues}
}

// form is the oldest form that says all that the Spec does.
func (x *Spec) form() int {
	if r := x.ValueRules(); x.Values != nil || !r.None() {
		return max(x.Version, 2)
	}
	return max(x.Version, 1)
}

// OnlyMoves refuses a change of a crawl that is more than a seed's redirect makes
// of it: another move at the end of the list, and the next scope and version.
func OnlyMoves(now, next api.Crawl) error {
	more := salvor.Errorf(salvor.Forbidden, "a worker changes nothing of crawl %s but where its seeds moved", now.Name)
	a, err := SpecOf(now)
	if err != nil {
		return err
	}
	b, err := SpecOf(next)
	if err != nil {
		return err
	}
	if len(b.Moves) != len(a.Moves)+1 || next.Version == 0 {
		return more
	}
	b.Moves = b.Moves[:len(a.Moves)]
	next.Settings, err = b.Encode()
	if err != nil {
		return err
	}
	if now.Settings, err = a.Encode(); err != nil {
		return err
	}
	next.Version, next.Scope = now.Version, now.Scope
	if !reflect.DeepEqual(now, next) {
		return more
	}
	return nil
}

// NewSpec makes the Spec of a new crawl. Seeds are canonical URLs. Of a long
// list only what the scope needs is kept: the queue has them all.
func NewSpec(s job.Settings, seeds []string) (Spec, error) {
	x := Spec{Version: 1, Settings: s, Seeds: slices.Clone(seeds), Named: len(seeds)}
	if size(seeds) > wholeSeeds {
		roots, err := scope.Roots(s.Scope, seeds)
		if err != nil {
			return x, err
		}
		x.Seeds = roots
	}
	_, err := x.Encode()
	return x, err
}

func size(texts []string) (n int) {
	for _, s := range texts {
		n += len(s) + 3
	}
	return n
}

// Encode is the JSON of a Spec. One of more than MaxSpec is Invalid.
func (x Spec) Encode() ([]byte, error) {
	x.Version = x.form()
	b, err := json.Marshal(x)
	if err != nil {
		return nil, fmt.Errorf("write settings: %w", err)
	}
	if len(b) <= MaxSpec {
		return b, nil
	}
	seeds, rules := size(x.Seeds), size(x.Settings.Include)+size(x.Settings.Exclude)+size(x.Settings.ExcludeFrom)+size(x.Excludes)
	values := x.valueSize()
	e := salvor.Errorf(salvor.Invalid, "the settings of a cluster's crawl may have %d KB, these have %d: %d KB for %d places of scope %q, %d KB for patterns",
		MaxSpec>>10, len(b)>>10, seeds>>10, len(x.Seeds), x.Settings.Scope, rules>>10)
	if values > max(rules, seeds) {
		return nil, e.WithHint("%d KB are value rules: write fewer, with a pattern for many URLs, or give a value to seeds of fewer directories", values>>10)
	}
	if rules > seeds {
		return nil, e.WithHint("write fewer or shorter patterns: one with alternatives, such as /(login|search|tag)/, does for many")
	}
	return nil, e.WithHint("split the seeds into several crawls, or choose a wider scope: --scope domain needs one place a domain, --scope any none")
}

func (x *Spec) valueSize() (n int) {
	for _, r := range x.ValuesInForce().Rules {
		n += len(r.Text) + len(r.From) + 24
	}
	for _, s := range x.SeedValues {
		n += size(s.Seeds)
	}
	return n
}

// ParseSpec reads the Settings of a cluster's crawl. One of a newer version is
// TooNew.
func ParseSpec(b []byte) (Spec, error) {
	var x Spec
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return x, salvor.Errorf(salvor.Invalid, "read the settings of a crawl: %w", err)
	}
	if head.Version > SpecVersion {
		return x, salvor.Errorf(salvor.TooNew, "the crawl's settings are of version %d, this node knows %d", head.Version, SpecVersion).
			WithHint("upgrade this node")
	}
	if head.Version < 1 {
		return x, salvor.Errorf(salvor.Invalid, "the crawl's settings have no version: it is not a cluster's crawl")
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return x, salvor.Errorf(salvor.Invalid, "read the settings of a crawl: %w", err)
	}
	return x, nil
}

// SpecOf reads a crawl's Spec; see ParseSpec.
func SpecOf(c api.Crawl) (Spec, error) {
	x, err := ParseSpec(c.Settings)
	if err != nil {
		return x, fmt.Errorf("crawl %s: %w", c.Name, err)
	}
	return x, nil
}

// AllSeeds are the seeds and the targets of their redirects.
func (x *Spec) AllSeeds() []string {
	seeds := slices.Clone(x.Seeds)
	for _, m := range x.Moves {
		seeds = append(seeds, m.To)
	}
	return seeds
}

// Rules are the rules in force.
func (x *Spec) Rules() scope.Rules {
	r := Rules(&x.Settings, x.AllSeeds())
	r.Live, r.Value = x.Excludes, x.ValueRules()
	return r
}

// Compile makes the scope in force.
func (x *Spec) Compile() (*scope.Scope, error) { return scope.Compile(x.Rules()) }

// Apply puts the Spec into a crawl, with what the coordinator reads of it.
func (x *Spec) Apply(c *api.Crawl) (err error) {
	s := &x.Settings
	c.Ceiling, c.Start, c.Tries, c.Deadline = s.Pace(), StartPace(s), uint16(s.Tries), 0
	if !s.Deadline.IsZero() {
		c.Deadline = s.Deadline.UnixMilli()
	}
	c.Settings, err = x.Encode()
	return err
}

// CheckName says whether a crawl's name can be a part of keys and of paths:
// letters, digits and -._, at most 64, the first a letter or a digit.
func CheckName(name string) error {
	ok := len(name) > 0 && len(name) <= 64 && alnum(name[0])
	for i := range len(name) {
		ok = ok && (alnum(name[i]) || strings.IndexByte("-._", name[i]) >= 0)
	}
	if !ok {
		return salvor.Errorf(salvor.Invalid, "a crawl cannot be named %.80q", name).
			WithHint("use 1 to 64 letters, digits and -._, and begin with a letter or a digit")
	}
	return nil
}

func alnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// Prefix is where a crawl's archive lies in a cluster's Store.
func Prefix(name string) string { return "crawls/" + name }
