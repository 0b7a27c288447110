package signed

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/s3"
)

// HandlerConfig is what a coordinator serves. The zero value of a field means
// its default.
type HandlerConfig struct {
	Store storage.Store
	// Allow decides on every request. The key has a valid form; of OpList it
	// is a prefix. Its errors should be Forbidden.
	Allow func(r *http.Request, op Op, key string) error
	// Secret is the same on every coordinator of a cluster, and known to no
	// one else: at least 32 bytes. Needed where the Store can sign.
	Secret []byte
	// Dir holds uploads that go through this process, until they are whole. It
	// belongs to one process at a time; on the file system of a file Store
	// nothing is copied. Needed where the Store cannot sign.
	Dir string
	// Proxy sends all uploads through this process, though the Store could
	// sign: where workers cannot reach the bucket.
	Proxy bool

	TTL       time.Duration // life of a signed URL; default 1 h
	MaxPut    int64         // objects above it go up in parts; default 64 MiB
	PartSize  int64         // grows for huge objects; default 16 MiB
	MaxSize   int64         // of an object; default 1 TiB
	Uploads   int           // through this process at once; default 16
	Timeout   time.Duration // of a call that only asks or signs; default 30 s
	Stall     time.Duration // a body that does not move for so long is cut; default 30 s
	KeepAlive time.Duration // how often a slow call says that it goes on; default 5 s
}

func orDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

func (c HandlerConfig) withDefaults() HandlerConfig {
	orDefault(&c.TTL, time.Hour)
	orDefault(&c.MaxPut, 64<<20)
	orDefault(&c.PartSize, 16<<20)
	orDefault(&c.MaxSize, 1<<40)
	orDefault(&c.Uploads, 16)
	orDefault(&c.Timeout, 30*time.Second)
	orDefault(&c.Stall, 30*time.Second)
	orDefault(&c.KeepAlive, 5*time.Second)
	return c
}

// Handler answers workers. Its paths begin with Root.
type Handler struct {
	c      HandlerConfig
	signer Presigner // nil where uploads go through this process
	seals  seals
	spool  *spool
	mux    *http.ServeMux
}

// NewHandler makes a Handler, and removes from Dir what a killed process left.
func NewHandler(c HandlerConfig) (*Handler, error) {
	h := &Handler{c: c.withDefaults(), mux: http.NewServeMux()}
	if c.Store == nil || c.Allow == nil {
		return nil, salvor.Errorf(salvor.Invalid, "serve a store: it needs a store, and a rule who may do what")
	}
	if p, ok := c.Store.(Presigner); ok && !c.Proxy {
		if len(c.Secret) < 32 {
			return nil, salvor.Errorf(salvor.Invalid, "serve a store: the secret has %d bytes, it needs 32", len(c.Secret))
		}
		if h.c.MaxPut > 5<<30 || h.c.PartSize < 5<<20 || h.c.PartSize > 5<<30 || h.c.TTL < time.Second || h.c.TTL > s3.MaxTTL {
			return nil, salvor.Errorf(salvor.Invalid, "serve a store: S3 takes at most 5 GiB in one request, parts of 5 MiB to 5 GiB, and signs for a second to seven days")
		}
		h.signer, h.seals = p, newSeals(c.Secret)
	} else {
		var err error
		if h.spool, err = newSpool(c.Dir, h.c.Uploads, h.c.Stall); err != nil {
			return nil, err
		}
	}
	h.routes()
	return h, nil
}

func (h *Handler) routes() {
	h.mux.HandleFunc("POST "+Root+"begin", h.begin)
	h.mux.HandleFunc("POST "+Root+"sign", h.sign)
	h.mux.HandleFunc("POST "+Root+"sent", h.sent)
	h.mux.HandleFunc("POST "+Root+"complete", h.complete)
	h.mux.HandleFunc("POST "+Root+"abort", h.abort)
	h.mux.HandleFunc("GET "+Root+"stat", h.stat)
	h.mux.HandleFunc("GET "+Root+"checksum", h.checksum)
	h.mux.HandleFunc("GET "+Root+"list", h.list)
	h.mux.HandleFunc("GET "+Root+"object", h.get)
	h.mux.HandleFunc("PUT "+Root+"object", h.put)
	h.mux.HandleFunc("DELETE "+Root+"object", h.delete)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fail(w, salvor.Errorf(salvor.TooNew, "this coordinator does not know %s %.200s", r.Method, r.URL.Path).
			WithHint("its program is older than the worker's, or newer by a version of the interface"))
	})
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// allowed checks a key and asks the rule.
func (h *Handler) allowed(r *http.Request, op Op, key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	return h.c.Allow(r, op, key)
}

// within bounds a call that only asks or signs. What is out of time here may
// be had of another coordinator: its class is Unavailable.
func (h *Handler) within(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), h.c.Timeout)
}

// read reads a request's JSON.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, to any) error {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(h.c.Timeout)) // where there is no connection, none needs it
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	_ = rc.SetReadDeadline(time.Time{})
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return salvor.Errorf(salvor.Invalid, "the request has more than %d bytes", maxRequest)
	}
	if err != nil {
		return salvor.Errorf(salvor.Unavailable, "read the request: %w", err)
	}
	if err := json.Unmarshal(body, to); err != nil {
		return salvor.Errorf(salvor.Invalid, "the request is not what was expected: %w", err)
	}
	return nil
}

func fail(w http.ResponseWriter, err error) {
	status, f := failureOf(err)
	reply(w, status, f)
}

// answer sends v, or the error.
func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, http.StatusOK, v)
}

func reply(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil { // of our own types none has one
		status, b = http.StatusInternalServerError, []byte(`{"class":"internal","message":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(b) // who does not read it asks again
}
