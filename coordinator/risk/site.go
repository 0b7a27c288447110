package risk

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"salvor"
)

// Site is what can be lost as a whole, and what people recorded of it: a row of
// the registry. Its methods return changed copies, each with an Entry for the
// audit log.
type Site struct {
	Name  string    `json:"name"`            // a registered domain, or a name for Hosts
	Hosts []string  `json:"hosts,omitempty"` // in order; none: the domain and all below it
	Class string    `json:"class,omitempty"` // of the catalogue, for the base rate; "" forum
	Since time.Time `json:"since,omitzero"`  // when it came to be, if that is known

	NextID    uint32     `json:"next"` // of a record
	Deadlines []Deadline `json:"deadlines,omitempty"`
	Overrides []Override `json:"overrides,omitempty"`
}

// What a row may hold at most. Records that no longer stand make room for new
// ones, the oldest first: the audit log has them.
const (
	MaxRow     = 64 << 10
	MaxRecords = 48 // of each kind
	MaxHosts   = 500
)

// Entry is a line of the audit log: who changed what, when and why. Change is
// the record itself, so that the log has it when the row has dropped it.
type Entry struct {
	At     time.Time       `json:"at"`
	By     string          `json:"by"`
	Site   string          `json:"site"`
	What   string          `json:"what"` // site.made, site.changed, deadline.set, deadline.withdrawn, override.set, override.withdrawn
	Note   string          `json:"note,omitempty"`
	Change json.RawMessage `json:"change"`
}

// Define makes a site or changes what it is, not its records.
func (s Site) Define(class string, hosts []string, since time.Time, by string, at time.Time) (Site, Entry, error) {
	what := "site.changed"
	if s.NextID == 0 {
		what, s.NextID = "site.made", 1
	}
	hosts = slices.Clone(hosts)
	slices.Sort(hosts)
	s.Class, s.Hosts, s.Since = class, slices.Compact(hosts), since
	if err := s.Check(); err != nil {
		return Site{}, Entry{}, err
	}
	if err := (Record{By: by, Recorded: at}).check("site"); err != nil {
		return Site{}, Entry{}, err
	}
	change := struct {
		Class string    `json:"class"`
		Hosts []string  `json:"hosts"`
		Since time.Time `json:"since,omitzero"`
	}{s.Class, s.Hosts, s.Since}
	e, err := entry(s.Name, what, Record{By: by, Recorded: at}, change)
	return s, e, err
}

// AddDeadline appends a record, or a withdrawal of one. The ID is given here.
func (s Site) AddDeadline(d Deadline) (Site, Entry, error) {
	if err := d.Check(); err != nil {
		return Site{}, Entry{}, err
	}
	stands := s.Standing()
	if d.Replaces != 0 && !slices.ContainsFunc(stands, func(o Deadline) bool { return o.ID == d.Replaces }) {
		return Site{}, Entry{}, notStanding("deadline", d.Replaces)
	}
	s.NextID = max(s.NextID, 1)
	d.ID, d.At, d.Recorded = s.NextID, d.At.UTC(), d.Recorded.UTC()
	s.NextID++
	s.Deadlines = append(slices.Clone(s.Deadlines), d)
	s.Deadlines = forget(s.Deadlines, func(o Deadline) uint32 { return o.ID }, ids(s.Standing(), func(o Deadline) uint32 { return o.ID }), d.ID)
	e, err := entry(s.Name, verb("deadline", d.Withdrawn), d.Record, d)
	if err != nil {
		return Site{}, Entry{}, err
	}
	return s, e, s.Check()
}

// AddOverride appends a record, or a withdrawal of one. The ID is given here.
func (s Site) AddOverride(o Override) (Site, Entry, error) {
	if err := o.Check(); err != nil {
		return Site{}, Entry{}, err
	}
	if o.Replaces != 0 && !slices.ContainsFunc(s.standing(), func(x Override) bool { return x.ID == o.Replaces }) {
		return Site{}, Entry{}, notStanding("override", o.Replaces)
	}
	s.NextID = max(s.NextID, 1)
	o.ID, o.Recorded = s.NextID, o.Recorded.UTC()
	s.NextID++
	s.Overrides = append(slices.Clone(s.Overrides), o)
	s.Overrides = forget(s.Overrides, func(x Override) uint32 { return x.ID }, ids(s.standing(), func(x Override) uint32 { return x.ID }), o.ID)
	e, err := entry(s.Name, verb("override", o.Withdrawn), o.Record, o)
	if err != nil {
		return Site{}, Entry{}, err
	}
	return s, e, s.Check()
}

func verb(what string, withdrawn bool) string {
	if withdrawn {
		return what + ".withdrawn"
	}
	return what + ".set"
}

func notStanding(what string, id uint32) error {
	return salvor.Errorf(salvor.Conflict, "%s %d does not stand", what, id).
		WithHint("It was replaced or withdrawn. List the site's records.")
}

func ids[T any](list []T, id func(T) uint32) map[uint32]bool {
	in := make(map[uint32]bool, len(list))
	for _, x := range list {
		in[id(x)] = true
	}
	return in
}

// forget drops the oldest records that do not stand, while there are too many.
// Dropped oldest first, a record never outlives the one that took it back: IDs
// rise, and what takes back comes after.
func forget[T any](list []T, id func(T) uint32, stands map[uint32]bool, newest uint32) []T {
	for i := 0; len(list) > MaxRecords && i < len(list); {
		if n := id(list[i]); stands[n] || n == newest {
			i++
			continue
		}
		list = slices.Delete(list, i, i+1)
	}
	return list
}

func entry(site, what string, r Record, change any) (Entry, error) {
	b, err := json.Marshal(change)
	if err != nil {
		return Entry{}, salvor.Errorf(salvor.Internal, "site %s: %w", site, err)
	}
	return Entry{At: r.Recorded.UTC(), By: r.By, Site: site, What: what, Note: r.Note, Change: b}, nil
}

// Has says whether a host is part of the site.
func (s Site) Has(host string) bool {
	if len(s.Hosts) > 0 {
		return slices.Contains(s.Hosts, host)
	}
	return host == s.Name || strings.HasSuffix(host, "."+s.Name)
}

// Check refuses a row that is too large or was not made here.
func (s Site) Check() error {
	bad := func(format string, args ...any) *salvor.Error {
		return salvor.Errorf(salvor.Invalid, "site "+s.Name+": "+format, args...)
	}
	switch {
	case !tidy(s.Name, 1, 255) || strings.ContainsAny(s.Name, " /"):
		return salvor.Errorf(salvor.Invalid, "%q is no name of a site", s.Name).
			WithHint("Use a registered domain, or 1 to 255 signs without spaces and slashes.")
	case !tidy(s.Class, 0, 40):
		return bad("no class that is known")
	case len(s.Hosts) > MaxHosts:
		return bad("%d hosts, at most %d", len(s.Hosts), MaxHosts)
	case !s.Since.IsZero() && s.Since.Year() > 2200:
		return bad("it is of the year %d", s.Since.Year())
	case len(s.Deadlines) > MaxRecords || len(s.Overrides) > MaxRecords:
		return salvor.Errorf(salvor.Exhausted, "site %s has %d deadlines and %d overrides that stand, at most %d of each",
			s.Name, len(s.Deadlines), len(s.Overrides), MaxRecords).WithHint("Withdraw some.")
	}
	for _, h := range s.Hosts {
		if !tidy(h, 1, 255) || strings.ContainsAny(h, " /") {
			return bad("%q is no host", h)
		}
	}
	for i, d := range s.Deadlines {
		if err := d.Check(); err != nil {
			return bad("%w", err)
		}
		if d.ID == 0 || d.ID >= s.NextID || d.Replaces >= d.ID || i > 0 && d.ID <= s.Deadlines[i-1].ID {
			return bad("deadline %d is out of order", d.ID)
		}
	}
	for i, o := range s.Overrides {
		if err := o.Check(); err != nil {
			return bad("%w", err)
		}
		if o.ID == 0 || o.ID >= s.NextID || o.Replaces >= o.ID || i > 0 && o.ID <= s.Overrides[i-1].ID {
			return bad("override %d is out of order", o.ID)
		}
	}
	return nil
}

// rowVersion is of the JSON form. Readers ignore fields they do not know.
const rowVersion = 1

type row struct {
	V int `json:"v"`
	Site
}

// Encode is the value of a registry row, at most MaxRow bytes.
func (s Site) Encode() ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	b, err := json.Marshal(row{rowVersion, s})
	if err != nil {
		return nil, salvor.Errorf(salvor.Internal, "site %s: %w", s.Name, err)
	}
	if len(b) > MaxRow {
		return nil, salvor.Errorf(salvor.Exhausted, "site %s: its records take %d bytes, at most %d", s.Name, len(b), MaxRow).
			WithHint("Withdraw some, or shorten their notes.")
	}
	return b, nil
}

// DecodeSite reads what Encode wrote.
func DecodeSite(b []byte) (Site, error) {
	var r row
	if len(b) > MaxRow {
		return Site{}, salvor.Errorf(salvor.Invalid, "site: a row of %d bytes, at most %d", len(b), MaxRow)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return Site{}, salvor.Errorf(salvor.Invalid, "site: the row cannot be read: %w", err)
	}
	switch {
	case r.V > rowVersion:
		return Site{}, salvor.Errorf(salvor.TooNew, "site %s: its row has format %d, this version reads %d", r.Name, r.V, rowVersion).
			WithHint("Use the newer salvor.")
	case r.V < 1:
		return Site{}, salvor.Errorf(salvor.Invalid, "site: the row has no format")
	}
	return r.Site, r.Check()
}
