package remote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"salvor"
	"salvor/storage"
)

// Claim says who writes an archive's part in a Store. Claims are numbered: the
// Store lets one writer have each number, and whoever holds a lower one has
// lost the archive to another machine.
type Claim struct {
	ID      string    `json:"id"` // of the archive, drawn at its first start
	Epoch   int       `json:"epoch"`
	Host    string    `json:"host"`
	Dir     string    `json:"dir"`
	PID     int       `json:"pid"`
	Version string    `json:"version"`
	At      time.Time `json:"at"`
}

// ErrTaken says that another machine has the archive now.
var ErrTaken = errors.New("took this archive over")

const owners = "owner/"

func (c Claim) key() string { return fmt.Sprintf("%s%06d.json", owners, c.Epoch) }

// Newest is the claim in force; false when nobody wrote there.
func Newest(ctx context.Context, s storage.Store) (c Claim, ok bool, err error) {
	key, err := last(ctx, s, owners)
	if err != nil || key == "" {
		return c, false, err
	}
	return c, true, getJSON(ctx, s, key, &c)
}

// Take makes the next claim on an archive, after the one that is in force.
func Take(ctx context.Context, s storage.Store, next Claim) (Claim, error) {
	next.Epoch++
	if host, err := os.Hostname(); err == nil {
		next.Host = host
	}
	next.PID, next.At = os.Getpid(), time.Now().UTC().Truncate(time.Millisecond)
	err := putJSON(ctx, s, next.key(), next)
	if salvor.ClassOf(err) == salvor.Conflict {
		return next, salvor.Errorf(salvor.Conflict, "another process began to write this archive in the store at the same moment").
			WithHint("let one of them go on; for a second crawl name another prefix with --store")
	}
	return next, err
}

// Check is an error of class Conflict when somebody else has the archive now.
func Check(ctx context.Context, s storage.Store, mine Claim) error {
	c, ok, err := Newest(ctx, s)
	switch {
	case err != nil:
		return err
	case !ok:
		return salvor.Errorf(salvor.Conflict, "the archive's objects are gone from the store").
			WithHint("look after the bucket: somebody emptied it, or --store names another one")
	case c.ID != mine.ID:
		return salvor.Errorf(salvor.Conflict, "the store holds another archive there, begun on %s in %s", c.Host, c.Dir).
			WithHint("name another prefix with --store")
	case c.Epoch > mine.Epoch:
		return salvor.Errorf(salvor.Conflict, "%s %w at %s", c.Host, ErrTaken, c.At.Format(time.RFC3339)).
			WithHint("go on there; to take it back, run with the same --store and a new --dir")
	}
	return nil
}
