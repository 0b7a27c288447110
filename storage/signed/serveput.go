package signed

import (
	"context"
	"net/http"
	"time"

	"salvor"
	"salvor/storage"
)

// lookAbove is the size from which it is looked first whether an object is
// there: sending it for nothing would cost more.
const lookAbove = 1 << 20

func (b *beginRequest) check(maxSize int64) (sum [32]byte, err error) {
	switch {
	case b.Size < 0 || b.Size > maxSize:
		return sum, salvor.Errorf(salvor.Invalid, "put %s: %d bytes are not between none and %d", b.Key, b.Size, maxSize)
	case !mediaType(b.Type):
		return sum, salvor.Errorf(salvor.Invalid, "put %s: %.120q is no media type", b.Key, b.Type)
	}
	return parseSum(b.SHA256)
}

func mediaType(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return len(s) <= maxType
}

// begin decides how an object comes into the Store.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request) {
	var b beginRequest
	err := h.read(w, r, &b)
	if err == nil {
		err = h.allowed(r, OpPut, b.Key)
	}
	var sum [32]byte
	if err == nil {
		sum, err = b.check(h.c.MaxSize)
	}
	if err != nil {
		fail(w, err)
		return
	}
	h.slowly(w, func() (any, error) {
		if b.Look || b.Size > lookAbove {
			there, err := h.look(r.Context(), &b, sum)
			if there != nil || err != nil {
				return beginAnswer{There: there}, err
			}
		}
		ctx, cancel := h.within(r)
		defer cancel()
		return h.signUpload(ctx, &b, sum)
	})
}

// look finds the same content, or nothing; another content is ErrDifferent.
func (h *Handler) look(ctx context.Context, b *beginRequest, sum [32]byte) (*object, error) {
	err := Check(ctx, h.c.Store, b.Key, b.Size, sum)
	switch {
	case err == nil:
		return &object{Key: b.Key, Size: b.Size, SHA256: b.SHA256, Modified: time.Now(), Existed: true}, nil
	case salvor.ClassOf(err) == salvor.NotFound:
		return nil, nil
	case salvor.ClassOf(err) == salvor.Conflict:
		return nil, storage.ErrDifferent(b.Key)
	}
	return nil, err
}

func (h *Handler) signUpload(ctx context.Context, b *beginRequest, sum [32]byte) (a beginAnswer, err error) {
	o := storage.PutOptions{Type: b.Type}
	switch {
	case h.signer == nil:
		a.Proxy = true
	case b.Size <= h.c.MaxPut:
		a.Put, err = h.signer.PresignPut(ctx, b.Key, sized{b.Size, sum}, o, h.c.TTL)
	case b.Manifest == nil:
		a.PartSize = h.partSize(b.Size)
	default:
		a.Ticket, err = h.beginParts(ctx, b, o)
	}
	return a, err
}

// partSize grows for objects that would have too many parts.
func (h *Handler) partSize(size int64) int64 {
	const mib = 1 << 20
	least := (size + maxParts - 1) / maxParts
	return max(h.c.PartSize, (least+mib-1)/mib*mib)
}

func (h *Handler) beginParts(ctx context.Context, b *beginRequest, o storage.PutOptions) (string, error) {
	m := *b.Manifest
	if m.Length != b.Size || m.Digest != b.SHA256 {
		return "", salvor.Errorf(salvor.Invalid, "put %s: the manifest is of other content", b.Key)
	}
	p, err := h.signer.BeginPresigned(ctx, b.Key, m, o)
	if err != nil {
		return "", err
	}
	return h.seals.seal(ticket{Upload: *p, Until: time.Now().Add(ticketFor).Unix()})
}

// ticketOf reads a request about an upload in parts. The ticket says which key
// it is for, and whether that is allowed is asked each time.
func (h *Handler) ticketOf(w http.ResponseWriter, r *http.Request) (p partsRequest, t ticket, err error) {
	if h.signer == nil {
		return p, t, salvor.Errorf(salvor.NotFound, "this coordinator knows no uploads in parts: its store takes objects whole").
			WithHint("begin the upload again")
	}
	if err = h.read(w, r, &p); err != nil {
		return p, t, err
	}
	if t, err = h.seals.open(p.Ticket, time.Now()); err != nil {
		return p, t, err
	}
	return p, t, h.allowed(r, OpPut, t.Upload.Key)
}

// sign signs parts.
func (h *Handler) sign(w http.ResponseWriter, r *http.Request) {
	p, t, err := h.ticketOf(w, r)
	var a partsAnswer
	if err == nil {
		ctx, cancel := h.within(r)
		defer cancel()
		a.Parts, err = h.signer.SignParts(ctx, &t.Upload, p.From, min(p.Count, maxSigned), h.c.TTL)
	}
	answer(w, a, err)
}

// sent tells which parts the Store has.
func (h *Handler) sent(w http.ResponseWriter, r *http.Request) {
	_, t, err := h.ticketOf(w, r)
	var a partsAnswer
	if err == nil {
		ctx, cancel := h.within(r)
		defer cancel()
		a.ETags, err = h.signer.SentParts(ctx, &t.Upload)
	}
	answer(w, a, err)
}

// complete makes an object of its parts.
func (h *Handler) complete(w http.ResponseWriter, r *http.Request) {
	p, t, err := h.ticketOf(w, r)
	if err == nil {
		err = checkETags(t.Upload.Key, p.ETags)
	}
	if err != nil {
		fail(w, err)
		return
	}
	h.slowly(w, func() (any, error) {
		info, err := h.signer.CompletePresigned(r.Context(), &t.Upload, p.ETags)
		return objectOf(info), err
	})
}

func checkETags(key string, etags []string) error {
	for _, e := range etags {
		if e == "" || len(e) > maxETag {
			return salvor.Errorf(salvor.Invalid, "put %s: %.40q is no ETag of a part", key, e)
		}
	}
	return nil
}

func (h *Handler) abort(w http.ResponseWriter, r *http.Request) {
	_, t, err := h.ticketOf(w, r)
	if err == nil {
		ctx, cancel := h.within(r)
		defer cancel()
		h.signer.AbortPresigned(ctx, &t.Upload)
	}
	answer(w, struct{}{}, err)
}

// put takes an object whole, for a Store that cannot sign.
func (h *Handler) put(w http.ResponseWriter, r *http.Request) {
	got, b, err := h.receive(w, r)
	if err != nil {
		fail(w, err)
		return
	}
	defer got.drop()
	h.slowly(w, func() (any, error) {
		info, err := h.c.Store.Put(r.Context(), b.Key, got.blob, storage.PutOptions{Type: b.Type})
		return objectOf(info), err
	})
}

func (h *Handler) receive(w http.ResponseWriter, r *http.Request) (*received, *beginRequest, error) {
	q := r.URL.Query()
	b := &beginRequest{Key: q.Get("key"), Size: r.ContentLength, SHA256: q.Get("sha256"), Type: q.Get("type")}
	if err := h.allowed(r, OpPut, b.Key); err != nil {
		return nil, nil, err
	}
	sum, err := b.check(h.c.MaxSize)
	if err != nil {
		return nil, nil, err
	}
	if h.spool == nil {
		return nil, nil, salvor.Errorf(salvor.Invalid, "put %s: this coordinator takes no objects, it signs uploads", b.Key).
			WithHint("begin the upload again")
	}
	got, err := h.spool.receive(w, r, b.Key, sized{b.Size, sum})
	return got, b, err
}
