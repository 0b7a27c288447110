package warc

import (
	"context"
	"time"

	"salvor"
	"salvor/api"
	"salvor/storage"
)

// PoolConfig says where segments live and when they are sealed.
type PoolConfig struct {
	Dir     string        // the spool: .open segments, journals, sealed ones on their way. The caller holds a lock on it
	Store   storage.Store // where sealed segments go, under the key Key(name)
	Writers int           // segments open at once; default 4
	MaxSize int64         // a segment of this size is sealed; default 1 GB
	MaxAge  time.Duration // so is one of this age; default 60 min
	// MinSize spares the Store small objects: a segment below it is sealed at
	// the age SmallAge only. 0 knows no small segments.
	MinSize      int64
	SmallAge     time.Duration
	MaxExchanges uint32 // a segment with as many is sealed; 0 no bound
	// Journals says that the Store takes each segment's journal too, from which
	// a machine with an empty disk learns what the segment settles.
	Journals bool
	Prefix   string // of file names: letters, digits, - and _; default "salvor"
	Node     string // name of this worker in file names, the same; default "local"
	Level    int    // gzip level; default DefaultLevel
	// Info gives the content of a segment's warcinfo. It is called once a segment.
	Info func(name string) Warcinfo
	// OpenSegment numbers a segment; the same name gets the same number. Without
	// it the serial is the number.
	OpenSegment func(ctx context.Context, name string) (salvor.SegmentID, error)
	// OnSealed and OnStored report a segment's way to the Store. They may be
	// called again after a crash; an error is tried again until Close.
	OnSealed, OnStored func(ctx context.Context, s api.Segment) error
	// OnError hears of troubles of the background that are being tried again.
	OnError func(error)
	Now     func() time.Time // default time.Now
	FS      FS               // the spool's files; default the operating system's

	small int64 // what is packed in memory; tests make it smaller
}

func (c *PoolConfig) setDefaults() error {
	setDefault(&c.Writers, 4)
	setDefault(&c.MaxSize, 1_000_000_000)
	setDefault(&c.MaxAge, time.Hour)
	setDefault(&c.Prefix, "salvor")
	setDefault(&c.Node, "local")
	setDefault(&c.Level, DefaultLevel)
	setDefault(&c.small, smallBlock)
	if c.Info == nil {
		c.Info = func(string) Warcinfo { return Warcinfo{Software: "salvor"} }
	}
	if c.OnSealed == nil {
		c.OnSealed = func(context.Context, api.Segment) error { return nil }
	}
	if c.OnStored == nil {
		c.OnStored = func(context.Context, api.Segment) error { return nil }
	}
	if c.OnError == nil {
		c.OnError = func(error) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.FS == nil {
		c.FS = osFS{}
	}
	switch {
	case c.Dir == "" || c.Store == nil:
		return salvor.Errorf(salvor.Invalid, "segments need a spool directory and a Store")
	case !nameRunes(c.Prefix) || !nameRunes(c.Node):
		return salvor.Errorf(salvor.Invalid, "segment prefix %q or node name %q has other characters than letters, digits, - and _, or more than 80", c.Prefix, c.Node)
	}
	return nil
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func nameRunes(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if !isDigit(s[i]) && !('a' <= c && c <= 'z') && s[i] != '-' && s[i] != '_' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 80 && s[0] != '-'
}
