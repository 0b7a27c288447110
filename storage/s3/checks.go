package s3

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// checkLock is needed where a retention is asked for.
const checkLock = "object lock"

// checks in the order they run; each may use what those before it put.
var checks = []check{
	{"reachable", true, (*prober).reachable, "nothing works", ""},
	{"clock", false, (*prober).clock, "requests are refused when the clocks differ by 15 minutes: set both by NTP", ""},
	{"put, read, delete", true, (*prober).basics, "the store cannot be used with these keys", ""},
	{"put after delete", false, (*prober).again, "a key that was deleted cannot be used again while the bucket keeps versions", ""},
	{"conditional put", true, (*prober).conditionalPut,
		"two writers can overwrite each other's objects without noticing: do not use this server", "of many writers of one key exactly one wins"},
	{"conditional complete", true, (*prober).conditionalComplete,
		"two writers of a large object can overwrite each other: keep segments below the part size, or do not use this server", ""},
	{"checksum SHA-256", false, (*prober).checksumSHA256,
		"each object is read back after it was put, which costs its size again", "the server confirms every object sent in one piece"},
	{"checksum CRC64NVME", false, (*prober).checksumCRC,
		"large objects are read back after they were put, or cannot be put", "the server confirms every object sent in parts"},
	{"trailing checksum", false, (*prober).trailing, "nothing: checksums are sent as headers", ""},
	{"presigned put", false, (*prober).presigned, "workers need keys of their own", "workers can put without keys"},
	{"list in byte order", true, (*prober).order, "listings are wrong: do not use this server", ""},
	{"key of 900 bytes", true, (*prober).longKey, "long keys fail: use a short prefix", ""},
	{"key below a key", false, (*prober).below, "nothing: keys are never directories of others", ""},
	{"server-side copy", false, (*prober).copied, "joining segments has to read and send them again", ""},
	{"conditional copy", false, (*prober).copyConditional, "a copy can overwrite: look before, and copy under names nobody else uses", ""},
	{"list unfinished uploads", false, (*prober).unfinished,
		"uploads left by a crash are found by the notes of state-dir only: set a lifecycle rule that aborts them", ""},
	{"versioning", false, (*prober).versioning, "a deleted object is gone", "a deleted object is hidden and its bytes are kept and paid for: set a lifecycle rule"},
	{checkLock, false, (*prober).lock, "retention cannot be used: object lock is chosen when a bucket is made", "retention can be used"},
}

func (p *prober) reachable(ctx context.Context) (Result, string) {
	if err := p.s.retry(ctx, "open", "", func() error { return p.s.hello(ctx) }); err != nil {
		return No, said(err)
	}
	return Yes, "the bucket is there"
}

func (p *prober) clock(context.Context) (Result, string) {
	p.seen.mu.Lock()
	defer p.seen.mu.Unlock()
	if !p.seen.dated {
		return Unknown, "the server does not tell its time"
	}
	d := p.seen.ahead.Round(time.Second)
	if d.Abs() > 5*time.Minute {
		return No, fmt.Sprintf("the server's clock differs by %v", d)
	}
	return Yes, fmt.Sprintf("within %v", d.Abs()+time.Second)
}

func (p *prober) basics(ctx context.Context) (Result, string) {
	for _, name := range []string{"a", "gone"} {
		if _, err := p.put(ctx, name, "first"); err != nil {
			return No, "put: " + said(err)
		}
	}
	if got, err := p.read(ctx, "a"); err != nil {
		return No, "read: " + said(err)
	} else if got != "first" {
		return No, "other bytes came back than were put"
	}
	if err := p.s.Delete(ctx, p.key("gone")); err != nil {
		return No, "delete: " + said(err)
	}
	if _, err := p.s.Stat(ctx, p.key("gone")); !missing(err) {
		return No, fmt.Sprintf("a deleted object is still there (%v)", err)
	}
	return Yes, ""
}

func (p *prober) again(ctx context.Context) (Result, string) {
	if _, err := p.put(ctx, "gone", "again"); err != nil {
		return No, said(err)
	}
	return Yes, ""
}

func (p *prober) read(ctx context.Context, name string) (string, error) {
	r, _, err := p.s.Get(ctx, p.key(name))
	if err != nil {
		return "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return string(b), err
}

// unchanged makes sure that a refusal also meant it.
func (p *prober) unchanged(ctx context.Context, name string, r Result, detail string) (Result, string) {
	if got, err := p.read(ctx, name); r == Yes && (err != nil || got != "first") {
		return No, "the server refused and overwrote all the same"
	}
	return r, detail
}

func (p *prober) conditionalPut(ctx context.Context) (Result, string) {
	w := newWrite(p.key("a"), storage.BytesBlob([]byte("second")), storage.PutOptions{})
	_, err := p.s.putOnce(ctx, w)
	r, detail := refused(err, codeTaken)
	return p.unchanged(ctx, "a", r, detail)
}

func (p *prober) conditionalComplete(ctx context.Context) (Result, string) {
	if _, err := p.put(ctx, "c", "first"); err != nil { // an object of its own: "a" may be overwritten by now
		return Unknown, said(err)
	}
	o := minio.PutObjectOptions{}
	o.SetMatchETagExcept("*")
	err := p.multipart(ctx, "c", []byte("third"), "", o)
	r, detail := refused(err, codeTaken)
	return p.unchanged(ctx, "c", r, detail)
}

func (p *prober) order(ctx context.Context) (Result, string) {
	want := []string{"o/a", "o/b-c", "o/b.c", "o/b/c", "o/b0"}
	for i := range want {
		if _, err := p.put(ctx, want[len(want)-1-i], "x"); err != nil {
			return Unknown, said(err)
		}
	}
	var got []string
	for info, err := range p.s.List(ctx, p.key("o/"), p.key("o/a")) {
		if err != nil {
			return No, said(err)
		}
		got = append(got, strings.TrimPrefix(info.Key, p.dir+"/"))
	}
	if !slices.Equal(got, want[1:]) {
		return No, fmt.Sprintf("listed %v", got)
	}
	return Yes, ""
}

func (p *prober) longKey(ctx context.Context) (Result, string) {
	name := ""
	for n := storage.MaxKey - len(p.dir) - 1; n > 0; n -= 201 {
		name += "/" + strings.Repeat("k", min(n, storage.MaxSegment))
	}
	name = name[1:min(len(name), storage.MaxKey-len(p.dir))]
	name = strings.TrimSuffix(name, "/")
	if _, err := p.put(ctx, name, "x"); err != nil {
		return No, said(err)
	}
	return Yes, fmt.Sprintf("%d bytes", len(p.s.object(p.key(name))))
}

func (p *prober) below(ctx context.Context) (Result, string) {
	switch _, err := p.put(ctx, "o/b/c/d", "x"); {
	case salvor.ClassOf(err) == salvor.Conflict:
		return No, "the server keeps objects in directories"
	case err != nil:
		return Unknown, said(err)
	}
	n := 0
	for _, err := range p.s.List(ctx, p.key("o/b/c"), "") {
		if err != nil {
			return Unknown, said(err)
		}
		n++
	}
	if n != 2 {
		return No, "the server takes it and does not list it"
	}
	return Yes, ""
}

func (p *prober) copyTo(ctx context.Context, name string, header map[string]string) error {
	b := p.s.cfg.Bucket
	_, err := p.s.core.CopyObject(ctx, b, p.s.object(p.key("a")), b, p.s.object(p.key(name)), header, minio.CopySrcOptions{}, minio.PutObjectOptions{})
	return p.s.fail(ctx, err, "copy to", name)
}

func (p *prober) copied(ctx context.Context) (Result, string) {
	if err := p.copyTo(ctx, "copy", nil); err != nil {
		return No, said(err)
	}
	if got, err := p.read(ctx, "copy"); err != nil || got != "first" {
		return No, fmt.Sprintf("the copy holds other bytes (%v)", err)
	}
	return Yes, ""
}

func (p *prober) copyConditional(ctx context.Context) (Result, string) {
	return refused(p.copyTo(ctx, "copy", map[string]string{"If-None-Match": "*"}), codeTaken)
}

func (p *prober) unfinished(ctx context.Context) (Result, string) {
	b, obj := p.s.cfg.Bucket, p.s.object(p.key("unfinished"))
	id, err := p.s.core.NewMultipartUpload(ctx, b, obj, minio.PutObjectOptions{})
	if err != nil {
		return Unknown, said(p.s.fail(ctx, err, "begin an upload of", "unfinished"))
	}
	defer p.s.core.AbortMultipartUpload(context.WithoutCancel(ctx), b, obj, id)
	r, err := p.s.core.ListMultipartUploads(ctx, b, p.s.object(p.dir+"/"), "", "", "", 1000)
	if err != nil {
		return No, said(p.s.fail(ctx, err, "list uploads below", p.dir))
	}
	if !slices.ContainsFunc(r.Uploads, func(u minio.ObjectMultipartInfo) bool { return u.UploadID == id }) {
		return No, "an unfinished upload is not listed by its prefix"
	}
	return Yes, ""
}

func (p *prober) versioning(ctx context.Context) (Result, string) {
	v, err := p.s.core.GetBucketVersioning(ctx, p.s.cfg.Bucket)
	switch {
	case err != nil && code(err) != codeNotYet && !strings.Contains(code(err), "Versioning"):
		return Unknown, said(p.s.fail(ctx, err, "ask about versions of", p.s.cfg.Bucket))
	case err != nil || !v.Enabled():
		return No, ""
	}
	return Yes, ""
}

func (p *prober) lock(ctx context.Context) (Result, string) {
	state, mode, n, unit, err := p.s.core.GetObjectLockConfig(ctx, p.s.cfg.Bucket)
	asked := ""
	if p.want != RetainNone {
		asked = fmt.Sprintf("; retention=%s is asked for", p.want)
	}
	switch {
	case code(err) == "ObjectLockConfigurationNotFoundError", code(err) == codeNotYet, err == nil && state != "Enabled":
		return No, "the bucket was made without it" + asked
	case err != nil:
		return Unknown, said(p.s.fail(ctx, err, "ask about object lock of", p.s.cfg.Bucket))
	case mode != nil && n != nil && unit != nil:
		return Yes, fmt.Sprintf("new objects get %s for %d %s by default%s", *mode, *n, *unit, asked)
	}
	return Yes, "no default retention" + asked
}
