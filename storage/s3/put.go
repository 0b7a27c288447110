package s3

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// write is one Put under way.
type write struct {
	key   string
	blob  storage.Blob
	sum   [32]byte
	typ   string
	nonce string
	crc   string // CRC64NVME of the whole blob; "" until it was read
	// hidden counts tries that were refused though there is no object.
	hidden int
}

// maxHidden refusals in spite of no object are not somebody who deletes all
// the time, but a server that counts a deleted object.
const maxHidden = 6

func newWrite(key string, b storage.Blob, o storage.PutOptions) *write {
	return &write{key: key, blob: b, sum: b.SHA256(), typ: o.Type, nonce: rand.Text()}
}

func (w *write) info(existed bool) storage.Info {
	return storage.Info{Key: w.key, Size: w.blob.Size(), Modified: time.Now(), SHA256: w.sum, Existed: existed}
}

// Put implements storage.Store. Info.Modified is this machine's time.
func (s *Store) Put(ctx context.Context, key string, b storage.Blob, o storage.PutOptions) (storage.Info, error) {
	if err := s.startWrite(ctx, "put", key); err != nil {
		return storage.Info{}, err
	}
	w := newWrite(key, b, o)
	if b.Size() > s.cfg.PartSize {
		return s.putLarge(ctx, w)
	}
	return s.putSmall(ctx, w)
}

// putSmall puts in one request.
func (s *Store) putSmall(ctx context.Context, w *write) (storage.Info, error) {
	t := s.newTries()
	for {
		confirmed, err := s.putOnce(ctx, w)
		switch {
		case err == nil && confirmed:
			return w.info(false), nil
		case err == nil:
			return s.verify(ctx, w)
		}
		info, err, over := s.settle(ctx, w, err)
		if over {
			return info, err
		}
		if err := t.wait(ctx, "put", w.key, err); err != nil {
			return storage.Info{}, err
		}
	}
}

// options are what is sent with the request that begins an object.
func (s *Store) options(w *write, checksum map[string]string) minio.PutObjectOptions {
	o := minio.PutObjectOptions{
		ContentType:          w.typ,
		StorageClass:         s.cfg.StorageClass,
		DisableContentSha256: true, // else the library cuts plain HTTP bodies into signed chunks
		UserMetadata:         map[string]string{metaSum: hex.EncodeToString(w.sum[:]), metaNonce: w.nonce},
	}
	for k, v := range checksum {
		o.UserMetadata[k] = v
	}
	if s.cfg.Retention != RetainNone {
		o.Mode = map[Retention]minio.RetentionMode{RetainGovernance: minio.Governance, RetainCompliance: minio.Compliance}[s.cfg.Retention]
		o.RetainUntilDate = time.Now().Add(s.cfg.RetainFor).UTC().Truncate(time.Second)
	}
	return o
}

// putOnce sends the blob; confirmed says that the server answered with the
// right checksum. The SHA-256 goes out twice: as the signed digest of the
// body, which protects it, and as the checksum that the server keeps.
func (s *Store) putOnce(ctx context.Context, w *write) (confirmed bool, err error) {
	src, err := openSource(ctx, w.key, w.blob)
	if err != nil {
		return false, err
	}
	defer src.Close()
	sum64 := base64Of(w.sum)
	o := s.options(w, map[string]string{"x-amz-checksum-sha256": sum64})
	o.SetMatchETagExcept("*")
	size := w.blob.Size()
	if size == 0 { // the library sends no body then, and reads none
		if err := src.drain(); err != nil {
			return false, err
		}
	}
	body := struct{ io.Reader }{src} // neither sought in nor closed by the library
	up, err := s.core.PutObject(ctx, s.cfg.Bucket, s.object(w.key), body, size, "", hex.EncodeToString(w.sum[:]), o)
	if src.err != nil {
		return false, src.err
	}
	if err != nil {
		return false, s.fail(ctx, err, "put", w.key)
	}
	return up.ChecksumSHA256 == sum64, nil
}

// settle decides what an error of the request that makes an object visible
// means. over is false when the put is to be tried again.
func (s *Store) settle(ctx context.Context, w *write, err error) (storage.Info, error, bool) {
	if code(err) == codeIsDirectory && !s.isDirectory(ctx, w.key) {
		err = salvor.Errorf(salvor.Unavailable, "put %s: the store took the key for a directory, which it is not", w.key)
	}
	taken := isTaken(err)
	if !taken && salvor.ClassOf(err) != salvor.Unavailable || ctx.Err() != nil {
		return storage.Info{}, err, true
	}
	h, herr := s.headOnce(ctx, "put", w.key)
	switch {
	case herr == nil:
		info, err := s.judge(ctx, w, h)
		return info, err, salvor.ClassOf(err) != salvor.Unavailable
	case missing(herr) && taken: // somebody deleted it meanwhile
		if w.hidden++; w.hidden == maxHidden {
			return storage.Info{}, errHidden(w.key), true
		}
		return storage.Info{}, salvor.Errorf(salvor.Unavailable, "put %s: an object was there and is gone", w.key), false
	case missing(herr) || salvor.ClassOf(herr) == salvor.Unavailable:
		if taken {
			err = herr
		}
		return storage.Info{}, err, false
	case taken:
		return storage.Info{}, herr, true
	}
	return storage.Info{}, err, true
}

// isDirectory reports whether there are objects below a key. versitygw says so
// wrongly when a put and a delete of the key meet.
func (s *Store) isDirectory(ctx context.Context, key string) bool {
	for range s.List(ctx, key+"/", "") {
		return true // an error too: then the server's word stands
	}
	return false
}

// errHidden says that a deleted object's old versions block its key. Servers
// should count a deleted object as absent; versitygw does not.
func errHidden(key string) error {
	return salvor.Errorf(salvor.Conflict, "put %s: there was an object, and this server counts it although it was deleted", key).
		WithHint("put under another key, or remove the old versions of this one")
}

// isTaken reports whether a server refused because there is an object.
func isTaken(err error) bool {
	r, ok := errors.AsType[minio.ErrorResponse](err)
	return ok && r.StatusCode == http.StatusPreconditionFailed
}

// judge compares an object with the blob that was to be put: success when it
// is this Put's own or has the same content, else ErrDifferent.
func (s *Store) judge(ctx context.Context, w *write, h head) (storage.Info, error) {
	existed := h.nonce != w.nonce
	if h.size != w.blob.Size() {
		return storage.Info{}, storage.ErrDifferent(w.key)
	}
	same, err := s.same(ctx, w, h)
	switch {
	case err != nil:
		return storage.Info{}, err
	case !same && !existed:
		return storage.Info{}, salvor.Errorf(salvor.Internal, "put %s: the store keeps other bytes than were sent", w.key).
			WithHint("the server damaged the object: delete it and find out why before putting again")
	case !same:
		return storage.Info{}, storage.ErrDifferent(w.key)
	}
	i := h.info(w.key)
	i.SHA256, i.Claimed, i.Existed = w.sum, false, existed
	return i, nil
}

// same compares contents by the strongest proof at hand: a SHA-256 that the
// server computed; a CRC64NVME that it computed together with a SHA-256 said
// by a writer who computed both; else the bytes themselves.
func (s *Store) same(ctx context.Context, w *write, h head) (bool, error) {
	none := [32]byte{}
	switch {
	case h.sum != none:
		return h.sum == w.sum, nil
	case h.said != none && h.said != w.sum:
		return false, nil
	case h.said != none && h.crc != "":
		if err := w.readCRC(ctx); err != nil {
			return false, err
		}
		return h.crc == w.crc, nil
	}
	sum, err := s.digest(ctx, w.key)
	return sum == w.sum, err
}

// verify looks at an object whose put succeeded without a checksum in the
// answer.
func (s *Store) verify(ctx context.Context, w *write) (storage.Info, error) {
	h, err := s.head(ctx, "put", w.key)
	if err != nil {
		return storage.Info{}, err
	}
	return s.judge(ctx, w, h)
}
