package rpc

import (
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

func putItem(m *pb.Item, it *salvor.Item) {
	m.Key = it.Key[:]
	m.Crawl = uint32(it.Crawl)
	m.Host, m.Origin, m.Method, m.Url, m.Body = it.Host, it.Origin, it.Method, it.URL, it.Body
	m.Class, m.Band = pb.ItemClass(it.Class), uint32(it.Band)
	m.Links, m.Embeds, m.Extra, m.Path = uint32(it.Hop.Links), uint32(it.Hop.Embeds), uint32(it.Hop.Extra), text(it.Hop.Path)
	m.Via, m.Round, m.Attempts, m.Expiry = it.Via, it.Round, uint32(it.Attempts), it.Expiry
}

func getItem(it *salvor.Item, m *pb.Item) error {
	*it = salvor.Item{
		Crawl: salvor.CrawlID(m.Crawl),
		Host:  m.Host, Origin: m.Origin, Method: m.Method, URL: m.Url, Body: m.Body,
		Class: small8[salvor.Class](m.Class), Band: small8[salvor.Band](m.Band),
		Hop: salvor.Hop{Links: small16(m.Links), Embeds: small8[uint8](m.Embeds), Extra: small8[uint8](m.Extra), Path: m.Path},
		Via: m.Via, Round: m.Round, Attempts: small16(m.Attempts), Expiry: m.Expiry,
	}
	return fill(it.Key[:], m.Key, "a key")
}

// offers are a message and its item.
type offer struct {
	pb.Offer
	item pb.Item
}

// putOffers is putAll with each item beside its offer.
func putOffers(in []api.Offer) []*pb.Offer {
	all, out := make([]offer, len(in)), make([]*pb.Offer, len(in))
	for i := range in {
		m := &all[i]
		m.Item, m.Excluded = &m.item, text(in[i].Excluded)
		putItem(m.Item, &in[i].Item)
		out[i] = &m.Offer
	}
	return out
}

func getOffer(o *api.Offer, m *pb.Offer) error {
	o.Excluded = m.Excluded
	if m.Item == nil {
		return salvor.Errorf(salvor.Invalid, "rpc: an offer without an item")
	}
	return getItem(&o.Item, m.Item)
}

func getDiscovery(m *pb.DiscoverRequest) (d api.Discovery, err error) {
	d.Crawl, d.Scope = salvor.CrawlID(m.Crawl), m.Scope
	d.Items, err = getAll(m.Items, getOffer)
	return d, err
}

func putRobots(m *pb.Robots, r *api.Robots) {
	m.Origin, m.Rules, m.Status, m.Fetched = r.Origin, r.Rules, pb.RobotsStatus(r.Status), r.Fetched
}

func getRobots(r *api.Robots, m *pb.Robots) error {
	*r = api.Robots{Origin: m.Origin, Rules: m.Rules, Status: small8[api.RobotsStatus](m.Status), Fetched: m.Fetched}
	return nil
}

func putLease(m *pb.Lease, l *api.Lease) {
	m.Id, m.Crawl, m.Host, m.Pace, m.Ttl = uint64(l.ID), uint32(l.Crawl), l.Host, uint64(l.Pace), int64(l.TTL)
	m.Group = l.Group
	m.Items = putAll(l.Items, putItem)
	m.Robots = putAll(l.Robots, putRobots)
}

func getLease(l *api.Lease, m *pb.Lease) (err error) {
	*l = api.Lease{
		ID: salvor.LeaseID(m.Id), Crawl: salvor.CrawlID(m.Crawl), Host: m.Host, Group: m.Group,
		Pace: salvor.Pace(m.Pace), TTL: time.Duration(m.Ttl),
	}
	if l.Robots, err = getAll(m.Robots, getRobots); err != nil {
		return err
	}
	l.Items, err = getAll(m.Items, getItem)
	return err
}

func putWant(c api.Call, w api.Want) *pb.LeaseRequest {
	return &pb.LeaseRequest{
		Call: putCall(c), Crawl: uint32(w.Crawl), Hosts: int32Of(w.Hosts), Items: int32Of(w.Items),
		Wait: int64(w.Wait), Not: w.Not, Idle: w.Idle,
	}
}

func getWant(m *pb.LeaseRequest) api.Want {
	return api.Want{
		Crawl: salvor.CrawlID(m.Crawl), Hosts: int(m.Hosts), Items: int(m.Items),
		Wait: time.Duration(m.Wait), Not: m.Not, Idle: m.Idle,
	}
}

func putExtension(m *pb.Extension, e *api.Extension) {
	m.Lease, m.Pace = uint64(e.Lease), uint64(e.Pace)
}

func getExtension(e *api.Extension, m *pb.Extension) error {
	*e = api.Extension{Lease: salvor.LeaseID(m.Lease), Pace: salvor.Pace(m.Pace)}
	return nil
}

func putMember(m *pb.Member, x *api.Member) { m.Lease, m.Group = uint64(x.Lease), x.Group }

func getMember(x *api.Member, m *pb.Member) error {
	*x = api.Member{Lease: salvor.LeaseID(m.Lease), Group: m.Group}
	return nil
}

func putSlice(m *pb.Slice, s *api.Slice) { m.Lease, m.Items = uint64(s.Lease), int64(s.Items) }

func getSlice(s *api.Slice, m *pb.Slice) error {
	*s = api.Slice{Lease: salvor.LeaseID(m.Lease), Items: int(m.Items)}
	return nil
}

func putHoldings(c api.Call, h api.Holdings) *pb.ExtendRequest {
	return &pb.ExtendRequest{
		Call: putCall(c), Seen: uint64(h.Seen),
		Leases: putAll(h.Leases, putExtension), Unstarted: putAll(h.Unstarted, putSlice),
	}
}

func getHoldings(m *pb.ExtendRequest) (h api.Holdings, err error) {
	h.Seen = salvor.LeaseID(m.Seen)
	if h.Leases, err = getAll(m.Leases, getExtension); err != nil {
		return h, err
	}
	h.Unstarted, err = getAll(m.Unstarted, getSlice)
	return h, err
}

func putRenewal(r *api.Renewal) *pb.ExtendResponse {
	m := &pb.ExtendResponse{
		Granted: putAll(r.Granted, putExtension), Recalled: putAll(r.Recalled, putSlice), Merged: putAll(r.Merged, putMember),
		Lost: enums(r.Lost, func(id salvor.LeaseID) uint64 { return uint64(id) }),
	}
	for i := range r.Struck {
		m.Struck = append(m.Struck, r.Struck[i][:])
	}
	return m
}

func getRenewal(m *pb.ExtendResponse) (r api.Renewal, err error) {
	r.Lost = enums(m.Lost, func(id uint64) salvor.LeaseID { return salvor.LeaseID(id) })
	for _, k := range m.Struck {
		var key salvor.Key
		if err := fill(key[:], k, "a key"); err != nil {
			return r, err
		}
		r.Struck = append(r.Struck, key)
	}
	if r.Recalled, err = getAll(m.Recalled, getSlice); err != nil {
		return r, err
	}
	if r.Merged, err = getAll(m.Merged, getMember); err != nil {
		return r, err
	}
	r.Granted, err = getAll(m.Granted, getExtension)
	return r, err
}

func putEntry(m *pb.Entry, e *api.Entry) {
	m.Key, m.Host, m.Lease, m.Round = e.Key[:], e.Host, uint64(e.Lease), e.Round
	m.Verb, m.Outcome, m.Reason, m.Status = pb.Verb(e.Verb), pb.Outcome(e.Outcome), text(e.Reason), int32Of(e.Status)
	m.Segment, m.Offset, m.Length = uint32(e.Place.Segment), e.Place.Offset, e.Place.Length
	m.Digest, m.Bytes, m.Type, m.At, m.Retry = sum(e.Digest[:]), e.Bytes, text(e.Type), e.At, e.Retry
}

func getEntry(e *api.Entry, m *pb.Entry) error {
	*e = api.Entry{
		Host: m.Host, Lease: salvor.LeaseID(m.Lease), Round: m.Round,
		Verb: small8[api.Verb](m.Verb), Outcome: getOutcome(m.Outcome), Reason: m.Reason, Status: int(m.Status),
		Place: salvor.Place{Segment: salvor.SegmentID(m.Segment), Offset: m.Offset, Length: m.Length},
		Bytes: m.Bytes, Type: m.Type, At: m.At, Retry: m.Retry,
	}
	if err := fill(e.Key[:], m.Key, "a key"); err != nil {
		return err
	}
	return fill(e.Digest[:], m.Digest, "a digest")
}

func getSettlement(m *pb.SettleRequest) (s api.Settlement, err error) {
	s.Crawl = salvor.CrawlID(m.Crawl)
	if s.Robots, err = getAll(m.Robots, getRobots); err != nil {
		return s, err
	}
	s.Entries, err = getAll(m.Entries, getEntry)
	return s, err
}

func putFeedback(m *pb.HostFeedback, f *api.HostFeedback) {
	m.Crawl, m.Host, m.Requests, m.Errors, m.Throttled = uint32(f.Crawl), f.Host, f.Requests, f.Errors, f.Throttled
	m.Latency, m.RetryAfter, m.CrawlDelay = int64(f.Latency), f.RetryAfter, int64(f.CrawlDelay)
	m.Limited, m.Slowed = f.Limited, f.Slowed
}

func getFeedback(f *api.HostFeedback, m *pb.HostFeedback) error {
	*f = api.HostFeedback{
		Crawl: salvor.CrawlID(m.Crawl), Host: m.Host, Requests: m.Requests, Errors: m.Errors, Throttled: m.Throttled,
		Latency: time.Duration(m.Latency), RetryAfter: m.RetryAfter, CrawlDelay: time.Duration(m.CrawlDelay),
		Limited: m.Limited, Slowed: m.Slowed,
	}
	return nil
}
