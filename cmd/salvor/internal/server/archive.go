package server

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/webjson"
	"salvor/cmd/salvor/internal/outfit"
	"salvor/coordinator/trust"
	"salvor/storage"
	"salvor/warc/access"
	"salvor/warc/cdx/index"
)

// archivePath is where researchers find the crawls' captures: docs/researchers.md.
const archivePath = "/archive"

// shelves are the indexes of the crawls whose captures this node serves.
type shelves struct {
	mu   sync.Mutex
	all  []*access.Collection
	open map[string]bool
}

func (s *shelves) list() []*access.Collection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*access.Collection(nil), s.all...)
}

// shelfEvery is how soon a crawl that was made is served.
const shelfEvery = 2 * time.Second

// shelfLoop opens an index for each crawl and follows its segments, on nodes that
// reach the Store themselves.
func (n *node) shelfLoop(ctx context.Context) {
	if n.store == nil || !n.id.Has(api.RoleAccess) {
		return
	}
	defer func() {
		for _, c := range n.shelves.list() {
			if err := c.Index.Close(); err != nil {
				n.log.Warn("the index was not closed", "crawl", c.Name, "error", err)
			}
		}
	}()
	var following sync.WaitGroup
	defer following.Wait()
	for ok := true; ok; ok = wait(ctx, shelfEvery) {
		crawls, err := n.coord.Group(0).Crawls(ctx)
		if err != nil {
			continue // asked again soon
		}
		for _, c := range crawls {
			if err := n.shelve(ctx, c.Name, &following); err != nil && ctx.Err() == nil {
				n.log.Warn("a crawl's captures cannot be served", "crawl", c.Name, "error", err)
			}
		}
	}
}

// shelve opens the index of a crawl, once.
func (n *node) shelve(ctx context.Context, name string, following *sync.WaitGroup) error {
	n.shelves.mu.Lock()
	defer n.shelves.mu.Unlock()
	if n.shelves.open[name] {
		return nil
	}
	x, err := index.Open(n.c.path(filepath.Join("access", name)))
	if err != nil {
		return err
	}
	c := &access.Collection{Name: name, Index: x, Store: storage.Under(n.store, outfit.Prefix(name)), Logger: n.log}
	if n.shelves.open == nil {
		n.shelves.open = map[string]bool{}
	}
	n.shelves.open[name] = true
	n.shelves.all = append(n.shelves.all, c)
	following.Go(func() { c.Follow(ctx) })
	return nil
}

// archive answers researchers. What they ask for is read by who has the role, and
// each request is logged with the key that made it.
func (n *node) archive() http.Handler {
	served := &access.Server{Prefix: archivePath, Collections: n.shelves.list}
	read := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.store == nil || !n.id.Has(api.RoleAccess) {
			webjson.Error(w, salvor.Errorf(salvor.Unavailable, "this node does not serve what was captured").
				WithHint("ask a node with the role access that reaches the store: the first of a cluster, or any coordinator where the store is a bucket"))
			return
		}
		if k := trust.CallerOf(r.Context()).Key; k != nil {
			n.log.Info("archive read", "key", k.ID, "name", k.Name, "path", strings.TrimPrefix(r.RequestURI, archivePath))
		}
		served.ServeHTTP(w, r)
	})
	gate := trust.NewGate(n.id, n.keys).Authenticate(trust.Require(read, api.RoleResearcher, api.RoleOperator))
	return n.onceEnroled(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, key, basic := r.BasicAuth()
		switch {
		case basic: // a browser asked a person for it
			r.Header.Set("Authorization", "Bearer "+key)
		case r.Header.Get("Authorization") == "" && (r.TLS == nil || len(r.TLS.PeerCertificates) == 0):
			w.Header().Set("WWW-Authenticate", `Basic realm="salvor: the key is the password"`)
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte("a key is needed: salvor key create --role researcher\n"))
			return
		}
		gate.ServeHTTP(w, r)
	}))
}

// beside sends what asks for the archive there before a mux cleans the URL in its path.
func (n *node) beside(mux http.Handler) http.Handler {
	archive := n.archive()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == archivePath || strings.HasPrefix(r.RequestURI, archivePath+"/") {
			archive.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
