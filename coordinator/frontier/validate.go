package frontier

import (
	"slices"

	"salvor"
	"salvor/api"
)

// Limits of what a command may carry. They keep an entry of the log and a
// record of the state within the sizes of protocol 9, whoever proposes.
const (
	MaxItems  = 10_000   // elements of one command
	MaxURL    = 32 << 10 // bytes of a URL
	MaxBody   = 4 << 10
	MaxHost   = 255
	MaxOrigin = MaxHost + 16 // a scheme, brackets and a port beside the host
	MaxReason = 200
	MaxRobots = 16 << 10
	MaxNote   = 1000
	MaxMerged = 500 // hosts of a budget group
	MaxTable  = 32
	MaxKey    = 255 // bytes of a record's key
)

// Validate refuses a command that is malformed whatever the state. Apply does
// it again: a proposer that did not is refused there, on every replica alike.
func Validate(c Command) error {
	switch c := c.(type) {
	case *Discover:
		return validateDiscover(&c.Discovery)
	case *Settle:
		return validateSettle(&c.Settlement)
	case *Grant:
		return check(len(c.Hosts) <= 1<<16, "a grant names too many hosts")
	case *Extend:
		return check(len(c.Held) <= 1<<20, "an extend lists too many leases")
	case *Exclude:
		return firstOf(
			check(len(c.Items) <= maxPiece, "an exclusion of more than %d items", maxPiece),
			check(len(c.Rule) <= MaxReason, "a rule of more than %d bytes", MaxReason))
	case *Rank:
		return validateRank(c)
	case *Reopen:
		return validateReopen(c)
	case *Register:
		return check(c.Session != 0 && c.Worker != "", "a session without number or worker")
	case *CreateCrawl:
		return check(c.Crawl.Name != "" && c.Crawl.State < salvor.CrawlDeleting, "a crawl without name, or a deleted one")
	case *SetCrawl:
		return check(c.Crawl.State <= salvor.CrawlDeleted, "unknown crawl state %d", c.Crawl.State)
	case *SetBudget:
		return firstOf(
			check(c.Host != "" || c.Ceiling == nil || *c.Ceiling > 0, "a default ceiling of 0: pause the crawl instead"),
			check(len(c.Host) <= MaxHost, "a host name of more than %d bytes", MaxHost),
			check(c.Note == nil || len(*c.Note) <= MaxNote, "a note of more than %d bytes", MaxNote))
	case *OpenSegment:
		return check(c.Name != "" && len(c.Name) <= 1000, "a segment name of 0 or more than 1000 bytes")
	case *SetGroup:
		return validateGroup(c)
	case *SetRecord:
		return validateRecord(&c.Record)
	case *AdoptCrawl:
		return check(c.Crawl.ID != 0 && c.Crawl.Name != "" && c.Crawl.State <= salvor.CrawlDeleted, "a crawl without number or name, or in state %d", c.Crawl.State)
	case *SetSegment:
		return check(c.Segment.State <= api.SegmentStored, "unknown segment state %d", c.Segment.State)
	}
	return nil
}

func check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return salvor.Errorf(salvor.Invalid, format, args...)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func validateDiscover(d *api.Discovery) error {
	if len(d.Items) > MaxItems {
		return check(false, "a discovery of more than %d items", MaxItems)
	}
	for i := range d.Items {
		if o := &d.Items[i]; !validOffer(o) {
			return check(false, "offer %d: a host of %d bytes, origin %d, URL %d, via %d, body %d, rule %d, class %d, band %d",
				i, len(o.Host), len(o.Origin), len(o.URL), len(o.Via), len(o.Body), len(o.Excluded), o.Class, o.Band)
		}
	}
	return nil
}

func validOffer(o *api.Offer) bool {
	return o.Host != "" && len(o.Host) <= MaxHost && o.URL != "" && len(o.URL) <= MaxURL &&
		o.Origin != "" && len(o.Origin) <= MaxOrigin && len(o.Via) <= MaxURL && len(o.Method) <= MaxHost &&
		len(o.Body) <= MaxBody && len(o.Hop.Path) <= salvor.MaxPath && len(o.Excluded) <= MaxReason &&
		o.Class <= salvor.ClassSpeculative && o.Band >= salvor.BandRobots
}

func validateSettle(s *api.Settlement) error {
	if len(s.Entries) > MaxItems || len(s.Robots) > MaxItems {
		return check(false, "a settlement of more than %d entries", MaxItems)
	}
	for i := range s.Entries {
		if e := &s.Entries[i]; !validEntry(e) {
			return check(false, "entry %d: verb %d, outcome %s in segment %d, a reason of %d bytes, type %d, retry at %d",
				i, e.Verb, e.Outcome, e.Place.Segment, len(e.Reason), len(e.Type), e.Retry)
		}
	}
	for i := range s.Robots {
		if x := &s.Robots[i]; len(x.Rules) > MaxRobots || x.Origin == "" || len(x.Origin) > MaxOrigin {
			return check(false, "robots %d: rules of %d bytes, an origin of %d", i, len(x.Rules), len(x.Origin))
		}
	}
	return nil
}

func validEntry(e *api.Entry) bool {
	if len(e.Reason) > MaxReason || len(e.Type) > MaxHost || e.Verb > api.VerbHold || e.Retry < 0 || e.Bytes < 0 {
		return false
	}
	if e.Verb != api.VerbSettle {
		return true
	}
	// Out of time is derived, never said; a capture lies somewhere.
	return e.Outcome > salvor.Open && e.Outcome < salvor.OutOfTime && (!e.Outcome.HasCapture() || e.Place.Segment != 0)
}

func validateGroup(c *SetGroup) error {
	for i, h := range c.Hosts {
		if h == "" || len(h) > MaxHost || slices.Contains(c.Hosts[:i], h) {
			return check(false, "host %d of a group: %q, named twice or of 0 or more than %d bytes", i, h, MaxHost)
		}
	}
	return firstOf(
		check(c.Name != "" && len(c.Name) <= MaxHost, "a group's name of %d bytes, not 1 to %d", len(c.Name), MaxHost),
		check(len(c.Hosts) <= MaxMerged, "a group of more than %d hosts", MaxMerged))
}

func validateRecord(x *api.Record) error {
	return firstOf(
		check(x.Table != "" && len(x.Table) <= MaxTable, "a record's table has a name of %d bytes, not 1 to %d", len(x.Table), MaxTable),
		check(x.Key != "" && len(x.Key) <= MaxKey, "a record's key has %d bytes, not 1 to %d", len(x.Key), MaxKey),
		check(len(x.Value) <= api.MaxRecord, "a record of %d bytes, at most %d are allowed", len(x.Value), api.MaxRecord))
}

func validateReopen(c *Reopen) error {
	if len(c.Reason) > MaxReason {
		return check(false, "a reason of more than %d bytes", MaxReason)
	}
	for _, o := range c.Outcomes {
		if o.HasCapture() || o == salvor.Open || o >= salvor.OutOfTime {
			return salvor.Errorf(salvor.Invalid, "reopen: items that are %s cannot be queued again", o).
				WithHint("The URLs of saved items are in the CDXJ files: offer them to a new crawl that has this one as its basis.")
		}
	}
	return nil
}

func validateRank(c *Rank) error {
	if len(c.Items) > maxPiece {
		return check(false, "a ranking of more than %d items", maxPiece)
	}
	for _, it := range c.Items {
		if it.Band <= salvor.BandRobots {
			return check(false, "an item in band %#x, which gates its host", uint8(it.Band))
		}
	}
	return nil
}
