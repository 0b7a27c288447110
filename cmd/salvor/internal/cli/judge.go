package cli

import (
	"strings"

	"salvor"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/job"
	"salvor/crawler/canon"
	"salvor/crawler/extract"
	"salvor/crawler/scope"
)

// canonical is the form in which a seed that a person wrote is known.
func canonical(raw string) (string, error) {
	u, err := canon.ParseSeed(raw)
	if err == nil && hasCredentials(raw) {
		return "", salvor.Errorf(salvor.Invalid, "the URL of a seed at %s holds a name or a password: records and reports would show it", u.Host).
			WithHint(`leave it out, and give --header @FILE with the line "Authorization: Basic BASE64" in FILE (printf %%s NAME:PASSWORD | base64)`)
	}
	return u.Href, err
}

// hasCredentials reports whether a URL that was understood has something
// before the host.
func hasCredentials(raw string) bool {
	s := strings.ToLower(strings.TrimSpace(raw))
	for _, scheme := range []string{"http:", "https:"} {
		s = strings.TrimPrefix(s, scheme)
	}
	s = strings.TrimLeft(s, "/\\\t\r\n") // as browsers do
	if end := strings.IndexAny(s, "/\\?#"); end >= 0 {
		s = s[:end]
	}
	return strings.Contains(s, "@")
}

// hostOf is a canonical URL's host as part of a file name.
func hostOf(href string) string {
	u, err := canon.Parse(href)
	if err != nil {
		return "archive"
	}
	if addr, ok := strings.CutPrefix(u.Host, "["); ok { // a file's name does not begin with a dash
		return "ip6" + strings.TrimPrefix("-"+strings.ReplaceAll(strings.TrimSuffix(addr, "]"), ":", "-"), "-")
	}
	return u.Host
}

// judge knows a crawl's scope.
type judge struct{ scope *scope.Scope }

func newJudge(s *job.Settings, seeds []job.Seed, moved, live []string) (*judge, error) {
	rules := scope.Rules{
		Kind: s.Scope, MaxHops: s.MaxHops, ExtraHops: s.ExtraHops, Include: s.Include,
		Exclude: s.Exclude, ExcludeFrom: s.ExcludeFrom, Live: live, Sets: s.ExcludeSets, Requisites: s.PageRequisites,
		Value: scope.ValueRules{Rules: s.ValueRules},
	}
	for _, x := range seeds {
		rules.Seeds = append(rules.Seeds, x.URL)
	}
	rules.Seeds = append(rules.Seeds, moved...)
	compiled, err := scope.Compile(rules)
	if err != nil {
		return nil, salvor.Errorf(salvor.Invalid, "the scope: %w", err).WithHint("see: salvor help save")
	}
	return &judge{compiled}, nil
}

// seed judges a URL as a seed.
func (j *judge) seed(href string) (scope.Decision, error) {
	u, err := canon.Parse(href)
	if err != nil {
		return scope.Decision{}, err
	}
	return j.scope.Seed(u), nil
}

// step is a judgement on one link of a path.
type step struct {
	url  string
	hop  string
	in   bool
	rule string
}

// follow judges each URL of a path as found in the one before it; the first
// is a seed.
func (j *judge) follow(path []job.Link) ([]step, error) {
	var out []step
	var parent scope.Parent
	for i, l := range path {
		u, err := canon.Parse(l.URL)
		if err != nil {
			return nil, err
		}
		d := j.decide(parent, i, l, u)
		parent = scope.Parent{URL: u, Hop: d.Hop, Class: d.Class}
		out = append(out, step{url: u.Href, hop: l.Hop, in: d.In, rule: d.Rule})
	}
	return out, nil
}

func (j *judge) decide(parent scope.Parent, i int, l job.Link, u canon.URL) scope.Decision {
	if i == 0 {
		return j.scope.Seed(u)
	}
	kind := extract.Page
	if l.Hop != "" {
		kind = extract.KindOf(l.Hop[0])
	}
	return j.scope.Decide(parent, kind, u)
}

// seedsOut are the seeds that rules keep out, those of DIR/control too, and the
// rules.
func seedsOut(p *plan, live []control.Rule) (map[string]string, error) {
	var texts []string
	for _, x := range live {
		texts = append(texts, x.Text)
	}
	j, err := newJudge(&p.settings, p.seeds, nil, texts)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, s := range p.seeds {
		d, err := j.seed(s.URL)
		if err != nil {
			return nil, err
		}
		if !d.In {
			out[s.URL] = d.Rule
		}
	}
	return out, nil
}
