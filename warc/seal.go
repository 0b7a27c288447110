package warc

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"salvor"
	"salvor/api"
	"salvor/storage"
	"salvor/warc/cdx"
)

// Seal seals all open segments and stores everything sealed. It returns when
// all is stored, or with what went wrong; what is left is tried again in the
// background, or by the next Seal.
func (p *Pool) Seal(ctx context.Context) error {
	if err := p.Rotate(ctx); err != nil {
		return err
	}
	return p.finishQueue(ctx)
}

// Rotate takes all open segments out of use. They are sealed and stored in the
// background.
func (p *Pool) Rotate(ctx context.Context) error {
	for {
		p.mu.Lock()
		var s *segment
		if len(p.open) > 0 {
			s = p.open[0]
		}
		p.mu.Unlock()
		if s == nil {
			return nil
		}
		if err := s.acquire(ctx); err != nil {
			return err
		}
		if !s.closed {
			p.detach(s)
		}
		s.release()
	}
}

// Stored reports whether a segment is in the Store and OnStored has returned.
func (p *Pool) Stored(id salvor.SegmentID) bool {
	p.mu.Lock()
	sh := p.shelf[id]
	p.mu.Unlock()
	return sh == nil || sh.j.isStored()
}

// finishQueue brings every detached segment as far as it goes.
func (p *Pool) finishQueue(ctx context.Context) error {
	select {
	case p.finishing <- struct{}{}:
	case <-ctx.Done():
		return salvor.Errorf(salvor.Interrupted, "store segments: %w", context.Cause(ctx))
	}
	defer func() { <-p.finishing }()
	p.mu.Lock()
	queue := append([]*shelved(nil), p.queue...)
	p.mu.Unlock()
	var errs []error
	for _, sh := range queue {
		if err := p.finish(ctx, sh); err != nil {
			errs = append(errs, err)
			continue
		}
		p.dequeue(sh)
	}
	return errors.Join(errs...)
}

func (p *Pool) dequeue(sh *shelved) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, o := range p.queue {
		if o == sh {
			p.queue = append(p.queue[:i:i], p.queue[i+1:]...)
			return
		}
	}
}

// finish seals a segment, reports it, puts it and its index, and reports that
// (protocol 6). Each step may have been done before.
func (p *Pool) finish(ctx context.Context, sh *shelved) error {
	if err := p.seal(sh); err != nil {
		return err
	}
	seg := api.Segment{ID: sh.id, Name: sh.name, Bytes: sh.size, SHA256: sh.sum, State: api.SegmentSealed}
	if !sh.reported {
		if err := p.c.OnSealed(ctx, seg); err != nil {
			return err
		}
		sh.reported = true
	}
	if err := p.store(ctx, sh); err != nil {
		return err
	}
	seg.Object, seg.State = Key(sh.name), api.SegmentStored
	if err := p.c.OnStored(ctx, seg); err != nil {
		return err
	}
	if _, err := sh.j.append(&journalEntry{Kind: kindStored}); err != nil {
		return err
	}
	return p.drop(sh)
}

func (p *Pool) seal(sh *shelved) error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.seg == nil {
		return nil
	}
	size, sum, err := sh.seg.seal()
	if err != nil {
		if sh.seg.broken() {
			p.broken.CompareAndSwap(nil, &err)
		}
		return err
	}
	sh.size, sh.sum, sh.seg = size, sum, nil
	return nil
}

func (p *Pool) store(ctx context.Context, sh *shelved) error {
	path := filepath.Join(p.c.Dir, sh.name)
	_, err := p.c.Store.Put(ctx, Key(sh.name), storage.FileBlob(path, sh.size, sh.sum), storage.PutOptions{Type: "application/warc"})
	if err != nil {
		return err
	}
	index, err := p.index(sh)
	if err != nil {
		return err
	}
	if err := p.beside(ctx, CDXJKey(sh.name), index, "text/x-cdxj"); err != nil || !p.c.Journals {
		return err
	}
	journal, err := p.packJournal(sh)
	if err != nil {
		return err
	}
	return p.beside(ctx, JournalKey(sh.name), journal, "application/gzip")
}

// beside puts what was made of a segment. Another content there is that of an
// attempt before a crash, by a release that wrote other fields.
func (p *Pool) beside(ctx context.Context, key string, b []byte, typ string) error {
	_, err := p.c.Store.Put(ctx, key, storage.BytesBlob(b), storage.PutOptions{Type: typ})
	if salvor.ClassOf(err) == salvor.Conflict {
		return nil
	}
	return err
}

// index makes a segment's CDXJ from its journal.
func (p *Pool) index(sh *shelved) ([]byte, error) {
	var lines []cdx.Line
	err := eachEntry(p.fs, sh.j.path, func(e *journalEntry) {
		if e.CDX.Index && (e.Kind == kindExchange || e.Kind == kindRecord) {
			lines = append(lines, e.line(sh.name))
		}
	})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = cdx.Write(&b, lines)
	return b.Bytes(), err
}

// eachEntry reads a journal from its start.
func eachEntry(fs FS, path string, each func(*journalEntry)) error {
	f, err := fs.OpenFile(path, os.O_RDONLY)
	if err != nil {
		return diskError("open", path, err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return diskError("stat", path, err)
	}
	_, err = scanJournal(f, size, func(_ int64, e *journalEntry) error {
		each(e)
		return nil
	})
	if err != nil {
		return diskError("read", path, err)
	}
	return nil
}

// drop removes a segment from the spool once it is stored and settled: the
// journal last, so that a crash in between leaves no segment without one.
func (p *Pool) drop(sh *shelved) error {
	if !sh.j.finished() {
		return nil
	}
	if err := sh.j.sync(); err != nil { // the marks must not be lost once the segment is gone
		return err
	}
	p.mu.Lock()
	delete(p.shelf, sh.id)
	p.mu.Unlock()
	if err := remove(p.fs, filepath.Join(p.c.Dir, sh.name)); err != nil {
		return err
	}
	sh.j.close()
	return remove(p.fs, sh.j.path)
}

// Backoff of the keeper while the Store is away.
const (
	minBackoff = time.Second
	maxBackoff = 30 * time.Second
)

// keep seals segments by age and stores what is sealed, until ctx ends.
func (p *Pool) keep(ctx context.Context) {
	defer p.done.Done()
	backoff := minBackoff
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		case <-timer.C:
		}
		due := p.detachAged()
		if err := p.finishQueue(ctx); err != nil && ctx.Err() == nil {
			p.c.OnError(err)
			due = min(due, backoff)
			backoff = min(2*backoff, maxBackoff)
			p.pause(ctx, due)
			due = 0
		} else {
			backoff = minBackoff
		}
		timer.Reset(due)
	}
}

// pause keeps a Store that is away from being asked at every wake-up.
func (p *Pool) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// detachAged takes old segments out of use and says when the next one is due.
func (p *Pool) detachAged() time.Duration {
	p.mu.Lock()
	open := append([]*segment(nil), p.open...)
	p.mu.Unlock()
	due := p.c.MaxAge
	if d := time.Duration(p.hurry.Load()); d > 0 {
		due = min(due, d)
	}
	for _, s := range open {
		left := p.lifetime(s) - p.c.Now().Sub(s.opened)
		if left > 0 {
			due = min(due, left)
			continue
		}
		select {
		case s.lock <- struct{}{}:
			if !s.closed {
				p.detach(s)
			}
			s.release()
		default:
			due = min(due, time.Second) // a writer holds it
		}
	}
	return due
}

// Hurry has every segment sealed at an age, however small it is, if that is
// sooner than is configured; 0 ends the hurry.
func (p *Pool) Hurry(age time.Duration) {
	if p.hurry.Swap(int64(age)) != int64(age) {
		p.nudge()
	}
}

// lifetime is the age at which a segment is sealed.
func (p *Pool) lifetime(s *segment) time.Duration {
	if d := time.Duration(p.hurry.Load()); d > 0 && d < p.c.MaxAge {
		return d
	}
	if s.good.Load() < p.c.MinSize {
		return max(p.c.MaxAge, p.c.SmallAge)
	}
	return p.c.MaxAge
}

// Close makes everything durable and lets go of the spool. It does not seal:
// call Seal first, or let the next Open go on. Nothing may be called after it.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return nil
	}
	p.closed = true
	open := append([]*segment(nil), p.open...)
	p.mu.Unlock()
	for _, s := range open {
		if err := s.acquire(ctx); err != nil {
			p.halt()
			return err
		}
		s.closed = true
		s.release()
	}
	p.halt()
	err := p.syncAll()
	return errors.Join(err, p.closeFiles())
}

// halt ends the goroutines.
func (p *Pool) halt() {
	p.stop()
	p.done.Wait()
}

func (p *Pool) closeFiles() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, sh := range p.shelf {
		if s := sh.seg; s != nil {
			if err := s.f.Close(); err != nil {
				errs = append(errs, diskError("close", s.path(), err))
			}
		}
		errs = append(errs, sh.j.close())
	}
	return errors.Join(errs...)
}
