package warc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"salvor"
	"salvor/api"
	"salvor/storage"
	"salvor/warc/cdx"
)

// Joining makes one large object of many small segments. It is safe to stop at
// any moment and to begin again: every step is a put of what is not there, and
// nothing here removes anything.
//
// A gzip file may be the concatenation of gzip files, and a WARC file that of
// WARC files, so the bytes of a segment stay what they were and its offsets
// move by where it begins (WARC 1.1, Annex B).

// Joined lists what a joined object consists of: an offset in the segment NAME
// is the same offset above Base.
type Joined struct {
	Format  int      `json:"format"`
	Object  string   `json:"object"`
	Bytes   int64    `json:"bytes"`
	SHA256  string   `json:"sha256"`
	Members []Member `json:"members"`
}

// Member is a segment inside a joined object.
type Member struct {
	Name   string           `json:"name"`
	ID     salvor.SegmentID `json:"id"`
	Base   int64            `json:"base"`
	Bytes  int64            `json:"bytes"`
	SHA256 string           `json:"sha256"`
}

const joinedFormat = 1

// MembersKey is where a joined object's list lies.
func MembersKey(name string) string {
	return "joined/" + strings.TrimSuffix(name, ".warc.gz") + ".json"
}

// PlanJoins groups stored segments that follow each other into joins of about
// target bytes. Segments of half that size and those already joined stay.
func PlanJoins(segments []api.Segment, target int64) (plans [][]api.Segment) {
	var now []api.Segment
	var size int64
	flush := func() {
		if len(now) > 1 {
			plans = append(plans, now)
		}
		now, size = nil, 0
	}
	for _, s := range segments {
		if s.State != api.SegmentStored || s.Object != Key(s.Name) || s.Base != 0 || s.Bytes >= target/2 {
			continue
		}
		if size+s.Bytes > target {
			flush()
		}
		now, size = append(now, s), size+s.Bytes
	}
	flush()
	return plans
}

// JoinedName is the name of what segments are joined to: that of the first,
// and how many follow.
func JoinedName(members []api.Segment) string {
	return fmt.Sprintf("%s-and-%d.warc.gz", strings.TrimSuffix(members[0].Name, ".warc.gz"), len(members)-1)
}

// Join puts the concatenation of segments, reads it back, then puts its list
// and its index. Nothing is in force until the caller reports the segments'
// new places, and the members stay.
func Join(ctx context.Context, s storage.Store, members []api.Segment) (Joined, error) {
	name := JoinedName(members)
	c, err := concatenate(ctx, s, members)
	if err != nil {
		return Joined{}, err
	}
	if _, err := s.Put(ctx, Key(name), c, storage.PutOptions{Type: "application/warc"}); err != nil {
		return Joined{}, err
	}
	j := Joined{Format: joinedFormat, Object: Key(name), Bytes: c.size, SHA256: hex.EncodeToString(c.sum[:])}
	base := int64(0)
	for _, m := range members {
		j.Members = append(j.Members, Member{Name: m.Name, ID: m.ID, Base: base, Bytes: m.Bytes, SHA256: hex.EncodeToString(m.SHA256[:])})
		base += m.Bytes
	}
	if err := j.Verify(ctx, s); err != nil {
		return j, err
	}
	index, err := j.index(ctx, s)
	if err != nil {
		return j, err
	}
	list, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return j, err
	}
	if _, err = s.Put(ctx, CDXJKey(name), storage.BytesBlob(index), storage.PutOptions{Type: "text/x-cdxj"}); err == nil {
		_, err = s.Put(ctx, MembersKey(name), storage.BytesBlob(append(list, '\n')), storage.PutOptions{Type: "application/json"})
	}
	return j, err
}

// concatenation is a blob of objects one after the other.
type concatenation struct {
	ctx     context.Context
	s       storage.Store
	members []api.Segment
	size    int64
	sum     [32]byte
}

// concatenate reads all members once, checks each, and digests the whole.
func concatenate(ctx context.Context, s storage.Store, members []api.Segment) (*concatenation, error) {
	c := &concatenation{ctx: ctx, s: s, members: members}
	whole := sha256.New()
	for _, m := range members {
		own := sha256.New()
		r, _, err := s.Get(ctx, m.Object)
		if err != nil {
			return nil, err
		}
		n, err := io.Copy(io.MultiWriter(whole, own), r)
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, fmt.Errorf("read %s: %w", m.Object, err)
		}
		if n != m.Bytes || [32]byte(own.Sum(nil)) != m.SHA256 {
			return nil, salvor.Errorf(salvor.Internal, "%s in the store is not what was put there: %d bytes with another SHA-256", m.Object, n).
				WithHint("do not join it: look for a copy, and at who can write to the bucket")
		}
		c.size += n
	}
	c.sum = [32]byte(whole.Sum(nil))
	return c, nil
}

func (c *concatenation) Size() int64      { return c.size }
func (c *concatenation) SHA256() [32]byte { return c.sum }

func (c *concatenation) Open() (io.ReadSeekCloser, error) { return &chain{c: c}, nil }

// chain reads a concatenation from any position.
type chain struct {
	c   *concatenation
	at  int64
	now io.ReadCloser
}

func (r *chain) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += r.at
	case io.SeekEnd:
		off += r.c.size
	}
	if off < 0 || off > r.c.size {
		return 0, salvor.Errorf(salvor.Invalid, "seek to %d of %d bytes", off, r.c.size)
	}
	if off != r.at {
		r.at = off
		return off, r.Close()
	}
	return off, nil
}

func (r *chain) Read(p []byte) (int, error) {
	if r.at >= r.c.size {
		return 0, io.EOF
	}
	if r.now == nil {
		if err := r.open(); err != nil {
			return 0, err
		}
	}
	n, err := r.now.Read(p)
	r.at += int64(n)
	if errors.Is(err, io.EOF) { // of this member
		err = r.Close()
	}
	return n, err
}

func (r *chain) open() (err error) {
	base := int64(0)
	for _, m := range r.c.members {
		if r.at < base+m.Bytes {
			r.now, err = r.c.s.Range(r.c.ctx, m.Object, r.at-base, -1)
			return err
		}
		base += m.Bytes
	}
	return io.ErrUnexpectedEOF
}

func (r *chain) Close() error {
	if r.now == nil {
		return nil
	}
	err := r.now.Close()
	r.now = nil
	return err
}

// Verify reads a joined object back and compares it, member by member, with
// what its list says.
func (j *Joined) Verify(ctx context.Context, s storage.Store) error {
	r, _, err := s.Get(ctx, j.Object)
	if err != nil {
		return err
	}
	defer r.Close()
	whole := sha256.New()
	for _, m := range j.Members {
		own := sha256.New()
		n, err := io.CopyN(io.MultiWriter(whole, own), r, m.Bytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s back: %w", j.Object, err)
		}
		if n != m.Bytes || hex.EncodeToString(own.Sum(nil)) != m.SHA256 {
			return salvor.Errorf(salvor.Internal, "%s does not hold %s at %d as it was", j.Object, m.Name, m.Base)
		}
	}
	if n, err := io.Copy(whole, r); err != nil || n > 0 || hex.EncodeToString(whole.Sum(nil)) != j.SHA256 {
		return salvor.Errorf(salvor.Internal, "%s is not what was joined: %d bytes too many, %v", j.Object, n, err)
	}
	return nil
}

// index makes the CDXJ of a joined object from those of its members.
func (j *Joined) index(ctx context.Context, s storage.Store) ([]byte, error) {
	var lines []cdx.Line
	for _, m := range j.Members {
		r, _, err := s.Get(ctx, CDXJKey(m.Name))
		if err != nil {
			return nil, err
		}
		err = cdx.Read(r, func(l cdx.Line) error {
			l.Filename = strings.TrimPrefix(j.Object, "warc/")
			l.Offset += m.Base
			lines = append(lines, l)
			return nil
		})
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, fmt.Errorf("read %s: %w", CDXJKey(m.Name), err)
		}
	}
	var b bytes.Buffer
	err := cdx.Write(&b, lines)
	return b.Bytes(), err
}

// ReadJoined reads the list of a joined object.
func ReadJoined(ctx context.Context, s storage.Store, key string) (j Joined, err error) {
	r, _, err := s.Get(ctx, key)
	if err != nil {
		return j, err
	}
	defer r.Close()
	if err := json.NewDecoder(io.LimitReader(r, 64<<20)).Decode(&j); err != nil {
		return j, salvor.Errorf(salvor.Invalid, "read %s: %w", key, err)
	}
	if j.Format > joinedFormat {
		return j, salvor.Errorf(salvor.TooNew, "%s was written by a newer version", key)
	}
	return j, nil
}

// RemoveMembers removes the originals of a joined object, which is read back
// once more before. An original under a retention is left.
func RemoveMembers(ctx context.Context, s storage.Store, j Joined) (left []string, err error) {
	if err := j.Verify(ctx, s); err != nil {
		return nil, err
	}
	for _, m := range j.Members {
		for _, key := range []string{CDXJKey(m.Name), Key(m.Name)} {
			err := s.Delete(ctx, key)
			if c := salvor.ClassOf(err); err != nil && c != salvor.Conflict && c != salvor.Forbidden {
				return left, err
			}
			if err != nil {
				left = append(left, key)
			}
		}
	}
	return left, nil
}
