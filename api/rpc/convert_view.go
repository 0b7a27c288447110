package rpc

import (
	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

func putCrawl(m *pb.Crawl, c *api.Crawl) {
	m.Id, m.Name, m.State = uint32(c.ID), c.Name, pb.CrawlState(c.State)
	m.HashKey, m.Canon, m.Scope, m.Deadline = c.HashKey[:], uint32(c.Canon), c.Scope, c.Deadline
	m.Ceiling, m.Start, m.Tries = uint64(c.Ceiling), uint64(c.Start), uint32(c.Tries)
	m.Settings, m.Basis, m.Created, m.Version = c.Settings, uint32(c.Basis), c.Created, c.Version
}

func getCrawl(c *api.Crawl, m *pb.Crawl) error {
	*c = api.Crawl{
		ID: salvor.CrawlID(m.Id), Name: m.Name, State: small8[salvor.CrawlState](m.State),
		Canon: small16(m.Canon), Scope: m.Scope, Deadline: m.Deadline,
		Ceiling: salvor.Pace(m.Ceiling), Start: salvor.Pace(m.Start), Tries: small16(m.Tries),
		Settings: m.Settings, Basis: salvor.CrawlID(m.Basis), Created: m.Created, Version: m.Version,
	}
	return fill(c.HashKey[:], m.HashKey, "a hash key")
}

func putTotals(m *pb.Totals, t *api.Totals) {
	m.Accepted, m.Queued, m.Waiting, m.Leased = t.Accepted, t.Queued, t.Waiting, t.Leased
	m.Outcomes = t.Outcomes[:]
	m.Bytes, m.Captures, m.Late, m.Dups, m.Clock = t.Bytes, t.Captures, t.Late, t.Dups, t.Clock
}

func getTotals(t *api.Totals, m *pb.Totals) error {
	*t = api.Totals{
		Accepted: m.Accepted, Queued: m.Queued, Waiting: m.Waiting, Leased: m.Leased,
		Bytes: m.Bytes, Captures: m.Captures, Late: m.Late, Dups: m.Dups, Clock: m.Clock,
	}
	copy(t.Outcomes[:], m.Outcomes)
	return nil
}

func putHost(m *pb.Host, h *api.Host) {
	m.Name, m.Totals = h.Name, new(pb.Totals)
	putTotals(m.Totals, &h.Totals)
	m.Rate, m.Ceiling, m.Booked = uint64(h.Rate), uint64(h.Ceiling), uint64(h.Booked)
	m.Blocked, m.Note, m.Group, m.Unbegun = h.Blocked, text(h.Note), h.Group, h.Unbegun
	m.Bands, m.Held = putBands(h.Bands), putBands(h.Held)
}

func putBands(list []api.BandCount) (out []*pb.BandCount) {
	for _, b := range list {
		out = append(out, &pb.BandCount{Band: uint32(b.Band), Queued: b.Queued})
	}
	return out
}

func getBands(list []*pb.BandCount) (out []api.BandCount) {
	for _, b := range list {
		out = append(out, api.BandCount{Band: salvor.Band(b.Band), Queued: b.Queued})
	}
	return out
}

func getHost(h *api.Host, m *pb.Host) (err error) {
	*h = api.Host{
		Name: m.Name, Rate: salvor.Pace(m.Rate), Ceiling: salvor.Pace(m.Ceiling), Booked: salvor.Pace(m.Booked),
		Blocked: m.Blocked, Note: m.Note, Group: m.Group, Unbegun: m.Unbegun,
	}
	h.Bands, h.Held = getBands(m.Bands), getBands(m.Held)
	h.Totals, err = getOne(m.Totals, getTotals)
	return err
}

func putHostGroup(m *pb.HostGroup, g *api.HostGroup) {
	m.Name, m.Hosts, m.Crawl, m.Share = g.Name, g.Hosts, uint32(g.Crawl), uint64(g.Share)
	m.Rate, m.Ceiling, m.Blocked, m.Note, m.Open = uint64(g.Rate), uint64(g.Ceiling), g.Blocked, text(g.Note), g.Open
}

func getHostGroup(g *api.HostGroup, m *pb.HostGroup) error {
	*g = api.HostGroup{
		Name: m.Name, Hosts: m.Hosts, Crawl: salvor.CrawlID(m.Crawl), Share: salvor.Pace(m.Share),
		Rate: salvor.Pace(m.Rate), Ceiling: salvor.Pace(m.Ceiling), Blocked: m.Blocked, Note: m.Note, Open: m.Open,
	}
	return nil
}

func putGroupLimits(m *pb.GroupLimits, l *api.GroupLimits) {
	m.Name, m.Rate, m.Was, m.Ceiling = l.Name, uint64(l.Rate), uint64(l.Was), uint64(l.Ceiling)
	m.Blocked, m.Note = l.Blocked, text(l.Note)
}

func getGroupLimits(l *api.GroupLimits, m *pb.GroupLimits) error {
	*l = api.GroupLimits{
		Name: m.Name, Rate: salvor.Pace(m.Rate), Was: salvor.Pace(m.Was), Ceiling: salvor.Pace(m.Ceiling),
		Blocked: m.Blocked, Note: m.Note,
	}
	return nil
}

func putTypes(in map[string]api.Count) []*pb.TypeCount {
	out := make([]*pb.TypeCount, 0, len(in))
	for t, n := range in {
		out = append(out, &pb.TypeCount{Type: text(t), Urls: n.URLs, Bytes: n.Bytes})
	}
	return out
}

func getTypes(in []*pb.TypeCount) map[string]api.Count {
	out := make(map[string]api.Count, len(in))
	for _, m := range in {
		out[m.Type] = plus(out[m.Type], m.Urls, m.Bytes)
	}
	return out
}

func putCodes(in map[int]api.Count) []*pb.CodeCount {
	out := make([]*pb.CodeCount, 0, len(in))
	for c, n := range in {
		out = append(out, &pb.CodeCount{Code: int32Of(c), Urls: n.URLs, Bytes: n.Bytes})
	}
	return out
}

func getCodes(in []*pb.CodeCount) map[int]api.Count {
	out := make(map[int]api.Count, len(in))
	for _, m := range in {
		out[int(m.Code)] = plus(out[int(m.Code)], m.Urls, m.Bytes)
	}
	return out
}

func plus(c api.Count, urls, bytes int64) api.Count {
	return api.Count{URLs: c.URLs + urls, Bytes: c.Bytes + bytes}
}

func putReasons(in map[api.Reason]int64) []*pb.ReasonCount {
	out := make([]*pb.ReasonCount, 0, len(in))
	for r, n := range in {
		out = append(out, &pb.ReasonCount{Outcome: putOutcome(r.Outcome), Text: text(r.Text), Count: n})
	}
	return out
}

func getReasons(in []*pb.ReasonCount) map[api.Reason]int64 {
	out := make(map[api.Reason]int64, len(in))
	for _, m := range in {
		out[api.Reason{Outcome: getOutcome(m.Outcome), Text: m.Text}] += m.Count
	}
	return out
}

func putKnown(m *pb.Known, k *api.Known) {
	m.Item = new(pb.Item)
	putItem(m.Item, &k.Item)
	m.State, m.Outcome, m.Reason, m.Status = pb.ItemState(k.State), pb.Outcome(k.Outcome), text(k.Reason), int32Of(k.Status)
	m.Segment, m.Offset, m.Length = uint32(k.Place.Segment), k.Place.Offset, k.Place.Length
	m.Digest, m.At, m.Retry = sum(k.Digest[:]), k.At, k.Retry
}

func getKnown(k *api.Known, m *pb.Known) error {
	*k = api.Known{
		State: small8[api.ItemState](m.State), Outcome: getOutcome(m.Outcome), Reason: m.Reason, Status: int(m.Status),
		Place: salvor.Place{Segment: salvor.SegmentID(m.Segment), Offset: m.Offset, Length: m.Length},
		At:    m.At, Retry: m.Retry,
	}
	if err := fill(k.Digest[:], m.Digest, "a digest"); err != nil || m.Item == nil {
		return err
	}
	return getItem(&k.Item, m.Item)
}

func putSegment(m *pb.Segment, s *api.Segment) {
	m.Id, m.Name, m.Object, m.Base, m.Bytes = uint32(s.ID), s.Name, s.Object, s.Base, s.Bytes
	m.Sha256, m.State = sum(s.SHA256[:]), pb.SegmentState(s.State)
}

func getSegment(s *api.Segment, m *pb.Segment) error {
	*s = api.Segment{
		ID: salvor.SegmentID(m.Id), Name: m.Name, Object: m.Object, Base: m.Base, Bytes: m.Bytes,
		State: small8[api.SegmentState](m.State),
	}
	return fill(s.SHA256[:], m.Sha256, "a SHA-256")
}

func putHostKey(m *pb.HostKey, k *api.HostKey) { m.Host, m.Key = k.Host, k.Key[:] }

func getHostKey(k *api.HostKey, m *pb.HostKey) error {
	k.Host = m.Host
	return fill(k.Key[:], m.Key, "a key")
}

func putRecord(m *pb.Record, r *api.Record) {
	m.Table, m.Key, m.Value, m.Version = r.Table, r.Key, r.Value, r.Version
}

func getRecord(r *api.Record, m *pb.Record) error {
	*r = api.Record{Table: m.Table, Key: m.Key, Value: m.Value, Version: m.Version}
	return nil
}

func putRanked(m *pb.RankRequest, items []api.Ranked) {
	m.Keys, m.Bands = make([]*pb.HostKey, len(items)), make([]byte, len(items))
	for i := range items {
		m.Keys[i] = new(pb.HostKey)
		putHostKey(m.Keys[i], &items[i].HostKey)
		m.Bands[i] = byte(items[i].Band)
	}
}

func getRanked(m *pb.RankRequest) ([]api.Ranked, error) {
	keys, err := getAll(m.Keys, getHostKey)
	if err != nil {
		return nil, err
	}
	if len(m.Bands) != len(keys) {
		return nil, salvor.Errorf(salvor.Invalid, "%d bands for %d items", len(m.Bands), len(keys))
	}
	items := make([]api.Ranked, len(keys))
	for i := range keys {
		items[i] = api.Ranked{HostKey: keys[i], Band: salvor.Band(m.Bands[i])}
	}
	return items, nil
}
