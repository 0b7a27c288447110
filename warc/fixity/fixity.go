// Package fixity reads a whole archive again, and tells what of it is not as it was
// when it was written: from the Store alone, offline, in constant memory.
//
// It is for whoever keeps an archive, and for whoever has to show that it was not
// changed. It guarantees that what it calls sound has the digest of the manifest,
// that each record and each digest in it is right, and that each line of an index
// leads to a record of that URL.
package fixity

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"

	"salvor"
	"salvor/storage"
	"salvor/warc"
	"salvor/warc/cdx"
	"salvor/warc/manifest"
)

// Kind says what a finding is about.
type Kind string

// The kinds of a Finding.
const (
	Missing Kind = "missing" // the manifest has it, the Store has not
	Changed Kind = "changed" // its digest is another than the manifest's
	Damaged Kind = "damaged" // a record, or a line of an index, is not right
	Unknown Kind = "unknown" // it is in the Store, and no manifest has it: no damage
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Kind   Kind   `json:"kind"`
	Key    string `json:"key"`              // of the object
	Offset int64  `json:"offset,omitempty"` // in it
	Record string `json:"record,omitempty"` // WARC-Record-ID, if known
	Text   string `json:"text"`
}

// Summary is what was read.
type Summary struct {
	Objects  int64            `json:"objects"`
	Bytes    int64            `json:"bytes"`
	Records  int64            `json:"records"`
	Digests  int64            `json:"digests"` // of records, compared
	Lines    int64            `json:"lines"`   // of indexes, compared
	Listed   int64            `json:"listed"`  // objects that a manifest has
	Entered  int64            `json:"entered"` // in the log of custody, under a checkpoint
	Findings map[Kind]int64   `json:"findings"`
	ByType   map[string]int64 `json:"records_by_type"`
}

// Sound says whether nothing is wrong. What no manifest has yet is not.
func (s *Summary) Sound() bool {
	for k, n := range s.Findings {
		if k != Unknown && n > 0 {
			return false
		}
	}
	return true
}

// Hooks hear of what is found. All but Tell may be nil.
type Hooks struct {
	Tell     func(Finding)
	Progress func(Summary)                  // after each object
	Read     func(key string, sum [32]byte) // the SHA-256 of each object
}

// Check reads an archive.
func Check(ctx context.Context, store storage.Store, h Hooks) (Summary, error) {
	if h.Progress == nil {
		h.Progress = func(Summary) {}
	}
	if h.Read == nil {
		h.Read = func(string, [32]byte) {}
	}
	progress := h.Progress
	c := checking{ctx: ctx, store: store, tell: h.Tell, digest: h.Read, sum: Summary{Findings: map[Kind]int64{}, ByType: map[string]int64{}}, seen: map[string]bool{}}
	var err error
	if c.listed, err = manifest.Read(ctx, store); err != nil {
		return c.sum, err
	}
	c.sum.Listed = int64(len(c.listed))
	for info, err := range store.List(ctx, "warc/", "") {
		if err != nil {
			return c.sum, err
		}
		if err := c.object(info); err != nil {
			return c.sum, err
		}
		progress(c.sum)
	}
	return c.sum, c.others(progress)
}

type checking struct {
	ctx    context.Context
	store  storage.Store
	tell   func(Finding)
	digest func(key string, sum [32]byte)
	sum    Summary
	listed map[string][32]byte // by the manifests
	seen   map[string]bool
}

func (c *checking) find(f Finding) {
	c.sum.Findings[f.Kind]++
	c.tell(f)
}

// object reads one below warc/.
func (c *checking) object(info storage.Info) error {
	if strings.HasSuffix(info.Key, ".cdxj") {
		return nil // with its segment
	}
	if !strings.Contains(info.Key, ".warc") {
		return c.plain(info.Key)
	}
	places, last := map[int64]string{}, int64(-1) // URLs of records by their offset
	r, _, err := c.store.Get(c.ctx, info.Key)
	if err != nil {
		return err
	}
	rep, err := warc.VerifyEach(c.ctx, r, func(rec *warc.Record) { places[rec.Offset], last = rec.Get("WARC-Target-URI"), rec.Offset })
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	c.records(info.Key, 0, rep)
	c.read(info.Key, rep.Bytes, rep.SHA256)
	if rep.OK() {
		last = rep.Bytes
	}
	return c.index(strings.TrimPrefix(info.Key, "warc/"), places, last)
}

// records takes what was found in a segment, or in a part of it from an offset.
func (c *checking) records(key string, from int64, rep warc.Report) {
	for _, p := range rep.Problems {
		c.find(Finding{Kind: Damaged, Key: key, Offset: from + p.Offset, Record: p.Record, Text: p.Text})
	}
	c.sum.Findings[Damaged] += rep.More
	c.sum.Records, c.sum.Digests = c.sum.Records+rep.Records, c.sum.Digests+rep.Digests
	for t, n := range rep.ByType {
		c.sum.ByType[t] += n
	}
}

// beyond reads the record of a line behind the place where a damaged segment could
// not be read any further: the index knows where the next begin.
func (c *checking) beyond(l cdx.Line) (url string, ok bool, err error) {
	key := warc.Key(l.Filename)
	r, err := c.store.Range(c.ctx, key, l.Offset, l.Length)
	if salvor.ClassOf(err) == salvor.Invalid {
		return "", false, nil // beyond its end
	}
	if err != nil {
		return "", false, err
	}
	rep, err := warc.VerifyEach(c.ctx, r, func(rec *warc.Record) { url, ok = rec.Get("WARC-Target-URI"), true })
	if err = errors.Join(err, r.Close()); err == nil && ok {
		c.records(key, l.Offset, rep)
	}
	return url, ok, err
}

// read notes that an object was read to its end.
func (c *checking) read(key string, n int64, sum [32]byte) {
	c.seen[key] = true
	c.digest(key, sum)
	c.sum.Objects++
	c.sum.Bytes += n
	want, ok := c.listed[key]
	switch {
	case !ok && len(c.listed) > 0:
		c.find(Finding{Kind: Unknown, Key: key, Text: "no manifest has it: it was stored after the last run ended, or it is not from there"})
	case ok && want != sum:
		c.find(Finding{Kind: Changed, Key: key, Text: "its SHA-256 is " + hex.EncodeToString(sum[:]) + ", the manifest has " + hex.EncodeToString(want[:])})
	}
}

// index compares the lines of a segment's index with its records, which were read up
// to the last.
func (c *checking) index(name string, places map[int64]string, last int64) error {
	key := warc.CDXJKey(name)
	r, _, err := c.store.Get(c.ctx, key)
	if salvor.ClassOf(err) == salvor.NotFound {
		return nil // WARC files of others have none; ours are in the manifest
	}
	if err != nil {
		return err
	}
	h := newHasher(r)
	bad := func(off int64, text string) { c.find(Finding{Kind: Damaged, Key: key, Offset: off, Text: text}) }
	err = cdx.Read(h, func(l cdx.Line) error {
		c.sum.Lines++
		url, ok := places[l.Offset]
		if !ok && l.Offset > last && l.Filename == name && l.Length > 0 {
			var err error
			if url, ok, err = c.beyond(l); err != nil {
				return salvor.Errorf(salvor.Unavailable, "%w", err)
			}
		}
		switch {
		case l.Filename != name:
			bad(l.Offset, "a line is of the file "+cmp.Or(l.Filename, "(none)"))
		case !ok:
			bad(l.Offset, "no record begins where the line of "+l.URL+" says")
		case strings.Trim(url, "<>") != l.URL:
			bad(l.Offset, "the record there is of "+url+", the line is of "+l.URL)
		}
		return nil
	})
	if err != nil && salvor.ClassOf(err) != salvor.Invalid {
		return errors.Join(err, r.Close())
	}
	if err != nil {
		bad(0, err.Error())
	}
	n, sum, err := h.rest()
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	c.read(key, n, sum)
	return nil
}

// plain reads an object of which only the digest is known.
func (c *checking) plain(key string) error {
	r, _, err := c.store.Get(c.ctx, key)
	if err != nil {
		return err
	}
	h := newHasher(r)
	n, sum, err := h.rest()
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	c.read(key, n, sum)
	return nil
}

// others reads what the manifest has beside WARC files.
func (c *checking) others(progress func(Summary)) error {
	for _, key := range slices.Sorted(maps.Keys(c.listed)) {
		if c.seen[key] {
			continue
		}
		err := c.plain(key)
		switch {
		case salvor.ClassOf(err) == salvor.NotFound:
			c.find(Finding{Kind: Missing, Key: key, Text: "the manifest has it, and it is not there"})
		case err != nil:
			return err
		}
		progress(c.sum)
	}
	return nil
}
