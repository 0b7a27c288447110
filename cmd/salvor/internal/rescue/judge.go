package rescue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler/scope"
)

// givenRules are what the operator asked for with flags and seeds.
func (r *rescue) givenRules() scope.Rules {
	rules := outfit.Rules(&r.job.Settings, urlsOf(r.job.Seeds))
	rules.Value.Seeds = job.SeedValues(r.job.Seeds)
	return rules
}

// scopeRules are the rules in force: those, every target of a seed's redirect,
// and the live excludes.
func (r *rescue) scopeRules() scope.Rules {
	rules := r.givenRules()
	rules.Live = r.memory.Excludes
	for _, m := range r.moves.list {
		rules.Seeds = append(rules.Seeds, m.To)
	}
	return rules
}

// compile makes the scope of now, and the area its seeds span.
func (r *rescue) compile() error {
	begin := time.Now()
	rules := r.scopeRules()
	s, err := scope.Compile(rules)
	if err != nil {
		return err
	}
	area, err := outfit.Area(rules)
	if err != nil {
		return err
	}
	r.scope, r.area, r.unscoped = s, area, 0
	r.compiled, r.compileTook = time.Now(), time.Since(begin)
	return nil
}

// scopePrint tells whether two runs were asked to judge alike. Permitted
// addresses count: what was refused for its address is judged anew when more
// are permitted.
func (r *rescue) scopePrint() string {
	rules := r.givenRules()
	rules.Value = scope.ValueRules{} // they let nothing in and keep nothing out
	return printOf([]any{rules, r.job.Settings.AllowNet, r.job.Settings.Robots})
}

// valuePrint tells whether two runs were asked to value alike; "" by no rules.
func (r *rescue) valuePrint() string {
	v := r.givenRules().Value
	if v.None() {
		return ""
	}
	return printOf(v)
}

func printOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "" // plain strings and numbers always marshal
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// rules are the scope of now, and its crawl.
func (r *rescue) rules() (*scope.Scope, api.Crawl) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.scope, r.crawl
}

// exclude puts the live rules of DIR/control in force: for what is found from
// now on, and for what is queued already.
func (r *rescue) exclude(ctx context.Context, rules []control.Rule) error {
	if slices.Equal(textsOf(rules), r.memory.Excludes) {
		return nil
	}
	if err := r.newScope(ctx, textsOf(rules)); err != nil {
		return err
	}
	r.askChores()
	return nil
}

func textsOf(rules []control.Rule) []string {
	texts := make([]string, 0, len(rules))
	for _, x := range rules {
		texts = append(texts, x.Text)
	}
	return texts
}

// setExcludes puts live rules in the place of those before, and remembers what
// that leaves to be done.
func (m *memory) setExcludes(live []string) {
	m.Narrowed = m.Narrowed || len(without(live, m.Excludes)) > 0
	m.Loosened = m.Loosened || len(without(m.Excludes, live)) > 0
	m.Excludes = live
}

// without is what is in a and not in b.
func without(a, b []string) (out []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// newScope raises the scope's version; the frontier refuses offers that were
// judged by an older one.
func (r *rescue) newScope(ctx context.Context, live []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, s := r.memory, r.scope
	r.memory.setExcludes(live)
	if err := r.compile(); err != nil {
		r.memory = was
		return err
	}
	next := r.crawl
	next.Scope++
	if err := r.node.SetCrawl(ctx, next); err != nil {
		r.memory, r.scope = was, s
		return err
	}
	r.crawl = next
	r.worker.SetScope(r.scope, next.Scope)
	return r.memory.save(r.job.Dir)
}

// sweepPiece is how many items one command settles (docs/protocol.md 8).
const sweepPiece = 1000

// sweep settles what is queued and falls out of the scope of now.
func (r *rescue) sweep(ctx context.Context) error {
	_, crawl := r.rules()
	found := map[string][]api.HostKey{}
	var swept, held int64
	flush := func(rule string) error {
		n, err := r.node.Exclude(ctx, crawl.ID, rule, found[rule])
		swept += n
		delete(found, rule)
		return err
	}
	err := r.node.Walk(ctx, crawl.ID, []salvor.Outcome{salvor.Open}, func(k api.Known) error {
		if k.Class == salvor.ClassRobots {
			return nil
		}
		s, _ := r.rules() // a seed's redirect may widen it meanwhile
		d := s.Recheck(k.Item)
		if d.In {
			return nil
		}
		if k.State == api.StateLeased { // the worker judges what it holds itself, or gives it back
			held++
			return nil
		}
		found[d.Rule] = append(found[d.Rule], api.HostKey{Host: k.Host, Key: k.Key})
		if len(found[d.Rule]) < sweepPiece {
			return nil
		}
		return flush(d.Rule)
	})
	for rule := range found {
		if err == nil {
			err = flush(rule)
		}
	}
	if swept > 0 {
		r.notice(progress.Note, "excluded", "", progress.Counted(swept, "queued URL")+" excluded now")
	}
	if err != nil {
		return err
	}
	return r.swept(crawl.Scope, func(m *memory) { m.Narrowed = held > 0 })
}

// swept forgets that a chore is due, unless the rules changed meanwhile.
func (r *rescue) swept(version uint32, forget func(*memory)) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.crawl.Scope != version {
		return nil
	}
	forget(&r.memory)
	return r.memory.save(r.job.Dir)
}

// ruled reports whether the scope has a say in what was excluded for a reason.
// What robots.txt forbade stays out as long as it is obeyed. An address that was
// refused may be permitted by the settings that are new.
func (r *rescue) ruled(reason string, settings bool) bool {
	switch {
	case strings.HasPrefix(reason, "robots"):
		return settings && r.job.Settings.Robots == "ignore"
	case reason == "refused-address":
		return settings
	}
	return true
}

// readmit queues again what was kept out by a rule that holds no more.
func (r *rescue) readmit(ctx context.Context) error {
	r.mu.Lock()
	crawl, widened := r.crawl, r.memory.Widened
	r.mu.Unlock()
	var offers []api.Offer
	var queued int64
	flush := func() error {
		n, err := r.discover(ctx, offers)
		queued += n
		offers = offers[:0]
		return err
	}
	err := r.node.Walk(ctx, crawl.ID, []salvor.Outcome{salvor.Excluded}, func(k api.Known) error {
		s, _ := r.rules()
		if !r.ruled(k.Reason, widened) || !s.Recheck(k.Item).In {
			return nil
		}
		if offers = append(offers, api.Offer{Item: k.Item}); len(offers) < seedPiece {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if queued > 0 {
		r.notice(progress.Note, "readmitted", "", progress.Counted(queued, "excluded URL")+" queued again")
	}
	if err != nil {
		return err
	}
	return r.swept(crawl.Scope, func(m *memory) { m.Loosened = false })
}
