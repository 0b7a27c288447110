package s3

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"salvor"
	"salvor/storage"
)

// errGone says that the server does not know an upload any more.
var errGone = errors.New("the upload is gone")

// putLarge puts in parts. An object that is there already is found before
// gigabytes are sent for nothing.
func (s *Store) putLarge(ctx context.Context, w *write) (storage.Info, error) {
	h, err := s.head(ctx, "put", w.key)
	switch {
	case err == nil:
		if u := s.notes.take(s.object(w.key), w.sum, w.blob.Size(), s.cfg.Bucket, s.cfg.Endpoint); u != nil {
			w.nonce = u.Nonce // an earlier process may have come as far as this
			defer s.abort(ctx, u)
		}
		return s.judge(ctx, w, h)
	case !missing(err) && salvor.ClassOf(err) != salvor.Forbidden: // keys may write and not read
		return storage.Info{}, err
	}
	t := s.newTries()
	for {
		info, err := s.uploadOnce(ctx, w)
		if !errors.Is(err, errGone) {
			return info, err
		}
		err = salvor.Errorf(salvor.Unavailable, "put %s: %w", w.key, err).
			WithHint("somebody aborts uploads while they run: a lifecycle rule that is too eager?")
		if err := t.wait(ctx, "put", w.key, err); err != nil {
			return storage.Info{}, err
		}
	}
}

// uploadOnce begins an upload or goes on with one, and completes it. The
// upload is kept for another try where that has a chance, else aborted.
func (s *Store) uploadOnce(ctx context.Context, w *write) (storage.Info, error) {
	u, err := s.begin(ctx, w)
	if err != nil {
		return storage.Info{}, err
	}
	info, err := s.fillUpload(ctx, w, u)
	switch class := salvor.ClassOf(err); {
	case err == nil && !info.Existed, errors.Is(err, errGone):
		s.notes.drop(u)
	case err != nil && (class == salvor.Unavailable || class == salvor.Interrupted):
		s.notes.keep(u)
	default:
		s.abort(ctx, u)
	}
	return info, err
}

func (s *Store) fillUpload(ctx context.Context, w *write, u *upload) (storage.Info, error) {
	p, err := s.sendParts(ctx, w, u)
	if err != nil {
		return storage.Info{}, err
	}
	if err := storage.CheckBlob(w.key, w.blob, p.size, [32]byte(p.sum.Sum(nil))); err != nil {
		return storage.Info{}, err
	}
	w.crc = text64(p.crc)
	return s.complete(ctx, w, u, p.done)
}

// begin finds an upload of the same content that was left unfinished, or
// makes one.
func (s *Store) begin(ctx context.Context, w *write) (*upload, error) {
	if u := s.notes.take(s.object(w.key), w.sum, w.blob.Size(), s.cfg.Bucket, s.cfg.Endpoint); u != nil {
		w.nonce = u.Nonce
		return u, nil
	}
	u, err := s.newUpload(ctx, w, s.partSize(w.blob.Size()))
	if err != nil {
		return nil, err
	}
	if err := s.notes.add(u); err != nil {
		s.abort(ctx, u)
		return nil, err
	}
	return u, nil
}

func (s *Store) newUpload(ctx context.Context, w *write, partSize int64) (*upload, error) {
	o := s.options(w, map[string]string{"x-amz-checksum-algorithm": "CRC64NVME", "x-amz-checksum-type": "FULL_OBJECT"})
	u := &upload{
		Endpoint: s.cfg.Endpoint, Bucket: s.cfg.Bucket, Object: s.object(w.key), Nonce: w.nonce,
		SHA256: hex.EncodeToString(w.sum[:]), Size: w.blob.Size(), PartSize: partSize,
	}
	err := s.retry(ctx, "put", w.key, func() (err error) {
		u.ID, err = s.core.NewMultipartUpload(ctx, u.Bucket, u.Object, o)
		return s.fail(ctx, err, "put", w.key)
	})
	return u, err
}

// partSize grows for objects that would have too many parts.
func (s *Store) partSize(size int64) int64 {
	least := (size + maxParts - 1) / maxParts
	if least <= s.cfg.PartSize {
		return s.cfg.PartSize
	}
	const mib = 1 << 20
	return (least + mib - 1) / mib * mib
}

// parts is what has been read of a blob and what the server has of it.
type parts struct {
	size int64
	sum  hash.Hash
	crc  hash.Hash
	done []minio.CompletePart
}

// sendParts reads the blob once, in order, and sends its parts a few at a
// time. What is hashed is what is sent: each part is read into memory first.
func (s *Store) sendParts(ctx context.Context, w *write, u *upload) (*parts, error) {
	had, err := s.listParts(ctx, w.key, u)
	if err != nil {
		return nil, err
	}
	src, err := openSource(ctx, w.key, w.blob)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	p := &parts{sum: sha256.New(), crc: newCRC(), done: make([]minio.CompletePart, (u.Size+u.PartSize-1)/u.PartSize)}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.cfg.Parallel)
	var readErr error
	for i := range p.done {
		buf, free, err := s.memory.get(gctx, min(u.PartSize, u.Size-p.size))
		if err != nil {
			break // a part failed or ctx ended; Wait says which
		}
		n, err := io.ReadFull(src.in, buf)
		p.size += int64(n)
		if readErr = err; err != nil || gctx.Err() != nil {
			free()
			break
		}
		p.sum.Write(buf)
		p.crc.Write(buf)
		g.Go(func() error {
			defer free()
			return s.sendPart(gctx, w, u, i+1, buf, had[i+1], &p.done[i])
		})
	}
	err = g.Wait()
	switch {
	case readErr == io.EOF || readErr == io.ErrUnexpectedEOF:
		return nil, storage.CheckBlob(w.key, w.blob, p.size, w.sum) // it ended early
	case readErr != nil:
		return nil, salvor.Errorf(salvor.ClassOf(readErr), "put %s: %w", w.key, readErr).WithHint("%s", salvor.HintOf(readErr))
	case err == nil:
		err = storage.ContextError(ctx, "put", w.key)
	}
	return p, err
}

// sendPart sends one part unless the server has it already.
func (s *Store) sendPart(ctx context.Context, w *write, u *upload, n int, buf []byte, had minio.ObjectPart, done *minio.CompletePart) error {
	crc := newCRC()
	crc.Write(buf)
	sum := text64(crc)
	if hasPart(had, buf, sum) {
		*done = minio.CompletePart{PartNumber: n, ETag: had.ETag, ChecksumCRC64NVME: sum}
		return nil
	}
	return s.retry(ctx, "put", w.key, func() error {
		o := minio.PutObjectPartOptions{DisableContentSha256: true, CustomHeader: map[string][]string{"X-Amz-Checksum-Crc64nvme": {sum}}}
		if !s.secure { // nothing else protects the bytes from being changed on purpose
			h := sha256.Sum256(buf)
			o.Sha256Hex = hex.EncodeToString(h[:])
		}
		part, err := s.core.PutObjectPart(ctx, u.Bucket, u.Object, u.ID, n, newBody(buf), int64(len(buf)), o)
		if code(err) == codeNoUpload {
			return errGone
		}
		if err != nil {
			return s.fail(ctx, err, "put", w.key)
		}
		*done = minio.CompletePart{PartNumber: n, ETag: part.ETag, ChecksumCRC64NVME: sum}
		return nil
	})
}

// hasPart reports whether the server has a part already: by its CRC where the
// server lists one, else by the MD5 that an ETag usually is.
func hasPart(had minio.ObjectPart, buf []byte, crc string) bool {
	switch {
	case had.PartNumber == 0 || had.Size != int64(len(buf)):
		return false
	case had.ChecksumCRC64NVME != "":
		return had.ChecksumCRC64NVME == crc
	}
	sum := md5.Sum(buf)
	return had.ETag == hex.EncodeToString(sum[:])
}

// listParts asks what an earlier process or try has sent already.
func (s *Store) listParts(ctx context.Context, key string, u *upload) (map[int]minio.ObjectPart, error) {
	had := map[int]minio.ObjectPart{}
	if !u.old {
		return had, nil
	}
	for marker, more := 0, true; more; {
		err := s.retry(ctx, "put", key, func() error {
			r, err := s.core.ListObjectParts(ctx, u.Bucket, u.Object, u.ID, marker, 1000)
			if code(err) == codeNoUpload {
				return errGone
			}
			if err != nil {
				return s.fail(ctx, err, "put", key)
			}
			for _, p := range r.ObjectParts {
				had[p.PartNumber] = p
			}
			more = r.IsTruncated && r.NextPartNumberMarker > marker
			marker = r.NextPartNumberMarker
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return had, nil
}

// complete makes the object visible unless there is one. The condition stands
// here, since a server looks at it when the object appears, and the library's
// PutObject would lose it.
func (s *Store) complete(ctx context.Context, w *write, u *upload, done []minio.CompletePart) (storage.Info, error) {
	o := minio.PutObjectOptions{UserMetadata: map[string]string{"x-amz-checksum-crc64nvme": w.crc, "x-amz-checksum-type": "FULL_OBJECT"}}
	o.SetMatchETagExcept("*")
	t := s.newTries()
	for {
		up, err := s.core.CompleteMultipartUpload(ctx, u.Bucket, u.Object, u.ID, done, o)
		switch {
		case err == nil && up.ChecksumCRC64NVME == w.crc:
			return w.info(false), nil
		case err == nil:
			return s.verify(ctx, w)
		case code(err) == codeNoUpload: // completed by a try whose answer got lost, or aborted by somebody
			if h, err := s.head(ctx, "put", w.key); !missing(err) {
				if err != nil {
					return storage.Info{}, err
				}
				return s.judge(ctx, w, h)
			}
			return storage.Info{}, errGone
		}
		info, err, over := s.settle(ctx, w, s.fail(ctx, err, "put", w.key))
		if over {
			return info, err
		}
		if err := t.wait(ctx, "put", w.key, err); err != nil {
			return storage.Info{}, err
		}
	}
}
