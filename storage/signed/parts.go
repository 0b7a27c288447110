package signed

import (
	"context"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"salvor"
	"salvor/storage"
	"salvor/storage/s3"
)

// inParts begins an upload in parts. The blob is read once for its manifest,
// and once more to be sent.
func (p *putting) inParts(ctx context.Context, partSize int64) (storage.Info, error) {
	if p.manifest == nil || p.manifest.PartSize != partSize {
		m, err := s3.MakeManifest(ctx, p.blob, partSize)
		if err != nil {
			return storage.Info{}, err
		}
		p.manifest = &m
	}
	a, err := p.begin(ctx)
	switch {
	case err != nil:
		return storage.Info{}, err
	case a.There != nil:
		return p.there(a.There)
	case a.Ticket == "": // another coordinator, of another mind
		return storage.Info{}, salvor.Errorf(salvor.Unavailable, "put %s: the coordinators do not agree how", p.key)
	}
	p.upload = &note{Key: p.key, Ticket: a.Ticket, Manifest: *p.manifest, etags: make([]string, len(p.manifest.Parts))}
	if err := p.s.notes.add(p.upload); err != nil {
		p.abandon(ctx)
		return storage.Info{}, err
	}
	return p.parts(ctx)
}

// parts goes on with an upload: it sends what the Store does not have, and has
// the coordinator complete it.
func (p *putting) parts(ctx context.Context) (storage.Info, error) {
	u := p.upload
	if u.etags == nil {
		if err := p.sent(ctx); err != nil {
			return storage.Info{}, p.maybeGone(ctx, err)
		}
	}
	for {
		from := slices.Index(u.etags, "")
		if from < 0 {
			break
		}
		if err := p.sendSome(ctx, from); err != nil {
			return storage.Info{}, err
		}
	}
	var got object
	err := p.s.json(ctx, "put", p.key, call{path: "complete", send: partsRequest{Ticket: u.Ticket, ETags: u.etags}}, &got)
	if err != nil {
		return storage.Info{}, p.maybeGone(ctx, err)
	}
	p.t.progressed()
	return got.info(), nil
}

// sent asks which parts are there.
func (p *putting) sent(ctx context.Context) error {
	var a partsAnswer
	if err := p.s.json(ctx, "put", p.key, call{path: "sent", send: partsRequest{Ticket: p.upload.Ticket}}, &a); err != nil {
		return err
	}
	if len(a.ETags) != len(p.upload.Manifest.Parts) {
		return salvor.Errorf(salvor.NotFound, "put %s: the coordinator knows the upload with another number of parts", p.key)
	}
	p.upload.etags = a.ETags
	return nil
}

// maybeGone decides what a refusal of the coordinator means for an upload: one
// that is gone, whose ticket has expired or is not known any more is begun
// anew; of one that cannot be completed it is asked what the Store has.
func (p *putting) maybeGone(ctx context.Context, err error) error {
	switch salvor.ClassOf(err) {
	case salvor.Unavailable, salvor.Interrupted, salvor.Exhausted:
		return err
	case salvor.Conflict: // another content is there
		return err
	}
	if p.refused++; p.refused >= maxRefused {
		return err
	}
	switch salvor.ClassOf(err) {
	case salvor.Internal:
		p.upload.etags = nil
	default:
		p.abandon(ctx)
	}
	return again(err)
}

// sendSome has some parts signed, from one that is missing on, and sends those
// of them that are. Parts that arrived count though others failed.
func (p *putting) sendSome(ctx context.Context, from int) error {
	u := p.upload
	count := 0
	for count < maxSigned && from+count < len(u.etags) && u.etags[from+count] == "" {
		count++
	}
	var a partsAnswer
	err := p.s.json(ctx, "put", p.key, call{path: "sign", send: partsRequest{Ticket: u.Ticket, From: from, Count: count}}, &a)
	if err != nil {
		return p.maybeGone(ctx, err)
	}
	if len(a.Parts) == 0 || len(a.Parts) > count {
		return salvor.Errorf(salvor.Internal, "put %s: the coordinator signed %d parts of %d", p.key, len(a.Parts), count)
	}
	g := errgroup.Group{}
	g.SetLimit(p.s.c.Parallel)
	var mu sync.Mutex
	bad := false
	for i, part := range a.Parts {
		mu.Lock()
		stop := bad
		mu.Unlock()
		if stop {
			break
		}
		g.Go(func() error {
			etag, err := p.send(ctx, part, from+i)
			mu.Lock()
			defer mu.Unlock()
			if bad = bad || err != nil; err == nil {
				u.etags[from+i] = etag
				p.t.progressed()
				p.refused = 0
			}
			return err
		})
	}
	err = g.Wait()
	if salvor.ClassOf(err) == salvor.Forbidden {
		return p.maybeExpired(err)
	}
	return p.maybeNoUpload(err)
}

// maybeNoUpload has the coordinator say whether an upload that the bucket does
// not know is gone.
func (p *putting) maybeNoUpload(err error) error {
	if salvor.ClassOf(err) == salvor.Internal && s3.IsNoUpload(err) {
		p.upload.etags = nil
		return again(err)
	}
	return err
}

func (p *putting) send(ctx context.Context, part s3.PresignedPart, i int) (string, error) {
	size := p.upload.Manifest.PartSize
	off := int64(i) * size
	n := min(size, p.blob.Size()-off)
	o, err := partOf(ctx, p.key, p.blob, off, n)
	if err != nil {
		return "", err
	}
	defer o.Close()
	etag, err := s3.SendPart(ctx, p.s.c.Upload, p.key, part, struct{ *outgoing }{o}, n)
	if o.err != nil {
		return "", o.err
	}
	if err == nil && etag == "" {
		err = salvor.Errorf(salvor.Unavailable, "put %s: the store took a part and named no ETag", p.key)
	}
	return etag, err
}
