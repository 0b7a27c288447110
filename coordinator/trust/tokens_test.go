package trust

import (
	"slices"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

func TestTokenSpec(t *testing.T) {
	both := []api.Role{api.RoleWorker, api.RoleCoordinator}
	for _, x := range []struct {
		spec TokenSpec
		uses int
		ttl  time.Duration
		ok   bool
	}{
		{TokenSpec{Roles: worker}, 0, DefaultTTL, true},
		{TokenSpec{Roles: worker, Uses: 3, TTL: time.Minute}, 3, time.Minute, true},
		{TokenSpec{Roles: coordinator}, 1, DefaultTTL, true},
		{TokenSpec{Roles: both}, 1, DefaultTTL, true},
		{TokenSpec{Roles: coordinator, Uses: Unlimited}, 0, DefaultTTL, true},
		{TokenSpec{Roles: worker, TTL: maxTTL}, 0, maxTTL, true},
		{TokenSpec{Roles: worker, TTL: maxTTL + 1}, 0, 0, false},
		{TokenSpec{Roles: both, TTL: maxCoordinatorTTL + 1}, 0, 0, false},
		{TokenSpec{Roles: worker, TTL: -1}, 0, 0, false},
		{TokenSpec{Roles: worker, Uses: -2}, 0, 0, false},
		{TokenSpec{Roles: worker, Uses: maxUses + 1}, 0, 0, false},
		{TokenSpec{}, 0, 0, false},
		{TokenSpec{Roles: admin}, 0, 0, false},
	} {
		got, err := x.spec.withDefaults()
		if x.ok != (err == nil) || (x.ok && (got.Uses != x.uses || got.TTL != x.ttl)) {
			t.Errorf("%+v: %+v, %v", x.spec, got, err)
		}
		if err != nil {
			wantError(t, err, salvor.Invalid, "")
		}
	}
}

func TestTokenRows(t *testing.T) {
	c, reg := newClock(), newRegistry()
	tokens := NewTokens(reg, Fingerprint{}, Options{Now: c.Now})
	old, row, err := tokens.Mint(t.Context(), TokenSpec{Roles: worker, By: "key 1 (root)"})
	must(t, err)
	if row.Hash != "" || row.By != "key 1 (root)" || row.Expires != c.Now().Add(time.Hour).UnixMilli() {
		t.Errorf("%+v", row)
	}
	c.step(tokenKept)
	_, _, err = tokens.Mint(t.Context(), TokenSpec{Roles: worker})
	must(t, err)
	if list, _ := tokens.List(t.Context()); len(list) != 2 {
		t.Errorf("an ended token is gone at once: %+v", list)
	}
	c.step(2 * time.Hour)
	next, _, err := tokens.Mint(t.Context(), TokenSpec{Roles: worker})
	must(t, err)
	list, err := tokens.List(t.Context())
	must(t, err)
	if len(list) != 2 || slices.ContainsFunc(list, func(k Token) bool { return k.ID == old.ID }) {
		t.Errorf("old rows are kept: %+v", list)
	}
	wantError(t, tokens.Revoke(t.Context(), old.ID), salvor.NotFound, old.ID)
	// A key is no token, though it has the same secret.
	next.Kind = APIKey
	_, err = tokens.Redeem(t.Context(), next, "n", nil)
	wantError(t, err, salvor.Forbidden, "does not know")
}

// A row stays small, however many machines join with one token.
func TestTokenRowIsBounded(t *testing.T) {
	tok := Token{Expires: time.Now().Add(time.Hour).UnixMilli()}
	for range 3 * maxUses {
		if _, err := tok.use(draw(idLength), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if len(tok.Nodes) != maxUses || tok.Used != 3*maxUses {
		t.Errorf("%d nodes, %d uses", len(tok.Nodes), tok.Used)
	}
	if size := maxUses * (idLength + 3); size > api.MaxRecord/2 {
		t.Errorf("a row of %d bytes", size)
	}
}

func TestPseudonyms(t *testing.T) {
	reg, seen := newRegistry(), map[string]bool{}
	for range 50 {
		id := draw(idLength)
		name, err := reserveName(t.Context(), reg, id)
		must(t, err)
		again, err := reserveName(t.Context(), reg, id)
		must(t, err)
		if seen[name] || again != name || !nameForm.MatchString(name) {
			t.Fatalf("%q, again %q", name, again)
		}
		seen[name] = true
	}
	// One whose first two names are another's gets the third.
	id := draw(idLength)
	for n := range 2 {
		must(t, put(t.Context(), reg, tableNames, row[string]{key: pseudonym(id, n), value: "another"}))
	}
	if name, err := reserveName(t.Context(), reg, id); err != nil || name != pseudonym(id, 2) {
		t.Errorf("%q, %v", name, err)
	}
}
