package progress

import (
	"encoding/json"
	"io"
	"math"
	"time"
)

// The JSON contract is docs/json.md: fields are added, never renamed or
// removed. Sizes are bytes, durations seconds.

// StartEvent is the first line of a run.
type StartEvent struct {
	Version  string     `json:"version"`
	Format   int        `json:"format"` // of this contract
	Dir      string     `json:"dir"`
	Resumed  bool       `json:"resumed"`
	Round    int        `json:"round"`
	Seeds    int        `json:"seeds"`
	Deadline *time.Time `json:"deadline,omitempty"`
	Settings any        `json:"settings"`
}

// JSONFormat is the version of the contract.
const JSONFormat = 1

// Counts are the counters of a crawl, over all runs on its directory.
type Counts struct {
	Known    int64            `json:"known"`
	Saved    int64            `json:"saved"`
	Revisits int64            `json:"revisits"`
	Gone     int64            `json:"gone"`
	Refused  int64            `json:"refused"`
	Failed   int64            `json:"failed"`
	Excluded int64            `json:"excluded"`
	TooBig   int64            `json:"too_big"`
	Queued   int64            `json:"queued"`
	Waiting  int64            `json:"waiting"`
	UnderWay int64            `json:"under_way"`
	Captures int64            `json:"captures"`
	Bytes    int64            `json:"bytes"`
	ErrorsBy map[string]int64 `json:"errors"`
}

// CountsOf takes the counters out of a snapshot.
func CountsOf(s Snapshot) Counts {
	errs := s.Errors
	if errs == nil {
		errs = map[string]int64{}
	}
	return Counts{s.Known, s.Saved, s.Revisits, s.Gone, s.Refused, s.Failed, s.Excluded, s.TooBig,
		s.Queued, s.Waiting, s.Leased, s.Captures, s.Bytes, errs}
}

type progressJSON struct {
	Phase   Phase   `json:"phase"`
	Elapsed float64 `json:"elapsed"`
	Counts
	RateNow   float64    `json:"rate_now"`
	RateMean  float64    `json:"rate_mean"`
	BytesNow  float64    `json:"bytes_rate_now"`
	BytesMean float64    `json:"bytes_rate_mean"`
	Hosts     []hostJSON `json:"hosts"`
	Spool     int64      `json:"spool"`
	SpoolMax  int64      `json:"spool_max"`
	Held      int64      `json:"held"`
	Stopped   string     `json:"stopped,omitempty"`
	Open      int        `json:"segments_open"`
	Sealed    int        `json:"segments_sealed"`
	Left      *float64   `json:"to_deadline,omitempty"`
	ETA       *float64   `json:"eta,omitempty"`
	Share     *float64   `json:"settled_by_deadline,omitempty"`
}

type hostJSON struct {
	Host  string  `json:"host"`
	Open  int64   `json:"open"`
	Saved int64   `json:"saved"`
	Rate  float64 `json:"rate_now"`
	Limit float64 `json:"rate_limit"`
	Why   string  `json:"why,omitempty"`
}

type noticeJSON struct {
	Level string `json:"level"`
	Code  string `json:"code,omitempty"`
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
	Host  string `json:"host,omitempty"`
	URL   string `json:"url,omitempty"`
}

var levelNames = [...]string{"info", "note", "error"}

// WriteJSON writes one line of the contract: v's fields after type and time.
func WriteJSON(w io.Writer, kind string, at time.Time, v any) error {
	head, err := json.Marshal(struct {
		Type string `json:"type"`
		Time string `json:"time"`
	}{kind, at.UTC().Format("2006-01-02T15:04:05.000Z")})
	if err != nil {
		return err
	}
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line := head
	if len(body) > 2 {
		line = append(append(head[:len(head)-1], ','), body[1:]...)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

func progressOf(v view) progressJSON {
	p := progressJSON{
		Phase: v.Phase, Elapsed: round(v.Elapsed.Seconds()), Counts: CountsOf(v.Snapshot),
		RateNow: round(v.RateNow), RateMean: round(v.RateMean), BytesNow: round(v.BytesNow), BytesMean: round(v.BytesMean),
		Hosts: []hostJSON{}, Spool: v.Spool, SpoolMax: v.SpoolMax, Held: v.Held, Stopped: v.Stopped, Open: v.Open, Sealed: v.Sealed,
	}
	for _, h := range v.Hosts {
		p.Hosts = append(p.Hosts, hostJSON{h.Name, h.Open, h.Saved, round(max(h.Now, 0)), round(h.Rate), h.Why})
	}
	if !v.Deadline.IsZero() {
		p.Left = ptr(round(v.Left.Seconds()))
	}
	if v.ETA > 0 {
		p.ETA = ptr(round(v.ETA.Seconds()))
	}
	if v.ByDeadline >= 0 {
		p.Share = ptr(round(v.ByDeadline))
	}
	return p
}

func noticeOf(n Notice) noticeJSON {
	return noticeJSON{levelNames[min(int(n.Level), len(levelNames)-1)], n.Code, n.Text, n.Hint, n.Host, n.URL}
}

// round keeps three decimals: more is noise, and makes lines long.
func round(f float64) float64 { return math.Round(f*1000) / 1000 }

// Seconds is a duration as the contract has it, to the millisecond.
func Seconds(d time.Duration) float64 { return round(d.Seconds()) }

func ptr[T any](v T) *T { return &v }
