package signed

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"salvor"
	"salvor/storage"
)

// infoHeader describes an object whose bytes follow.
const infoHeader = "Salvor-Object"

func (h *Handler) stat(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	if err := h.allowed(r, OpStat, key); err != nil {
		fail(w, err)
		return
	}
	ctx, cancel := h.within(r)
	defer cancel()
	info, err := h.c.Store.Stat(ctx, key)
	answer(w, objectOf(info), err)
}

func (h *Handler) checksum(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	if err := h.allowed(r, OpStat, key); err != nil {
		fail(w, err)
		return
	}
	h.slowly(w, func() (any, error) {
		sum, err := h.c.Store.Checksum(r.Context(), key)
		return object{Key: key, SHA256: hex.EncodeToString(sum[:])}, err
	})
}

func (h *Handler) delete(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	if err := h.allowed(r, OpDelete, key); err != nil {
		fail(w, err)
		return
	}
	ctx, cancel := h.within(r)
	defer cancel()
	answer(w, struct{}{}, h.c.Store.Delete(ctx, key))
}

// list answers with a page.
func (h *Handler) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	prefix, after := q.Get("prefix"), q.Get("after")
	if len(prefix) > storage.MaxKey || len(after) > storage.MaxKey {
		fail(w, salvor.Errorf(salvor.Invalid, "list: no key has more than %d bytes", storage.MaxKey))
		return
	}
	if err := h.c.Allow(r, OpList, prefix); err != nil {
		fail(w, err)
		return
	}
	ctx, cancel := h.within(r)
	defer cancel()
	a := listAnswer{Objects: []object{}}
	for info, err := range h.c.Store.List(ctx, prefix, after) {
		if err != nil {
			fail(w, err)
			return
		}
		if a.More = len(a.Objects) == maxListed; a.More {
			break
		}
		a.Objects = append(a.Objects, *objectOf(info))
	}
	answer(w, a, nil)
}

// get sends an object, or with off a range of it. The length is not said
// before: a body that broke off in the Store is cut here, too, and the reader
// knows it from one that ended.
func (h *Handler) get(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	key := q.Get("key")
	err := h.allowed(r, OpGet, key)
	var body io.ReadCloser
	if err == nil {
		body, err = h.open(w, r, key, q)
	}
	if err != nil {
		fail(w, err)
		return
	}
	defer body.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	out := &movingAnswer{w, http.NewResponseController(w), h.c.Stall}
	_, err = io.CopyBuffer(out, struct{ io.Reader }{body}, make([]byte, 128<<10))
	if err != nil {
		panic(http.ErrAbortHandler) // net/http's way to cut an answer that has begun
	}
}

func (h *Handler) open(w http.ResponseWriter, r *http.Request, key string, q url.Values) (io.ReadCloser, error) {
	if q.Has("off") {
		off, err := strconv.ParseInt(q.Get("off"), 10, 64)
		n, nerr := strconv.ParseInt(q.Get("n"), 10, 64)
		if err != nil || nerr != nil {
			return nil, salvor.Errorf(salvor.Invalid, "range of %s: off and n are to be numbers", key)
		}
		return h.c.Store.Range(r.Context(), key, off, n)
	}
	body, info, err := h.c.Store.Get(r.Context(), key)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(objectOf(info))
	if err != nil {
		body.Close()
		return nil, salvor.Errorf(salvor.Internal, "get %s: %w", key, err)
	}
	w.Header().Set(infoHeader, string(b))
	return body, nil
}

// movingAnswer gives up on a reader who does not move.
type movingAnswer struct {
	w     io.Writer
	rc    *http.ResponseController
	stall time.Duration
}

func (m *movingAnswer) Write(p []byte) (int, error) {
	_ = m.rc.SetWriteDeadline(time.Now().Add(m.stall)) // where there is no connection, none hangs
	n, err := m.w.Write(p)
	_ = m.rc.SetWriteDeadline(time.Time{}) // the Store may be slower; HTTP/2 cuts an idle stream, too
	return n, err
}
