package rpc

import (
	"math"
	"strings"
	"unicode/utf8"

	"salvor"
	"salvor/api"
	"salvor/api/pb"
)

// Conversions keep what a caller gave untouched: what is sent points into it
// and is written out before the call returns; what was received is the
// receiver's alone. The messages of one list lie in one array.

// putAll makes the messages of a list.
func putAll[M, T any](in []T, put func(*M, *T)) []*M {
	if len(in) == 0 {
		return nil
	}
	all, out := make([]M, len(in)), make([]*M, len(in))
	for i := range in {
		put(&all[i], &in[i])
		out[i] = &all[i]
	}
	return out
}

// getAll reads the messages of a list.
func getAll[M, T any](in []*M, get func(*T, *M) error) ([]T, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]T, len(in))
	for i, m := range in {
		if err := get(&out[i], m); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// one makes a single message.
func one[M, T any](in T, put func(*M, *T)) *M {
	m := new(M)
	put(m, &in)
	return m
}

// getOne reads a single message; a missing one is the zero value.
func getOne[M, T any](m *M, get func(*T, *M) error) (v T, err error) {
	if m != nil {
		err = get(&v, m)
	}
	return v, err
}

// fill reads bytes of a fixed length; none are all zero.
func fill(dst, src []byte, what string) error {
	if len(src) != len(dst) && len(src) != 0 {
		return salvor.Errorf(salvor.Invalid, "rpc: %s of %d bytes, not %d", what, len(src), len(dst))
	}
	copy(dst, src)
	return nil
}

// sum leaves out digests that say nothing.
func sum(b []byte) []byte {
	for _, x := range b {
		if x != 0 {
			return b
		}
	}
	return nil
}

// text is s as protobuf takes it. Reasons and media types come from servers;
// what is no UTF-8 in them is not worth an error.
func text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// small8 and small16 keep numbers of a newer version from turning into others
// of ours: what is too large stays too large.
func small8[T ~uint8, N ~int32 | ~uint32](n N) T {
	if n < 0 || n > math.MaxUint8 {
		return T(math.MaxUint8)
	}
	return T(n)
}

func small16(n uint32) uint16 { return uint16(min(n, math.MaxUint16)) }

func int32Of(n int) int32 { return int32(max(min(n, math.MaxInt32), math.MinInt32)) }

// enums converts a list of numbers.
func enums[To, From any](in []From, f func(From) To) []To {
	if len(in) == 0 {
		return nil
	}
	out := make([]To, len(in))
	for i, n := range in {
		out[i] = f(n)
	}
	return out
}

func putOutcome(o salvor.Outcome) pb.Outcome { return pb.Outcome(o) }
func getOutcome(o pb.Outcome) salvor.Outcome { return small8[salvor.Outcome](o) }
func putResult(r api.Result) pb.Result       { return pb.Result(r) }
func getResult(r pb.Result) api.Result       { return small8[api.Result](r) }

func putCall(c api.Call) *pb.Call {
	if c == (api.Call{}) {
		return nil
	}
	return &pb.Call{Session: uint64(c.Session), Request: c.Request}
}

func getCall(m *pb.Call) api.Call {
	return api.Call{Session: salvor.SessionID(m.GetSession()), Request: m.GetRequest()}
}
