package risk

import (
	"cmp"
	"encoding/json"
	"slices"
	"time"

	"salvor"
)

// History is what was seen of a site, folded: of each signal, subject and
// vantage the present run of equal looks, and the last run that saw it. Its size
// is bounded, whatever is added. The zero value is empty.
type History struct {
	Tracks []Track `json:"tracks"` // in the order of their keys
}

// Track is one signal of one subject, as one vantage sees it.
type Track struct {
	Signal  string  `json:"signal"`
	Subject string  `json:"subject,omitempty"`
	Vantage Vantage `json:"vantage"`
	Now     Run     `json:"now"`
	Seen    Run     `json:"seen,omitzero"` // the last run that saw it, when Now does not
}

// Run is looks that found the same.
type Run struct {
	Present bool         `json:"present,omitempty"`
	First   time.Time    `json:"first,omitzero"`
	Last    time.Time    `json:"last,omitzero"`
	Count   int          `json:"count,omitempty"`
	Recent  [3]time.Time `json:"recent"` // the newest first
	Value   float64      `json:"value,omitempty"`
	Detail  string       `json:"detail,omitempty"`
	Raw     Raw          `json:"raw,omitzero"` // the newest
}

// MaxTracks is how many a History holds; the one not seen for longest makes room.
const MaxTracks = 200

// maxHistory is what Encode makes at most: a registry row.
const maxHistory = 64 << 10

// Add folds an observation in, and returns whether it did: one that is older
// than what is known of its track, or came twice, changes nothing.
func (h *History) Add(c *Catalogue, o Observation) (bool, error) {
	if err := o.Check(); err != nil {
		return false, err
	}
	if o.Signal == SigErrorsWide {
		return false, salvor.Errorf(salvor.Invalid, "observation of %q: %s is made here, not seen", o.Site, o.Signal)
	}
	i := h.track(o)
	t := &h.Tracks[i]
	if !t.Now.Last.IsZero() && !o.At.After(t.Now.Last) {
		return false, nil
	}
	t.add(o)
	if s, ok := c.Signal(o.Signal); ok && s.Role.look() && !o.Absent {
		h.endOthers(c, o)
	}
	h.bound()
	return true, nil
}

// track finds or makes an observation's.
func (h *History) track(o Observation) int {
	t := Track{Signal: o.Signal, Subject: o.Subject, Vantage: o.Vantage}
	i, ok := slices.BinarySearchFunc(h.Tracks, t, compareTracks)
	if !ok {
		h.Tracks = slices.Insert(slices.Clone(h.Tracks), i, t)
	} else {
		h.Tracks = slices.Clone(h.Tracks)
	}
	return i
}

func compareTracks(a, b Track) int {
	return cmp.Or(cmp.Compare(a.Signal, b.Signal), cmp.Compare(a.Subject, b.Subject),
		cmp.Compare(a.Vantage.Node, b.Vantage.Node), cmp.Compare(a.Vantage.Network, b.Vantage.Network))
}

func (t *Track) add(o Observation) {
	if t.Now.Count == 0 || t.Now.Present == o.Absent {
		if t.Now.Present {
			t.Seen = t.Now
		}
		t.Now = Run{Present: !o.Absent, First: o.At.UTC()}
	}
	r := &t.Now
	r.Last, r.Value, r.Detail, r.Raw = o.At.UTC(), o.Value, o.Detail, o.Raw
	r.Count++
	r.Recent = [3]time.Time{r.Last, r.Recent[0], r.Recent[1]}
	if r.Present {
		t.Seen = Run{}
	}
}

// endOthers ends what earlier looks at the same page from the same vantage found.
func (h *History) endOthers(c *Catalogue, o Observation) {
	for i := range h.Tracks {
		t := &h.Tracks[i]
		if t.Signal == o.Signal || t.Subject != o.Subject || t.Vantage != o.Vantage || !o.At.After(t.Now.Last) {
			continue
		}
		if s, ok := c.Signal(t.Signal); ok && s.Role.look() {
			t.add(Observation{Absent: true, At: o.At, Raw: o.Raw})
		}
	}
}

func (h *History) bound() {
	for len(h.Tracks) > MaxTracks {
		h.dropOldest()
	}
}

func (h *History) dropOldest() {
	oldest := 0
	for i, t := range h.Tracks {
		if t.Now.Last.Before(h.Tracks[oldest].Now.Last) {
			oldest = i
		}
	}
	h.Tracks = slices.Delete(h.Tracks, oldest, oldest+1)
}

type historyRow struct {
	V int `json:"v"`
	History
}

// Encode is the value of a registry row, at most 64 KiB: what was not seen for
// longest is left out if it must.
func (h History) Encode() ([]byte, error) {
	h.Tracks = slices.Clone(h.Tracks)
	for {
		b, err := json.Marshal(historyRow{rowVersion, h})
		if err != nil {
			return nil, salvor.Errorf(salvor.Internal, "history: %w", err)
		}
		if len(b) <= maxHistory {
			return b, nil
		}
		h.dropOldest()
	}
}

// DecodeHistory reads what Encode wrote.
func DecodeHistory(b []byte) (History, error) {
	var r historyRow
	if len(b) > maxHistory {
		return History{}, salvor.Errorf(salvor.Invalid, "history: a row of %d bytes, at most %d", len(b), maxHistory)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return History{}, salvor.Errorf(salvor.Invalid, "history: the row cannot be read: %w", err)
	}
	switch {
	case r.V > rowVersion:
		return History{}, salvor.Errorf(salvor.TooNew, "history: its row has format %d, this version reads %d", r.V, rowVersion)
	case r.V < 1 || len(r.Tracks) > MaxTracks || !slices.IsSortedFunc(r.Tracks, compareTracks):
		return History{}, salvor.Errorf(salvor.Invalid, "history: not a row that was written here")
	}
	for _, t := range r.Tracks {
		if err := t.check(); err != nil {
			return History{}, err
		}
	}
	return r.History, nil
}

func (t Track) check() error {
	for _, r := range []Run{t.Now, t.Seen} {
		o := Observation{Site: "-", Signal: t.Signal, Subject: t.Subject, Vantage: t.Vantage, At: r.Last, Value: r.Value, Detail: r.Detail, Raw: r.Raw}
		if r == (Run{}) && r != t.Now {
			continue // nothing was seen before
		}
		if err := o.Check(); err != nil {
			return err
		}
		if r.Count < 1 || r.First.After(r.Last) || !dated(r.First) || !dated(r.Last) {
			return salvor.Errorf(salvor.Invalid, "history: a run of %s that cannot be", t.Signal)
		}
	}
	return nil
}
