package rpc

import (
	"context"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// service turns messages into calls of the group they are for.
type service struct{}

func (service) Register(ctx context.Context, m *pb.RegisterRequest) (*pb.RegisterResponse, error) {
	s, err := groupOf(ctx).Register(ctx, m.Worker)
	if err != nil {
		return nil, err
	}
	return &pb.RegisterResponse{Session: uint64(s)}, nil
}

func (service) RegisterAs(ctx context.Context, m *pb.RegisterAsRequest) (*pb.RegisterAsResponse, error) {
	return &pb.RegisterAsResponse{}, groupOf(ctx).RegisterAs(ctx, m.Worker, salvor.SessionID(m.Session))
}

func (service) End(ctx context.Context, m *pb.EndRequest) (*pb.EndResponse, error) {
	return &pb.EndResponse{}, groupOf(ctx).End(ctx, salvor.SessionID(m.Session))
}

func (service) Discover(ctx context.Context, m *pb.DiscoverRequest) (*pb.DiscoverResponse, error) {
	d, err := getDiscovery(m)
	if err != nil {
		return nil, err
	}
	res, err := groupOf(ctx).Discover(ctx, getCall(m.Call), d)
	if err != nil {
		return nil, err
	}
	return &pb.DiscoverResponse{Results: enums(res, putResult)}, nil
}

// mostItems bounds the items of one answer.
const mostItems = 1 << 16

func (service) Lease(ctx context.Context, m *pb.LeaseRequest) (*pb.LeaseResponse, error) {
	w := getWant(m)
	if w.Hosts > 0 && w.Items > 0 {
		w.Items = min(w.Items, max(mostItems/w.Hosts, 1))
	}
	leases, err := groupOf(ctx).Lease(ctx, getCall(m.Call), w)
	if err != nil {
		return nil, err
	}
	return &pb.LeaseResponse{Leases: putAll(fitting(leases), putLease)}, nil
}

// fitting cuts what would make too large a message. A lease left out is newer
// than any its session has seen: it returns to the queue when its time is up.
func fitting(leases []api.Lease) []api.Lease {
	size := 0
	for i := range leases {
		size += leaseSize(&leases[i])
		if size > aimAnswer && i > 0 {
			return leases[:i]
		}
	}
	return leases
}

func leaseSize(l *api.Lease) int {
	size := 64 + len(l.Host)
	for i := range l.Items {
		it := &l.Items[i]
		size += 96 + len(it.Host) + len(it.Origin) + len(it.Method) + len(it.URL) + len(it.Body) + len(it.Hop.Path) + len(it.Via)
	}
	for i := range l.Robots {
		size += 32 + len(l.Robots[i].Origin) + len(l.Robots[i].Rules)
	}
	return size
}

func (service) Extend(ctx context.Context, m *pb.ExtendRequest) (*pb.ExtendResponse, error) {
	h, err := getHoldings(m)
	if err != nil {
		return nil, err
	}
	r, err := groupOf(ctx).Extend(ctx, getCall(m.Call), h)
	if err != nil {
		return nil, err
	}
	return putRenewal(&r), nil
}

func (service) Settle(ctx context.Context, m *pb.SettleRequest) (*pb.SettleResponse, error) {
	s, err := getSettlement(m)
	if err != nil {
		return nil, err
	}
	return &pb.SettleResponse{}, groupOf(ctx).Settle(ctx, getCall(m.Call), s)
}

func (service) Feedback(ctx context.Context, m *pb.FeedbackRequest) (*pb.FeedbackResponse, error) {
	list, err := getAll(m.Hosts, getFeedback)
	if err != nil {
		return nil, err
	}
	return &pb.FeedbackResponse{}, groupOf(ctx).Feedback(ctx, list)
}

func (service) OpenSegment(ctx context.Context, m *pb.OpenSegmentRequest) (*pb.OpenSegmentResponse, error) {
	id, err := groupOf(ctx).OpenSegment(ctx, getCall(m.Call), m.Name)
	if err != nil {
		return nil, err
	}
	return &pb.OpenSegmentResponse{Segment: uint32(id)}, nil
}

func (service) SetSegment(ctx context.Context, m *pb.SetSegmentRequest) (*pb.SetSegmentResponse, error) {
	s, err := getOne(m.Segment, getSegment)
	if err != nil {
		return nil, err
	}
	return &pb.SetSegmentResponse{}, groupOf(ctx).SetSegment(ctx, s)
}
