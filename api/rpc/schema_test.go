package rpc

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"salvor/api/pb"
)

// fields lists every field and enum value of the schema with its number.
func fields() (all []string) {
	for _, f := range []protoreflect.FileDescriptor{pb.File_salvor_v1_types_proto, pb.File_salvor_v1_error_proto, pb.File_salvor_v1_group_proto} {
		for i := range f.Messages().Len() {
			m := f.Messages().Get(i)
			for j := range m.Fields().Len() {
				x := m.Fields().Get(j)
				all = append(all, fmt.Sprintf("%s %d %s %s %s", m.Name(), x.Number(), x.Name(), x.Cardinality(), x.Kind()))
			}
		}
		for i := range f.Enums().Len() {
			e := f.Enums().Get(i)
			for j := range e.Values().Len() {
				all = append(all, fmt.Sprintf("%s %d %s", e.Name(), e.Values().Get(j).Number(), e.Values().Get(j).Name()))
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestNumbersAreForGood: nodes of different versions talk to each other, so a
// line of testdata/fields.txt is never changed or taken out. A new field is a
// new line.
func TestNumbersAreForGood(t *testing.T) {
	b, err := os.ReadFile("testdata/fields.txt")
	if err != nil {
		t.Fatal(err)
	}
	kept, now := strings.Split(strings.TrimSpace(string(b)), "\n"), fields()
	for _, line := range kept {
		if !slices.Contains(now, line) {
			t.Errorf("the schema has no longer: %s", line)
		}
	}
	for _, line := range now {
		if !slices.Contains(kept, line) {
			t.Errorf("new, to be added to the file: %s", line)
		}
		if strings.Contains(line, " 1000 ") {
			t.Errorf("field 1000 is what an empty request carries: %s", line)
		}
	}
}

// FuzzRequests reads what anybody may send.
func FuzzRequests(f *testing.F) {
	add := func(m proto.Message) {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	add(&pb.DiscoverRequest{Call: &pb.Call{Session: 1}, Items: []*pb.Offer{{Item: &pb.Item{Key: make([]byte, 16), Links: 1 << 20}}}})
	add(&pb.SettleRequest{Entries: []*pb.Entry{{Key: []byte{1}, Outcome: -1, Verb: 300}}, Robots: []*pb.Robots{{Status: 9}}})
	add(&pb.ExtendRequest{Leases: []*pb.Extension{{Lease: 1}}, Unstarted: []*pb.Slice{{Items: -1}}})
	add(&pb.SetCrawlRequest{Crawl: &pb.Crawl{HashKey: make([]byte, 17)}})
	add(&pb.ExcludeRequest{Keys: []*pb.HostKey{{}}})
	add(&pb.RankRequest{Keys: []*pb.HostKey{{}}, Bands: []byte{1, 2}})
	f.Fuzz(func(t *testing.T, b []byte) {
		var (
			discover pb.DiscoverRequest
			settle   pb.SettleRequest
			extend   pb.ExtendRequest
			lease    pb.LeaseRequest
			crawl    pb.SetCrawlRequest
			exclude  pb.ExcludeRequest
			rank     pb.RankRequest
			segment  pb.SetSegmentRequest
			record   pb.SetRecordRequest
			feedback pb.FeedbackRequest
		)
		read := func(m proto.Message, f func() error) {
			if (codec{}).Unmarshal(b, m) == nil {
				_ = f() // an error is a good answer
			}
		}
		read(&discover, func() error { _, err := getDiscovery(&discover); return err })
		read(&settle, func() error { _, err := getSettlement(&settle); return err })
		read(&extend, func() error { _, err := getHoldings(&extend); return err })
		read(&lease, func() error { getWant(&lease); return nil })
		read(&crawl, func() error { _, err := getOne(crawl.Crawl, getCrawl); return err })
		read(&exclude, func() error { _, err := getAll(exclude.Keys, getHostKey); return err })
		read(&rank, func() error { _, err := getRanked(&rank); return err })
		read(&segment, func() error { _, err := getOne(segment.Segment, getSegment); return err })
		read(&record, func() error { _, err := getOne(record.Record, getRecord); return err })
		read(&feedback, func() error { _, err := getAll(feedback.Hosts, getFeedback); return err })
	})
}

// TestStrangeNumbers stay strange: a number of a newer version must not turn
// into one of ours.
func TestStrangeNumbers(t *testing.T) {
	for _, n := range []pb.Outcome{-1, 256, 257, 1 << 30} {
		if got := getOutcome(n); got != 255 {
			t.Errorf("outcome %d became %d", n, got)
		}
	}
	if small16(1<<16) != 1<<16-1 {
		t.Error("70000 links became few")
	}
	if err := fill(make([]byte, 16), make([]byte, 15), "a key"); err == nil {
		t.Error("a key of 15 bytes")
	}
}
