package rpc

import (
	"google.golang.org/protobuf/proto"

	"salvor"
)

// codec is connect's for protobuf, with errors that say whose fault they are,
// and without keeping what a newer version sent beside what we know.
type codec struct {
	// filled makes even a message without fields some bytes long, by a field
	// that nobody reads. When a message cannot be written, connect sends a
	// request without any (and then gives the error): a carrier holds that back.
	filled bool
}

// nothing is field 1000, a number, set to 1.
var nothing = []byte{0xc0, 0x3e, 1}

// malformed is a message that cannot be written or read.
type malformed struct {
	class salvor.ErrorClass
	err   error
}

func (e *malformed) Error() string { return e.err.Error() }
func (e *malformed) Unwrap() error { return e.err }

func (codec) Name() string { return "proto" }

func (c codec) Marshal(m any) ([]byte, error) { return c.MarshalAppend(nil, m) }

func (c codec) MarshalAppend(dst []byte, m any) ([]byte, error) {
	before := len(dst)
	b, err := proto.MarshalOptions{}.MarshalAppend(dst, m.(proto.Message))
	if err != nil {
		return nil, &malformed{salvor.Invalid, err}
	}
	if c.filled && len(b) == before {
		b = append(b, nothing...)
	}
	return b, nil
}

func (codec) Unmarshal(b []byte, m any) error {
	if err := (proto.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(b, m.(proto.Message)); err != nil {
		return &malformed{salvor.Internal, err}
	}
	return nil
}
