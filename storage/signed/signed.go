// Package signed is a Store for workers that have no keys of the real one.
//
// A coordinator that has the keys serves a Handler; a worker opens a Store over
// the coordinators' addresses. Where the real Store is a bucket, bytes do not
// pass through the coordinator: it signs each upload, and the worker sends it
// to the bucket itself. Other Stores (a directory, a mirror of two) get their
// objects through the coordinator. Reading goes through it in any case.
//
// What it guarantees beyond storage.Store:
//
//   - A signed upload lets its holder put the bytes of one size and checksum
//     under one key, if that is absent, and nothing else. What a worker may ask
//     for at all is decided by HandlerConfig.Allow; Own is the rule for workers.
//   - Any coordinator goes on with what another began: all that it needs to
//     know travels with the worker, in a ticket that coordinators authenticate.
//     A coordinator that is killed costs one repeated request.
//   - A lost answer is no failure: every call may be repeated.
//   - Neither side holds more than a few hundred kilobytes of an object.
//
// What it does not: a presigned URL cannot be taken back before it expires; of
// an object in parts the bucket confirms the CRC64NVME, and its SHA-256 is what
// the worker computed over the same bytes in one pass (see Check); and after a
// lost answer of a Store that is not a bucket, Info.Existed may be true of an
// object that this very Put brought.
package signed

import (
	"context"
	"encoding/hex"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/s3"
)

// Op is what a worker asks for.
type Op string

// Operations that Allow decides on.
const (
	OpPut    Op = "put"
	OpGet    Op = "get"    // the bytes of an object, or a range of them
	OpStat   Op = "stat"   // its size, time and checksum
	OpList   Op = "list"   // the key is a prefix, and may be empty
	OpDelete Op = "delete" // removes an object
)

// Presigner is a Store that can sign uploads; *s3.Store is one.
type Presigner interface {
	PresignPut(ctx context.Context, key string, c s3.Content, o storage.PutOptions, ttl time.Duration) (*s3.PresignedPut, error)
	BeginPresigned(ctx context.Context, key string, m s3.Manifest, o storage.PutOptions) (*s3.PresignedUpload, error)
	SignParts(ctx context.Context, p *s3.PresignedUpload, from, n int, ttl time.Duration) ([]s3.PresignedPart, error)
	SentParts(ctx context.Context, p *s3.PresignedUpload) ([]string, error)
	CompletePresigned(ctx context.Context, p *s3.PresignedUpload, etags []string) (storage.Info, error)
	AbortPresigned(ctx context.Context, p *s3.PresignedUpload)
}

var _ Presigner = (*s3.Store)(nil)

// Root is the path below which a Handler answers; the version of what is said
// is part of it.
const Root = "/v1/store/"

// Bounds of what either side accepts.
const (
	maxRequest = 2 << 20 // a manifest of 10,000 parts and their ETags have a third of it
	maxAnswer  = 8 << 20
	maxParts   = 10_000
	maxSigned  = 32 // parts signed in one call
	maxListed  = 1000
	maxType    = 100
	maxETag    = 200
)

// beginRequest asks how an object may be put. It is asked for again with a
// manifest when the answer names a part size.
type beginRequest struct {
	Key      string       `json:"key"`
	Size     int64        `json:"size"`
	SHA256   string       `json:"sha256"` // hexadecimal
	Type     string       `json:"type,omitempty"`
	Look     bool         `json:"look,omitempty"` // see first whether it is there
	Manifest *s3.Manifest `json:"manifest,omitempty"`
}

// beginAnswer has one of its fields.
type beginAnswer struct {
	There    *object          `json:"there,omitempty"`     // with the same content
	Proxy    bool             `json:"proxy,omitempty"`     // send it to the coordinator
	Put      *s3.PresignedPut `json:"put,omitempty"`       // send it so
	PartSize int64            `json:"part_size,omitempty"` // make a manifest, begin again
	Ticket   string           `json:"ticket,omitempty"`    // of an upload in parts
}

// partsRequest is about an upload in parts.
type partsRequest struct {
	Ticket string   `json:"ticket"`
	From   int      `json:"from,omitempty"`
	Count  int      `json:"count,omitempty"`
	ETags  []string `json:"etags,omitempty"`
}

type partsAnswer struct {
	Parts []s3.PresignedPart `json:"parts,omitempty"`
	ETags []string           `json:"etags,omitempty"`
}

type listAnswer struct {
	Objects []object `json:"objects"`
	More    bool     `json:"more,omitempty"`
}

// object is a storage.Info on its way.
type object struct {
	Key      string    `json:"key"`
	Size     int64     `json:"size"`
	Modified time.Time `json:"modified,omitzero"`
	SHA256   string    `json:"sha256,omitempty"`
	Claimed  bool      `json:"claimed,omitempty"`
	Existed  bool      `json:"existed,omitempty"`
}

func objectOf(i storage.Info) *object {
	o := &object{Key: i.Key, Size: i.Size, Modified: i.Modified, Claimed: i.Claimed, Existed: i.Existed}
	if i.SHA256 != [32]byte{} {
		o.SHA256 = hex.EncodeToString(i.SHA256[:])
	}
	return o
}

func (o *object) info() storage.Info {
	i := storage.Info{Key: o.Key, Size: o.Size, Modified: o.Modified, Claimed: o.Claimed, Existed: o.Existed}
	if sum, err := parseSum(o.SHA256); err == nil {
		i.SHA256 = sum
	}
	return i
}

func parseSum(text string) (sum [32]byte, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(sum) {
		return sum, salvor.Errorf(salvor.Invalid, "%.80q is no SHA-256 in hexadecimal digits", text)
	}
	return [32]byte(b), nil
}

// sized is the content that an upload is asked for.
type sized struct {
	size int64
	sum  [32]byte
}

func (c sized) Size() int64      { return c.size }
func (c sized) SHA256() [32]byte { return c.sum }
