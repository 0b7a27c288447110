package server

import (
	"context"
	"net/http"
	"os"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/rpc"
	"salvor/cmd/salvor/internal/job"
	"salvor/storage"
	"salvor/storage/durable"
	"salvor/storage/file"
	"salvor/storage/signed"
)

// openStore opens the Store where this node has one: a bucket, of a
// coordinator with its keys, or the directory of the cluster's first node.
// Every other node reaches it through those.
func (n *node) openStore(ctx context.Context) (err error) {
	if !n.id.Has(api.RoleCoordinator) {
		return nil
	}
	url := n.id.Settings().Store
	if n.c.Store != "" {
		url = n.c.Store // the same place, reached in another way perhaps
	}
	if url != "" {
		n.store, err = n.o.OpenStore(ctx, job.StoreRequest{
			URL: url, Notes: n.c.path("uploads"), Known: n.founded == "", Trouble: n.storeTrouble,
		})
		return err
	}
	if !n.first() {
		return nil
	}
	n.direct = true
	if err := durable.MkdirAll(n.c.path("store")); err != nil {
		return err
	}
	n.store, err = file.Open(n.c.path("store"))
	return err
}

// first says that the cluster was made here: a Store in a directory is on this
// disk.
func (n *node) first() bool { return fileExists(n.c.path("store")) || n.id.Founding() }

// storeTrouble logs what will be tried again.
func (n *node) storeTrouble(err error) {
	text, _, _ := strings.Cut(err.Error(), "\n")
	n.log.Warn("the store has trouble, trying again", "error", text)
}

// workerStore is the Store as this node's worker uses it.
func (n *node) workerStore(client *http.Client) (s storage.Store, direct bool, err error) {
	if n.store != nil {
		return n.store, n.direct, nil
	}
	notes := n.c.path("uploads")
	if err := durable.MkdirAll(notes); err != nil {
		return nil, false, err
	}
	s, err = signed.Open(signed.Config{Endpoints: n.urls, HTTP: client, Dir: notes, OnTrouble: n.storeTrouble})
	return s, false, err
}

// storeHandler serves the Store to workers; nil where this node has none.
func (n *node) storeHandler() (http.Handler, error) {
	if n.store == nil {
		return noStore{}, nil
	}
	secret, err := n.id.Derive("signed uploads")
	if err != nil {
		return nil, err
	}
	dir := n.c.path("store-uploads")
	if err := durable.MkdirAll(dir); err != nil {
		return nil, err
	}
	return signed.NewHandler(signed.HandlerConfig{Store: n.store, Allow: allowStore, Secret: secret, Dir: dir})
}

// noStore answers where the Store is another node's.
type noStore struct{}

func (noStore) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	writeError(w, salvor.Errorf(salvor.Unavailable, "this node has no way to the store").WithHint("another coordinator has"))
}

// urls are those of all coordinators.
func (n *node) urls() []string {
	var out []string
	for _, a := range n.coordinators() {
		out = append(out, "https://"+a)
	}
	return out
}

// httpClient speaks to coordinators as this node.
func (n *node) httpClient() *http.Client { return rpc.NewHTTPClient(n.id.ClientTLS("h2")) }

// answerWithin bounds the small questions nodes have to each other.
const answerWithin = 3 * time.Second

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
