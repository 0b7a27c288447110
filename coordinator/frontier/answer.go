package frontier

import (
	"strings"

	"salvor"
	"salvor/api"
)

// The first answer to a request is kept with its session, so that a request
// repeated after its outcome was lost gets the same one (protocol 4). A grant is
// kept as the ids of its leases and answered from the state.

const (
	ansNone = iota
	ansResults
	ansLeases
	ansRenewal
	ansSettled
	ansReopened
	ansCount
	ansSegment
	ansCrawl
	ansVersion
)

// remember keeps an answer in the slot of the session's oldest. A grant that
// gave nothing is not kept: asking again may find work.
func (t *tx) remember(s *session, request uint64, result any) {
	if leases, ok := result.([]api.Lease); ok && len(leases) == 0 {
		return
	}
	var w writer
	putAnswer(&w, result)
	a := remembered{n: s.next, request: request, data: string(w.b)}
	s.next++
	slot := uint16(a.n % answersKept)
	s.keep(slot, a)

	t.w.b = t.w.b[:0]
	t.w.byte(recordVersion)
	t.w.uint(a.n)
	t.w.uint(a.request)
	t.w.raw(w.b)
	t.k = keyAnswer(t.k[:0], s.id, slot)
	t.set(t.k, t.w.b)
}

func (s *session) keep(slot uint16, a remembered) {
	for int(slot) >= len(s.ring) {
		s.ring = append(s.ring, remembered{})
	}
	if old := s.ring[slot]; old.request != 0 && s.answers[old.request] == slot {
		delete(s.answers, old.request)
	}
	s.ring[slot] = a
	s.answers[a.request] = slot
	s.next = max(s.next, a.n+1)
}

func decodeRemembered(v string) (a remembered, ok bool) {
	r := reader{s: v}
	if r.byte() != recordVersion {
		r.fail()
	}
	a.n = r.uint()
	a.request = r.uint()
	a.data = strings.Clone(r.s)
	return a, !r.bad
}

func putAnswer(w *writer, result any) {
	switch v := result.(type) {
	case []api.Result:
		w.byte(ansResults)
		for _, x := range v {
			w.byte(byte(x))
		}
	case []api.Lease:
		w.byte(ansLeases)
		w.uint(uint64(len(v)))
		for _, l := range v {
			w.uint(uint64(l.ID))
		}
	case api.Renewal:
		w.byte(ansRenewal)
		putRenewal(w, v)
	case SettleResult:
		w.byte(ansSettled)
		w.uint(uint64(v.Accepted))
		w.uint(uint64(v.Duplicate))
		w.uint(uint64(v.Stale))
	case ReopenResult:
		w.byte(ansReopened)
		w.int(v.N)
		w.bytes(v.Next)
	case int64:
		w.byte(ansCount)
		w.int(v)
	case salvor.SegmentID:
		w.byte(ansSegment)
		w.uint(uint64(v))
	case api.Crawl:
		w.byte(ansCrawl)
		w.uint(uint64(v.ID))
	case uint64:
		w.byte(ansVersion)
		w.uint(v)
	default:
		w.byte(ansNone)
	}
}

func (t *tx) recall(data string) (any, error) {
	r := reader{s: data}
	v := t.getAnswer(&r)
	if !r.end() {
		t.corrupt("answer")
	}
	return v, nil
}

func (t *tx) getAnswer(r *reader) any {
	switch r.byte() {
	case ansResults:
		v := make([]api.Result, len(r.s))
		for i := range v {
			v[i] = api.Result(r.byte())
		}
		return v
	case ansLeases:
		v := []api.Lease{}
		for range r.count(1) {
			if l := t.m.leases[salvor.LeaseID(r.uint())]; l != nil {
				v = append(v, t.leaseOf(l))
			}
		}
		return v
	case ansRenewal:
		v := getRenewal(r)
		v.Merged = t.merged(v.Granted) // not kept: it may be another now
		return v
	case ansSettled:
		return SettleResult{Accepted: int(r.uint()), Duplicate: int(r.uint()), Stale: int(r.uint())}
	case ansReopened:
		return ReopenResult{N: r.int(), Next: r.bytes()}
	case ansCount:
		return r.int()
	case ansSegment:
		return salvor.SegmentID(r.uint())
	case ansVersion:
		return r.uint()
	case ansCrawl:
		if c := t.m.crawls[salvor.CrawlID(r.uint())]; c != nil {
			return c.Crawl
		}
	}
	return nil
}

func putRenewal(w *writer, v api.Renewal) {
	putExtensions(w, v.Granted)
	w.uint(uint64(len(v.Lost)))
	for _, id := range v.Lost {
		w.uint(uint64(id))
	}
	w.uint(uint64(len(v.Struck)))
	for _, k := range v.Struck {
		w.raw(k[:])
	}
}

func getRenewal(r *reader) api.Renewal {
	v := api.Renewal{Granted: getExtensions(r)}
	for range r.count(1) {
		v.Lost = append(v.Lost, salvor.LeaseID(r.uint()))
	}
	v.Struck = getKeys(r)
	return v
}
