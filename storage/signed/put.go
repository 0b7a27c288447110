package signed

import (
	"context"
	"encoding/hex"
	"net/http"

	"salvor"
	"salvor/storage"
	"salvor/storage/s3"
)

// putting is one Put under way.
type putting struct {
	s    *Store
	key  string
	blob storage.Blob
	sum  [32]byte
	typ  string
	t    *tries

	look     bool     // ask first whether it is there: somebody said so
	earlier  []string // nonces of URLs that were used
	refused  int      // signed requests that were refused in a row
	taken    int      // times that it was said to be there
	manifest *s3.Manifest
	upload   *note // in parts
}

// A URL that is refused may have expired on its way; a second one, fresh from
// the coordinator, tells that the keys are wrong. A key that is said to be
// taken and is free is one that others put and delete.
const (
	maxRefused = 3
	maxTaken   = 6
)

// Put implements storage.Store. Info.Modified is a coordinator's or this
// machine's time. An upload that ends with Unavailable, or is interrupted, is
// kept for the next Put of the same content under the same key.
func (s *Store) Put(ctx context.Context, key string, b storage.Blob, o storage.PutOptions) (storage.Info, error) {
	if err := start(ctx, "put", key); err != nil {
		return storage.Info{}, err
	}
	p := &putting{s: s, key: key, blob: b, sum: b.SHA256(), typ: o.Type, t: s.newTries()}
	p.upload = s.notes.take(key, p.sum, b.Size())
	info, err := p.run(ctx)
	p.leave(ctx, err)
	return info, err
}

func (p *putting) run(ctx context.Context) (storage.Info, error) {
	for {
		info, err := p.once(ctx)
		if err == nil || salvor.ClassOf(err) != salvor.Unavailable || ctx.Err() != nil {
			return info, err
		}
		if err := p.t.wait(ctx, "put", p.key, err); err != nil {
			return storage.Info{}, err
		}
	}
}

// leave is what becomes of an upload in parts.
func (p *putting) leave(ctx context.Context, err error) {
	switch class := salvor.ClassOf(err); {
	case p.upload == nil:
	case err == nil:
		p.s.notes.drop(p.upload)
	case class == salvor.Unavailable, class == salvor.Interrupted:
		p.s.notes.keep(p.upload)
	default:
		p.abandon(ctx)
	}
}

// abandon ends an upload that is of no use. It is a kindness: parts that stay
// are the coordinators' to sweep.
func (p *putting) abandon(ctx context.Context) {
	u := p.upload
	p.upload = nil
	p.s.notes.drop(u)
	_ = p.s.json(ctx, "put", p.key, call{path: "abort", send: partsRequest{Ticket: u.Ticket}}, &struct{}{})
}

// once goes as far as it goes.
func (p *putting) once(ctx context.Context) (storage.Info, error) {
	if p.upload != nil {
		return p.parts(ctx)
	}
	a, err := p.begin(ctx)
	switch {
	case err != nil:
		return storage.Info{}, err
	case a.There != nil:
		return p.there(a.There)
	case a.Proxy:
		return p.through(ctx)
	case a.Put != nil:
		return p.signed(ctx, a.Put)
	case a.PartSize > 0:
		return p.inParts(ctx, a.PartSize)
	}
	return storage.Info{}, salvor.Errorf(salvor.Internal, "put %s: the coordinator does not say how", p.key)
}

func (p *putting) begin(ctx context.Context) (a beginAnswer, err error) {
	b := beginRequest{Key: p.key, Size: p.blob.Size(), SHA256: hex.EncodeToString(p.sum[:]), Type: p.typ, Look: p.look, Manifest: p.manifest}
	err = p.s.json(ctx, "put", p.key, call{path: "begin", send: b}, &a)
	return a, err
}

// there is the answer that the same content is in the Store. What was sent by
// this Put before may be what is there: then somebody else did not bring it.
func (p *putting) there(o *object) (storage.Info, error) {
	info := o.info()
	info.SHA256, info.Claimed, info.Existed = p.sum, false, true
	return info, nil
}

// through sends a blob to the coordinator, who puts it.
func (p *putting) through(ctx context.Context) (storage.Info, error) {
	q := query("key", p.key, "sha256", hex.EncodeToString(p.sum[:]), "type", p.typ)
	open := func() (body, error) {
		o, err := wholeOf(ctx, p.key, p.blob)
		if err != nil {
			return body{}, err
		}
		if p.blob.Size() == 0 { // nothing is read then, nor held back
			if err := o.check(); err != nil {
				o.Close()
				return body{}, err
			}
		}
		return body{o, p.blob.Size(), func() error { return o.err }}, nil
	}
	var got object
	err := p.s.json(ctx, "put", p.key, call{method: http.MethodPut, path: "object", q: q, body: open}, &got)
	if err != nil {
		return storage.Info{}, err
	}
	return got.info(), nil
}

// signed sends a blob to the bucket in one request.
func (p *putting) signed(ctx context.Context, u *s3.PresignedPut) (storage.Info, error) {
	if u.Key != p.key {
		return storage.Info{}, salvor.Errorf(salvor.Internal, "put %s: the coordinator signed an upload of %s", p.key, u.Key)
	}
	u.Earlier = p.earlier
	info, err := s3.UploadWithin(ctx, p.s.c.Upload, u, p.blob, -1)
	p.earlier = append(p.earlier, u.Nonce)
	switch salvor.ClassOf(err) {
	case salvor.Conflict:
		return p.maybeTaken(info, err)
	case salvor.Forbidden:
		return info, p.maybeExpired(err)
	}
	return info, err
}

// maybeTaken has the coordinator look: the bucket tells the holder of a URL
// little of an object that another tool put, or in parts.
func (p *putting) maybeTaken(info storage.Info, err error) (storage.Info, error) {
	p.look = true
	if p.taken++; p.taken > maxTaken {
		return info, err
	}
	return info, again(err)
}

func (p *putting) maybeExpired(err error) error {
	if p.refused++; p.refused >= maxRefused {
		return err
	}
	return again(err)
}

// again makes an error one that is worth another try.
func again(err error) error {
	return salvor.Errorf(salvor.Unavailable, "%w", err).WithHint("%s", salvor.HintOf(err))
}
