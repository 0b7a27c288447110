package trust

import (
	"context"
	"sync"
	"time"

	"salvor"
	"salvor/api"
)

const (
	// MaxStale is how old the rows may be by which a key is accepted. A key
	// that was revoked elsewhere is refused after that time at the latest.
	MaxStale = 4 * time.Second

	rereadAfter = 2 * time.Second        // rows are read again by who comes then
	missEvery   = 200 * time.Millisecond // at most one read for unknown keys
	readLimit   = 2 * time.Second        // a read of the registry may take
)

// Keyring are the cluster's API keys, rows of api.TableKeys, with a copy in
// memory, so that checking one costs no consensus read. Safe for concurrent use.
type Keyring struct {
	reg api.Registry
	ca  Fingerprint
	o   Options

	mu      sync.Mutex
	keys    map[string]Key
	used    map[string]int64
	asOf    time.Time     // the rows are at least as new; zero: none yet
	expired int           // how often they were declared old
	reading chan struct{} // closed when the read under way ends; nil: none is
	readErr error         // of the last read
}

// NewKeyring is that of a cluster whose authority has the fingerprint. reg must
// reach the leader of group 0.
func NewKeyring(reg api.Registry, ca Fingerprint, o Options) *Keyring {
	return &Keyring{reg: reg, ca: ca, o: o.withDefaults(), used: map[string]int64{}}
}

// Verify finds the key that a credential's text names. Forbidden if it is
// wrong in any way, Unavailable if the registry cannot be read for too long.
func (k *Keyring) Verify(ctx context.Context, text Secret) (Key, error) {
	return k.verify(ctx, text, true)
}

// verify looks in the registry for a key it does not know only if ask.
func (k *Keyring) verify(ctx context.Context, text Secret, ask bool) (Key, error) {
	c, err := ParseKey(text.Reveal())
	if err != nil {
		return Key{}, salvor.Errorf(salvor.Forbidden, "%w", err).WithHint("%s", salvor.HintOf(err))
	}
	if c.CA != k.ca {
		return Key{}, noKey("the API key is of another cluster")
	}
	if err := k.fresh(ctx, k.o.Now().Add(-rereadAfter), k.o.Now().Add(-MaxStale)); err != nil {
		return Key{}, err
	}
	key, ok := k.find(c.ID)
	if !ok && ask {
		if err := k.miss(ctx); err != nil {
			return Key{}, err
		}
		key, _ = k.find(c.ID)
	}
	switch {
	case !c.Secret.is(key.Hash):
		return Key{}, noKey("the cluster does not know this API key")
	case key.Revoked != 0:
		return Key{}, noKey("API key %s (%s) was revoked", key.ID, key.Name)
	}
	k.touch(c.ID)
	key.Hash = ""
	return key, nil
}

func noKey(format string, args ...any) error {
	return salvor.Errorf(salvor.Forbidden, format, args...).WithHint("ask an admin of the cluster for a new one: salvor key create")
}

func (k *Keyring) find(id string) (Key, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, ok := k.keys[id]
	return key, ok
}

func (k *Keyring) touch(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.used[id] = k.o.Now().UnixMilli()
}

func (k *Keyring) lastUse(id string) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.used[id]
}

// expire makes the next Verify read the rows.
func (k *Keyring) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asOf = time.Time{}
	k.expired++
}

// miss waits until the rows were read after now, but not so that strangers
// with invented keys make more than one read in missEvery.
func (k *Keyring) miss(ctx context.Context) error {
	now := k.o.Now()
	k.mu.Lock()
	wait := missEvery - now.Sub(k.asOf)
	k.mu.Unlock()
	if wait > 0 {
		if err := pause(ctx, min(wait, missEvery)); err != nil {
			return err
		}
	}
	now = now.Add(1) // a read that began at this very moment may have missed it
	return k.fresh(ctx, now, now)
}

// fresh sees to it that the rows are at least as new as must. Rows older than
// should are read again by whoever comes first; the others go on with them.
func (k *Keyring) fresh(ctx context.Context, should, must time.Time) error {
	begun := k.o.Now()
	for {
		k.mu.Lock()
		age := k.asOf
		wait := k.reading
		if !age.Before(should) || (wait != nil && !age.Before(must)) {
			k.mu.Unlock()
			return nil
		}
		if wait == nil {
			err := k.read(ctx) // unlocks
			if err != nil && !age.Before(must.Add(k.o.Now().Sub(begun))) {
				return nil
			}
			return err
		}
		k.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return salvor.Errorf(salvor.Interrupted, "stopped while keys were read: %w", context.Cause(ctx))
		}
		if err := k.failed(must); err != nil {
			return err
		}
	}
}

// failed is why the read that was waited for brought nothing new enough.
func (k *Keyring) failed(must time.Time) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asOf.Before(must) {
		return k.readErr
	}
	return nil
}

// read takes the rows from the registry. The caller holds mu, which it
// releases. Others may wait for it, so one caller's end does not end it.
func (k *Keyring) read(ctx context.Context) error {
	done := make(chan struct{})
	k.reading = done
	expired := k.expired
	k.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readLimit)
	defer cancel()
	start := k.o.Now()
	all, err := rows[Key](ctx, k.reg, api.TableKeys)
	k.mu.Lock()
	defer k.mu.Unlock()
	defer close(done)
	k.reading = nil
	if k.readErr = unread(err); err != nil {
		return k.readErr
	}
	if k.keys = make(map[string]Key, len(all)); expired == k.expired {
		k.asOf = start
	}
	for _, r := range all {
		k.keys[r.key] = r.value
	}
	for id := range k.used {
		if _, ok := k.keys[id]; !ok {
			delete(k.used, id)
		}
	}
	return nil
}

func unread(err error) error {
	if err == nil {
		return nil
	}
	return salvor.Errorf(salvor.Unavailable, "API keys cannot be checked now: %w", err).
		WithHint("the cluster has no leader, or this node cannot reach it; try again in a few seconds")
}
