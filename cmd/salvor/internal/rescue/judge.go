package rescue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/control"
	"salvor/cmd/salvor/internal/progress"
	"salvor/crawler/scope"
)

// scopeRules are the rules in force: the settings', every seed, every target
// of a seed's redirect, and the live excludes.
func (r *rescue) scopeRules() scope.Rules {
	s := &r.job.Settings
	rules := scope.Rules{
		Kind: s.Scope, MaxHops: s.MaxHops, ExtraHops: s.ExtraHops, Include: s.Include,
		Exclude: s.Exclude, ExcludeFrom: s.ExcludeFrom, Live: r.memory.Excludes,
		Sets: s.ExcludeSets, Requisites: s.PageRequisites,
	}
	for _, seed := range r.job.Seeds {
		rules.Seeds = append(rules.Seeds, seed.URL)
	}
	for _, m := range r.memory.Moved {
		rules.Seeds = append(rules.Seeds, m.To)
	}
	return rules
}

// scopePrint tells whether two runs judge alike. Permitted addresses count:
// what was refused for its address is judged anew when more are permitted.
func (r *rescue) scopePrint() string {
	b, err := json.Marshal([]any{r.scopeRules(), r.job.Settings.AllowNet, r.job.Settings.Robots})
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
	texts := make([]string, 0, len(rules))
	for _, x := range rules {
		texts = append(texts, x.Text)
	}
	if slices.Equal(texts, r.memory.Excludes) {
		return nil
	}
	if err := r.newScope(ctx, texts); err != nil {
		return err
	}
	return r.sweep(ctx)
}

// newScope raises the scope's version; the frontier refuses offers that were
// judged by an older one.
func (r *rescue) newScope(ctx context.Context, live []string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.memory.Excludes
	r.memory.Excludes = live
	s, err := scope.Compile(r.scopeRules())
	if err != nil {
		r.memory.Excludes = was
		return err
	}
	next := r.crawl
	next.Scope++
	if err := r.node.SetCrawl(ctx, next); err != nil {
		r.memory.Excludes = was
		return err
	}
	r.crawl, r.scope, r.memory.Scope = next, s, r.scopePrint()
	r.worker.SetScope(s, next.Scope)
	return r.memory.save(r.job.Dir)
}

// sweepPiece is how many items one command settles (protocol 8).
const sweepPiece = 1000

// sweep settles what is queued and falls out of the scope of now.
func (r *rescue) sweep(ctx context.Context) error {
	found := map[string][]api.HostKey{}
	var swept int64
	flush := func(rule string) error {
		n, err := r.node.Exclude(ctx, r.crawl.ID, rule, found[rule])
		swept += n
		delete(found, rule)
		return err
	}
	err := r.node.Walk(ctx, r.crawl.ID, []salvor.Outcome{salvor.Open}, func(k api.Known) error {
		if k.Class == salvor.ClassRobots || k.State == api.StateLeased {
			return nil // the worker judges what it holds itself
		}
		s, _ := r.rules() // a seed's redirect may widen it meanwhile
		d := s.Recheck(k.Item)
		if d.In {
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
		r.notice(progress.Note, "excluded", "", fmt.Sprintf("%d queued URLs are excluded now", swept))
	}
	return err
}
