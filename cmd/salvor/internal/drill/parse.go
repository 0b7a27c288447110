package drill

import (
	"bufio"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/drill/platform"
)

// Parse reads a scenario file (docs/drill.md): a setting a line, its name and what
// it is, a # begins a comment. name is the scenario's, and begins its errors,
// which are of class Invalid and name the line.
func Parse(name string, r io.Reader) (Scenario, error) {
	p := &parser{s: Scenario{Name: name}}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.line++
		text, _, _ := strings.Cut(lines.Text(), "#")
		f := strings.Fields(text)
		if len(f) == 0 {
			continue
		}
		if err := p.setting(f[0], f[1:]); err != nil {
			return Scenario{}, p.at(err)
		}
	}
	if err := lines.Err(); err != nil {
		return Scenario{}, salvor.Errorf(salvor.Invalid, "%s:%d: %w", name, p.line+1, err)
	}
	if err := p.finish(); err != nil {
		return Scenario{}, p.at(err)
	}
	if err := p.s.Check(); err != nil {
		return Scenario{}, salvor.Errorf(salvor.Invalid, "%s: %w", name, err).WithHint("%s", salvor.HintOf(err))
	}
	return p.s, nil
}

// parser is a file that is being read.
type parser struct {
	s     Scenario
	line  int
	site  *block // that the lines belong to; nil before the first
	names map[string]bool
}

func (p *parser) at(err error) error {
	return salvor.Errorf(salvor.Invalid, "%s:%d: %w", p.s.Name, p.line, err).WithHint("%s", salvor.HintOf(err))
}

// most bounds what a file can ask for: as many sites as there are addresses.
const mostSites = 250

func (p *parser) setting(key string, args []string) error {
	if key == "site" {
		if err := p.finish(); err != nil {
			return err
		}
		return p.begin(args)
	}
	if p.site != nil {
		return p.site.setting(key, args)
	}
	a := arguments{key: key, args: args}
	switch key {
	case "about":
		p.s.About = strings.Join(args, " ")
		return nil
	case "seed":
		p.s.Seed = uint64(a.number(0, 1<<53))
	case "length":
		p.s.Length = a.time()
	case "capacity":
		p.s.Capacity = a.number(0, 1e6)
	case "worker-lost":
		p.s.Lost = append(p.s.Lost, a.time())
	default:
		return salvor.Errorf(salvor.Invalid, "%q is no setting of a scenario", key).
			WithHint("before the first site there are: about, seed, length, capacity, worker-lost")
	}
	return a.end()
}

// begin is a line such as "site forum" or "site blog x 20".
func (p *parser) begin(args []string) error {
	b := &block{n: 1, seed: p.s.Seed, line: p.line}
	a := arguments{key: "site", args: args}
	if b.name = a.word("a name"); len(args) > 1 {
		a.literal("x")
		b.n = a.whole(1, mostSites)
		b.many = true
	}
	if err := a.end(); err != nil {
		return err
	}
	if p.names == nil {
		p.names = map[string]bool{}
	}
	if p.names[b.name] {
		return salvor.Errorf(salvor.Invalid, "there is a site %s already", b.name).WithHint("give it another name")
	}
	p.names[b.name] = true
	if len(p.s.Sites)+b.n > mostSites {
		return salvor.Errorf(salvor.Invalid, "these are more than %d sites", mostSites).WithHint("for more, play a smaller one with --simulate --sites N")
	}
	p.site = b
	return nil
}

// finish adds the sites of the block that was read last.
func (p *parser) finish() error {
	if p.site == nil {
		return nil
	}
	sites, err := p.site.sites()
	if err != nil {
		p.line = p.site.line
	}
	p.s.Sites = append(p.s.Sites, sites...)
	p.site = nil
	return err
}

// block is one site, or several that are alike: what is a range differs among
// them.
type block struct {
	name  string
	n     int
	many  bool
	line  int
	seed  uint64
	like  Site
	times []heard
	pages span
	rate  span
	value span
	dies  span
}

// heard is a notice; dies stands for the moment of the site's death.
type heard struct {
	at, deadline time.Duration
	dies         bool
}

// setting is a line of a site.
func (b *block) setting(key string, args []string) error {
	a, x, m := arguments{key: key, args: args}, &b.like, &b.like.Manner
	switch key {
	case "pages":
		b.pages = a.span(1, 1e7)
	case "value":
		b.value = a.span(0, 1e9)
	case "tier":
		x.Tiers = append(x.Tiers, platform.Tier{Share: a.share(), Value: a.number(0, 1e9)})
	case "rate":
		b.rate = a.span(0, 1e6)
	case "group":
		x.Group = a.word("a name")
	case "media":
		x.Media = a.share()
	case "api":
		x.API = a.share()
	case "sitemap":
		x.Listed = true
	case "heard":
		b.times = append(b.times, a.heard())
	case "dies":
		b.dies = a.moments()
	case "suspended":
		m.End = platform.Suspended
	case "risk":
		x.Risk = a.share()
	case "taken-for":
		x.Guess = a.number(0, 1e6)
	case "bears":
		m.Changes = append(m.Changes, platform.Change{Rate: a.number(0, 1e6), At: a.from()})
	case "storm":
		m.Storms = append(m.Storms, platform.Storm{Share: a.share(), From: a.from(), To: a.until()})
	case "slow":
		m.Tail = platform.Tail{Share: a.share(), Latency: a.time()}
	case "ban":
		m.Ban = platform.Ban{After: a.whole(0, 1e6), For: a.time()}
	default:
		return salvor.Errorf(salvor.Invalid, "%q is no setting of a site", key).
			WithHint("a site has: pages, value, tier, rate, group, media, api, sitemap, heard, dies, suspended, risk, taken-for, bears, storm, slow, ban")
	}
	return a.end()
}

// sites are what the block stands for.
func (b *block) sites() ([]Site, error) {
	switch {
	case b.pages.to == 0:
		return nil, salvor.Errorf(salvor.Invalid, "site %s has no pages", b.name).WithHint("say how many: pages 500")
	case len(b.times) == 0:
		return nil, salvor.Errorf(salvor.Invalid, "nobody ever hears of site %s", b.name).WithHint("say when they do and which deadline they hear of: heard 0s 60s, or heard 0s without one")
	}
	pages, rate, value, dies := b.spread("pages", b.pages), b.spread("rate", b.rate), b.spread("value", b.value), b.spread("dies", b.dies)
	out := make([]Site, b.n)
	for i := range out {
		x := b.like
		if x.Name = b.name; b.many {
			x.Name = numbered(b.name, i+1, b.n)
		}
		x.Pages, x.Manner.Rate, x.Manner.Death = int(pages[i]+.5), rate[i], time.Duration(dies[i])
		x.Tiers = slices.Clone(x.Tiers)
		if len(x.Tiers) == 0 {
			x.Tiers = tiers(1)
		}
		for k := range x.Tiers {
			if b.value.to > 0 {
				x.Tiers[k].Value *= value[i]
			}
		}
		for _, h := range b.times {
			n := Notice{h.at, h.deadline}
			if h.dies {
				n.Deadline = x.Manner.Death
			}
			x.Notices = append(x.Notices, n)
		}
		x.Manner.Changes, x.Manner.Storms = slices.Clone(x.Manner.Changes), slices.Clone(x.Manner.Storms)
		out[i] = x
	}
	return out, nil
}

// spread are the values of a setting, evenly over its range and in an order of
// its own.
func (b *block) spread(key string, s span) []float64 {
	out, r := make([]float64, b.n), rand.New(rand.NewPCG(b.seed, sum(b.name+" "+key)))
	for i, k := range r.Perm(b.n) {
		out[i] = s.part((float64(k) + .5) / float64(b.n))
	}
	return out
}
