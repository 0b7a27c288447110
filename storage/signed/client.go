package signed

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"salvor"
	"salvor/storage"
	"salvor/storage/s3"
)

// Config is how a worker reaches its Store. The zero value of a field means
// its default.
type Config struct {
	// Endpoints are the coordinators now: "https://host:port". It is asked
	// before each try.
	Endpoints func() []string
	// HTTP speaks to coordinators; its certificate says which worker this is.
	HTTP *http.Client
	// Upload speaks to the bucket; default that of s3.HTTPClient.
	Upload *http.Client
	// Dir keeps notes of unfinished uploads, so that a process that comes after
	// a crash goes on with them. It belongs to one process at a time. Without
	// it they are remembered in memory only.
	Dir string

	Parallel  int           // parts of one object under way at once; default 4
	RetryFor  time.Duration // tries go on for so long without progress; default 2 min, negative: one try
	Stall     time.Duration // a request that moves no byte for so long has failed; default 30 s
	OnTrouble func(error)   // hears of every failure that is about to be tried again
}

func (c Config) withDefaults() (Config, error) {
	if c.Endpoints == nil || c.HTTP == nil {
		return c, salvor.Errorf(salvor.Invalid, "a store behind coordinators needs their addresses and a client for them")
	}
	if c.Upload == nil {
		up, err := s3.HTTPClient(s3.Config{})
		if err != nil {
			return c, err
		}
		c.Upload = up
	}
	orDefault(&c.Parallel, 4)
	orDefault(&c.RetryFor, 2*time.Minute)
	orDefault(&c.Stall, 30*time.Second)
	c.HTTP, c.Upload = c.watch(c.HTTP), c.watch(c.Upload)
	return c, nil
}

// watch makes requests end that hang.
func (c Config) watch(client *http.Client) *http.Client {
	w := *client
	if w.Transport == nil {
		w.Transport = http.DefaultTransport
	}
	w.Transport = s3.Watch(w.Transport, c.Stall, 2*c.Stall)
	return &w
}

// Store is a worker's Store.
type Store struct {
	c     Config
	notes *notes
	at    atomic.Uint32 // which endpoint answered last
}

var _ storage.Store = (*Store)(nil)

// Open makes a worker's Store. It asks nobody anything.
func Open(c Config) (*Store, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	n, err := openNotes(c.Dir)
	if err != nil {
		return nil, err
	}
	return &Store{c: c, notes: n}, nil
}

// start is what every call begins with.
func start(ctx context.Context, doing, key string) error {
	if err := storage.CheckKey(key); err != nil {
		return err
	}
	return storage.ContextError(ctx, doing, key)
}

func query(kv ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		q.Set(kv[i], kv[i+1])
	}
	return q
}

// ask makes a call that changes nothing until it has an answer.
func (s *Store) ask(ctx context.Context, doing, key string, c call, to any) error {
	if err := start(ctx, doing, key); err != nil {
		return err
	}
	return s.retry(ctx, doing, key, func() error { return s.json(ctx, doing, key, c, to) })
}

// Stat implements storage.Store.
func (s *Store) Stat(ctx context.Context, key string) (storage.Info, error) {
	var o object
	if err := s.ask(ctx, "stat", key, call{path: "stat", q: query("key", key)}, &o); err != nil {
		return storage.Info{}, err
	}
	return o.info(), nil
}

// Checksum implements storage.Store; the coordinator asks its Store, or reads
// the object.
func (s *Store) Checksum(ctx context.Context, key string) ([32]byte, error) {
	var o object
	if err := s.ask(ctx, "checksum", key, call{path: "checksum", q: query("key", key)}, &o); err != nil {
		return [32]byte{}, err
	}
	return parseSum(o.SHA256)
}

// Delete implements storage.Store, where the coordinators' rule allows it. It
// does not for workers: Forbidden.
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.ask(ctx, "delete", key, call{method: http.MethodDelete, path: "object", q: query("key", key)}, &struct{}{})
}

// Get implements storage.Store. Reading to the end checks the length, and the
// SHA-256 where the Store keeps one.
func (s *Store) Get(ctx context.Context, key string) (io.ReadCloser, storage.Info, error) {
	resp, err := s.open(ctx, key, query("key", key))
	if err != nil {
		return nil, storage.Info{}, err
	}
	var o object
	if err := json.Unmarshal([]byte(resp.Header.Get(infoHeader)), &o); err != nil || o.Key != key {
		resp.Body.Close()
		return nil, storage.Info{}, salvor.Errorf(salvor.Internal, "get %s: the coordinator does not say what it is sending", key)
	}
	info := o.info()
	return newIncoming(ctx, key, resp.Body, info.Size, info.SHA256), info, nil
}

// Range implements storage.Store.
func (s *Store) Range(ctx context.Context, key string, off, n int64) (io.ReadCloser, error) {
	q := query("key", key, "off", strconv.FormatInt(off, 10), "n", strconv.FormatInt(n, 10))
	resp, err := s.open(ctx, key, q)
	if err != nil {
		return nil, err
	}
	return newIncoming(ctx, key, resp.Body, -1, [32]byte{}), nil
}

func (s *Store) open(ctx context.Context, key string, q url.Values) (resp *http.Response, err error) {
	if err := start(ctx, "get", key); err != nil {
		return nil, err
	}
	err = s.retry(ctx, "get", key, func() error {
		resp, err = s.do(ctx, "get", key, call{path: "object", q: q})
		return err
	})
	return resp, err
}

// List implements storage.Store.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[storage.Info, error] {
	return func(yield func(storage.Info, error) bool) {
		for after := after; ; {
			page, err := s.page(ctx, prefix, after)
			if err != nil {
				yield(storage.Info{}, err)
				return
			}
			for i := range page.Objects {
				if !yield(page.Objects[i].info(), nil) {
					return
				}
			}
			if !page.More {
				return
			}
			after = page.Objects[len(page.Objects)-1].Key
		}
	}
}

func (s *Store) page(ctx context.Context, prefix, after string) (a listAnswer, err error) {
	if err := storage.ContextError(ctx, "list", prefix); err != nil {
		return a, err
	}
	err = s.retry(ctx, "list", prefix, func() error {
		a = listAnswer{}
		return s.json(ctx, "list", prefix, call{path: "list", q: query("prefix", prefix, "after", after)}, &a)
	})
	if err != nil {
		return a, err
	}
	for i, last := range append([]object{{Key: after}}, a.Objects...) {
		if i < len(a.Objects) && (a.Objects[i].Key <= last.Key || !strings.HasPrefix(a.Objects[i].Key, prefix)) {
			return a, salvor.Errorf(salvor.Internal, "list %s: the coordinator's answer is out of order", prefix)
		}
	}
	if a.More && len(a.Objects) == 0 {
		return a, salvor.Errorf(salvor.Internal, "list %s: the coordinator promises more than it sends", prefix)
	}
	return a, nil
}
