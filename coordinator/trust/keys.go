package trust

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"time"

	"salvor"
	"salvor/api"
)

// Key is an API key as the registry has it.
type Key struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"` // whose it is, or what for
	Roles   []api.Role `json:"roles"`
	Hash    string     `json:"hash,omitempty"`
	By      string     `json:"by,omitempty"` // who made it
	Created int64      `json:"created"`      // Unix ms
	Revoked int64      `json:"revoked,omitempty"`
	// Used is when this node last saw it, Unix ms; 0 not since it started. It
	// is not in the registry.
	Used int64 `json:"used,omitempty"`
}

// Has reports whether the key has a role.
func (k Key) Has(r api.Role) bool { return slices.Contains(k.Roles, r) }

// Create makes a key. Only its hash is kept: the credential is shown once.
func (k *Keyring) Create(ctx context.Context, name string, roles []api.Role, by string) (Credential, Key, error) {
	c := newCredential(APIKey, k.ca)
	key, err := newKeyRow(c, name, roles, by, k.o.Now())
	if err != nil {
		return Credential{}, Key{}, err
	}
	if err := put(ctx, k.reg, api.TableKeys, row[Key]{key: c.ID, value: key}); err != nil {
		return Credential{}, Key{}, err
	}
	key.Hash = ""
	return c, key, nil
}

var keyNameForm = regexp.MustCompile(`^[\pL\pN][\pL\pN ._@+-]{0,99}$`)

// newKeyRow is the row of a key.
func newKeyRow(c Credential, name string, roles []api.Role, by string, now time.Time) (Key, error) {
	if !keyNameForm.MatchString(name) {
		return Key{}, salvor.Errorf(salvor.Invalid, "%q is no name for a key", name).
			WithHint("say whose it is, in up to 100 letters, digits, spaces and . _ @ + -")
	}
	roles, err := checkRoles(roles, personRoles)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: c.ID, Name: name, Roles: roles, Hash: c.Secret.hash(), By: by, Created: now.UnixMilli()}, nil
}

// List is all keys, the revoked ones included, without their hashes.
func (k *Keyring) List(ctx context.Context) ([]Key, error) {
	all, err := rows[Key](ctx, k.reg, api.TableKeys)
	if err != nil {
		return nil, err
	}
	out := make([]Key, len(all))
	for i, r := range all {
		out[i] = r.value
		out[i].Hash, out[i].Used = "", k.lastUse(r.key)
	}
	slices.SortStableFunc(out, func(a, b Key) int { return cmp.Compare(a.Created, b.Created) })
	return out, nil
}

// Revoke ends a key: at once on this node, within MaxStale on the others. The
// last admin key cannot be revoked, since nobody could make another.
func (k *Keyring) Revoke(ctx context.Context, id string) error {
	_, err := change(ctx, k.reg, api.TableKeys, id, func(r *row[Key]) (bool, error) {
		if r.version == 0 {
			return false, salvor.Errorf(salvor.NotFound, "there is no key %q", id).WithHint("`salvor key list` lists them")
		}
		if r.value.Revoked != 0 {
			return false, nil
		}
		if err := k.notLast(ctx, r.value); err != nil {
			return false, err
		}
		r.value.Revoked = k.o.Now().UnixMilli()
		return true, nil
	})
	if err != nil {
		return err
	}
	k.expire()
	return nil
}

// notLast refuses to lose the last admin. Two admins who revoke each other at
// the same moment can still do it; a coordinator's directory remains.
func (k *Keyring) notLast(ctx context.Context, key Key) error {
	if !key.Has(api.RoleAdmin) {
		return nil
	}
	all, err := rows[Key](ctx, k.reg, api.TableKeys)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.key != key.ID && r.value.Revoked == 0 && r.value.Has(api.RoleAdmin) {
			return nil
		}
	}
	return salvor.Errorf(salvor.Conflict, "key %s (%s) is the last one with the role admin", key.ID, key.Name).
		WithHint("create another first: salvor key create --role admin")
}
