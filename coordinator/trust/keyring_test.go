package trust

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

var researcher, admin = []api.Role{api.RoleResearcher}, []api.Role{api.RoleAdmin}

func testRing(reg api.Registry) *Keyring { return NewKeyring(reg, Fingerprint{5}, Options{}) }

func TestKeyLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, k := t.Context(), testRing(newRegistry())
		c, row, err := k.Create(ctx, "Ada Lovelace", researcher, "key 1 (root)")
		must(t, err)
		got, err := k.Verify(ctx, c.Text())
		must(t, err)
		if got.ID != row.ID || got.Name != "Ada Lovelace" || !slices.Equal(got.Roles, researcher) || got.Hash != "" || row.Hash != "" {
			t.Errorf("%+v", got)
		}
		list, err := k.List(ctx)
		must(t, err)
		if len(list) != 1 || list[0].Hash != "" || list[0].Used != time.Now().UnixMilli() || list[0].By != "key 1 (root)" {
			t.Errorf("%+v", list)
		}
		must(t, k.Revoke(ctx, c.ID))
		must(t, k.Revoke(ctx, c.ID))
		_, err = k.Verify(ctx, c.Text()) // at once on the node that was told
		wantError(t, err, salvor.Forbidden, "was revoked")
		wantError(t, k.Revoke(ctx, "ffff"), salvor.NotFound, "no key")
	})
}

func TestKeyRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry()
		k := testRing(reg)
		c, _, err := k.Create(t.Context(), "a", researcher, "")
		must(t, err)
		wrong := c
		wrong.Secret = newSecret()
		for words, text := range map[string]Secret{
			"checksum":           NewSecret(strings.TrimSuffix(c.Text().Reveal(), "0") + "x"),
			"does not know":      wrong.Text(),
			"not know this":      newCredential(APIKey, Fingerprint{5}).Text(),
			"of another cluster": newCredential(APIKey, Fingerprint{6}).Text(),
			"is of the kind":     newCredential(JoinToken, Fingerprint{5}).Text(),
			"empty":              {},
		} {
			_, err := k.Verify(t.Context(), text)
			wantError(t, err, salvor.Forbidden, words)
		}
		for name, roles := range map[string][]api.Role{"": researcher, "x": nil, "y": worker, "a\nb": admin, strings.Repeat("l", 101): admin} {
			if _, _, err := k.Create(t.Context(), name, roles, ""); salvor.ClassOf(err) != salvor.Invalid {
				t.Errorf("%q %v: %v", name, roles, err)
			}
		}
		// A row without a hash lets nobody in.
		bad := newCredential(APIKey, Fingerprint{5})
		bad.Secret = Secret{}
		must(t, put(t.Context(), reg, api.TableKeys, row[Key]{key: bad.ID, value: Key{ID: bad.ID, Roles: admin}}))
		if _, err := k.Verify(t.Context(), bad.Text()); salvor.ClassOf(err) != salvor.Forbidden {
			t.Errorf("let in: %v", err)
		}
	})
}

// A key that is revoked on another node is refused within 5 s, under load all
// the while, and checking it costs a read of the registry every 2 s at most.
func TestRevokedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, reg := t.Context(), newRegistry()
		here, there := testRing(reg), testRing(reg)
		c, _, err := there.Create(ctx, "a", researcher, "")
		must(t, err)
		_, err = here.Verify(ctx, c.Text())
		must(t, err)
		reads := reg.count()
		for range 500 { // 50 s, ten a tick
			for range 10 {
				_, err := here.Verify(ctx, c.Text())
				must(t, err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := reg.count() - reads; n > 26 || n < 20 {
			t.Errorf("%d reads of the registry in 50 s", n)
		}
		must(t, there.Revoke(ctx, c.ID))
		revoked := time.Now()
		for {
			_, err := here.Verify(ctx, c.Text())
			if err != nil {
				wantError(t, err, salvor.Forbidden, "was revoked")
				break
			}
			if time.Since(revoked) > 5*time.Second {
				t.Fatal("still accepted after 5 s")
			}
			time.Sleep(50 * time.Millisecond)
		}
		// The same with no request in between.
		c, _, err = there.Create(ctx, "b", researcher, "")
		must(t, err)
		_, err = here.Verify(ctx, c.Text())
		must(t, err)
		must(t, there.Revoke(ctx, c.ID))
		time.Sleep(5 * time.Second)
		_, err = here.Verify(ctx, c.Text())
		wantError(t, err, salvor.Forbidden, "was revoked")
	})
}

// Without a leader known keys work on for MaxStale, and no longer: nobody could
// tell whether they were revoked.
func TestKeysWithoutLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, reg := t.Context(), newRegistry()
		k := testRing(reg)
		c, _, err := k.Create(ctx, "a", researcher, "")
		must(t, err)
		_, err = k.Verify(ctx, c.Text())
		must(t, err)
		reg.set(func(g *registry) { g.down = true })
		for range 40 {
			_, err := k.Verify(ctx, c.Text())
			must(t, err)
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
		_, err = k.Verify(ctx, c.Text())
		wantError(t, err, salvor.Unavailable, "cannot be checked")
		reg.set(func(g *registry) { g.down = false })
		_, err = k.Verify(ctx, c.Text())
		must(t, err)
	})
}

// slow is a registry whose reads take a while.
type slow struct {
	*registry
	took time.Duration
}

func (s slow) Records(ctx context.Context, table string) ([]api.Record, error) {
	out, err := s.registry.Records(ctx, table)
	if werr := pause(ctx, s.took); werr != nil {
		return nil, werr
	}
	return out, err
}

// A leader that answers too late is no leader: keys are not taken for good on
// rows that grew old while it was waited for.
func TestKeysOfSlowLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := newRegistry()
		k := testRing(slow{reg, 0})
		c, _, err := k.Create(t.Context(), "a", researcher, "")
		must(t, err)
		_, err = k.Verify(t.Context(), c.Text())
		must(t, err)
		k.reg = slow{reg, time.Minute}
		time.Sleep(3 * time.Second)
		_, err = k.Verify(t.Context(), c.Text())
		wantError(t, err, salvor.Unavailable, "cannot be checked")
	})
}

// While one request reads the rows the others go on, and a key revoked on this
// node meanwhile stays revoked, although the read began before.
func TestRevokedDuringRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, reg := t.Context(), newRegistry()
		k := testRing(slow{reg, time.Second})
		c, _, err := k.Create(ctx, "a", researcher, "")
		must(t, err)
		_, err = k.Verify(ctx, c.Text())
		must(t, err)
		time.Sleep(rereadAfter)
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := k.Verify(ctx, c.Text()); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(10 * time.Millisecond)
		begun := time.Now()
		_, err = k.Verify(ctx, c.Text())
		if must(t, err); time.Since(begun) > 0 {
			t.Errorf("waited %v for another's read", time.Since(begun))
		}
		must(t, (&Keyring{reg: reg, o: Options{}.withDefaults()}).Revoke(ctx, c.ID))
		k.expire() // what Revoke ends with
		all.Wait()
		_, err = k.Verify(ctx, c.Text())
		wantError(t, err, salvor.Forbidden, "was revoked")
	})
}

// Invented keys make five reads a second at most, however many ask; a key that
// was just made elsewhere is known at its first use.
func TestInventedKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, reg := t.Context(), newRegistry()
		k := testRing(reg)
		begun := time.Now()
		for range 10 {
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if _, err := k.Verify(ctx, newCredential(APIKey, Fingerprint{5}).Text()); salvor.ClassOf(err) != salvor.Forbidden {
						t.Error(err)
					}
				})
			}
			all.Wait()
			c, _, err := testRing(reg).Create(ctx, "new", researcher, "")
			must(t, err)
			_, err = k.Verify(ctx, c.Text())
			must(t, err)
		}
		if n, most := reg.count(), 2+int(time.Since(begun)/missEvery); n > most {
			t.Errorf("%d reads in %v, want at most %d", n, time.Since(begun), most)
		}
	})
}

func TestLastAdminStays(t *testing.T) {
	k := testRing(newRegistry())
	first, _, err := k.Create(t.Context(), "a", admin, "")
	must(t, err)
	_, _, err = k.Create(t.Context(), "b", researcher, "")
	must(t, err)
	wantError(t, k.Revoke(t.Context(), first.ID), salvor.Conflict, "the last one with the role admin")
	second, _, err := k.Create(t.Context(), "c", admin, "")
	must(t, err)
	must(t, k.Revoke(t.Context(), first.ID))
	wantError(t, k.Revoke(t.Context(), second.ID), salvor.Conflict, "the last one")
}
