package access

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"salvor"
	"salvor/warc"
)

const (
	// followEvery is the pause between two looks for new segments; longer where a
	// look takes long, so that looking costs a tenth of the time.
	followEvery = 2 * time.Second
	followShare = 10
)

// Change is what a look at the Store found.
type Change struct {
	Added, Removed, Lines int64
	Damaged               []string // indexes that cannot be read
}

// Follow brings the index up to the Store again and again until ctx ends. What goes
// wrong is logged once, and tried again.
func (c *Collection) Follow(ctx context.Context) {
	known, last := map[string]bool{}, ""
	for {
		began, now := time.Now(), ""
		if _, err := c.update(ctx, known); err != nil && ctx.Err() == nil {
			if now = err.Error(); now != last { // once, however long it lasts
				c.log().Warn("the index is behind the store", "collection", c.Name, "error", err, "hint", salvor.HintOf(err))
			}
		}
		last = now
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(followEvery, followShare*time.Since(began))):
		}
	}
}

// Update brings the index up to the Store once.
func (c *Collection) Update(ctx context.Context) (Change, error) {
	return c.update(ctx, map[string]bool{})
}

// update adds what is new, and drops what is not there any more or is in a larger
// file now. An index that cannot be read is passed over, and told once: the others are
// found nonetheless. told has those.
func (c *Collection) update(ctx context.Context, told map[string]bool) (ch Change, err error) {
	joined, err := c.members(ctx)
	if err != nil {
		return ch, err
	}
	here := map[string]bool{}
	for info, err := range c.Store.List(ctx, "warc/", "") {
		if err != nil {
			return ch, err
		}
		name, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, "warc/"), ".cdxj")
		if !ok {
			continue
		}
		if name += ".warc.gz"; joined[name] {
			continue
		}
		here[name] = true
		if err := c.add(ctx, name, info.Size, &ch); err != nil {
			if salvor.ClassOf(err) != salvor.Invalid {
				return ch, err
			}
			if ch.Damaged = append(ch.Damaged, info.Key); !told[name] {
				told[name] = true
				c.log().Error("an index in the store cannot be read", "collection", c.Name, "key", info.Key, "error", err)
			}
		}
	}
	return ch, c.drop(ctx, here, &ch)
}

// add adds a segment, anew where its CDXJ has another size than it had: somebody was
// still copying it.
func (c *Collection) add(ctx context.Context, name string, size int64, ch *Change) (err error) {
	had, has, err := c.Index.Has(name)
	if err != nil || has && had == size {
		return err
	}
	if has {
		if err := c.Index.Remove(ctx, name); err != nil {
			return err
		}
		c.places.lost(name)
	}
	r, _, err := c.Store.Get(ctx, warc.CDXJKey(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	added, lines, err := c.Index.Add(ctx, name, r)
	if added {
		ch.Added++
		ch.Lines += lines
	}
	return err
}

// drop removes the segments that are not there any more.
func (c *Collection) drop(ctx context.Context, here map[string]bool, ch *Change) error {
	var gone []string
	for name := range c.Index.Segments(ctx) {
		if !here[name] {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	ch.Removed += int64(len(gone))
	return c.Index.Remove(ctx, gone...)
}

// members are the segments that are in a larger file whose index is there.
func (c *Collection) members(ctx context.Context) (map[string]bool, error) {
	out := map[string]bool{}
	for info, err := range c.Store.List(ctx, "joined/", "") {
		if err != nil {
			return nil, err
		}
		j, err := warc.ReadJoined(ctx, c.Store, info.Key)
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(j.Object, "warc/")
		if _, err := c.Store.Stat(ctx, warc.CDXJKey(name)); salvor.ClassOf(err) == salvor.NotFound {
			continue
		} else if err != nil {
			return nil, err
		}
		for _, m := range j.Members {
			out[m.Name] = true
		}
	}
	return out, nil
}

func (c *Collection) log() *slog.Logger {
	if c.Logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Logger
}
