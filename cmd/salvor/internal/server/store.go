package server

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/rpc"
	"salvor/api/webjson"
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
	if url == "" && n.c.Store != "" {
		return salvor.Errorf(salvor.Conflict, "this cluster keeps what it saves in a directory of its first node, and store says %s", n.c.Store).
			WithHint("leave store out; a cluster gets its store when it is made: salvor cluster init --store URL")
	}
	if n.c.Store != "" {
		url = n.c.Store // the same place, reached in another way perhaps: see sameStore
	}
	if url != "" {
		n.store, err = n.o.OpenStore(ctx, job.StoreRequest{
			URL: url, Notes: n.c.path("uploads"), Known: !n.id.Founding(), Trouble: n.storeTrouble,
		})
		if err != nil {
			return err
		}
		return n.sameStore(ctx)
	}
	if !n.first() {
		return nil
	}
	if fileExists(n.c.path(storeMark)) && !fileExists(n.c.path("store")) {
		return salvor.Errorf(salvor.NotFound, "%s is gone, which held what the cluster saved", n.c.path("store")).
			WithHint("bring it back from a backup; to go on without what was in it, make an empty directory there")
	}
	n.direct = true
	if err := durable.MkdirAll(n.c.path("store")); err != nil {
		return err
	}
	if n.store, err = file.Open(n.c.path("store")); err != nil {
		return err
	}
	return durable.WriteFile(n.c.path(storeMark), func(io.Writer) error { return nil })
}

// storeMark says that the Store of the cluster is this node's directory.
const storeMark = "holds-the-store"

// sameStore refuses a Store that is not this cluster's. One that does not answer
// now is looked at later; a founding node claims it (claimStore).
func (n *node) sameStore(ctx context.Context) error {
	if n.id.Founding() {
		return nil
	}
	within, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	c, err := storedSettings(within, n.store)
	switch class := salvor.ClassOf(err); {
	case err == nil && c.ID != n.id.Settings().ID:
		return salvor.Errorf(salvor.Conflict, "the store belongs to the cluster %s, and this node is of %s", c.ID, n.id.Settings().ID).
			WithHint("the cluster's store is %s: leave store out of this node's settings, or name the same place", n.id.Settings().Store)
	case class == salvor.NotFound && err != nil:
		return salvor.Errorf(salvor.Conflict, "the store is not this cluster's: there is no %s in it", settingsKey).
			WithHint("the cluster's store is %s: leave store out of this node's settings, or name the same place", n.id.Settings().Store)
	case err == nil, class == salvor.Unavailable, class == salvor.Interrupted:
		return nil
	}
	return err
}

// first says that the cluster was made here: a Store in a directory is on this
// disk.
func (n *node) first() bool { return fileExists(n.c.path(storeMark)) || n.id.Founding() }

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
	webjson.Error(w, salvor.Errorf(salvor.Unavailable, "this node has no way to the store").WithHint("another coordinator has"))
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

// storeLook is how often it is asked whether the Store is there.
const storeLook = 15 * time.Second

// storeLoop notes whether the Store can be used, for /readyz and the status: a
// bucket that is gone, or keys that are refused, must not be found out by a
// crawl that does not get on.
func (n *node) storeLoop(ctx context.Context) {
	if n.store == nil || n.direct {
		return
	}
	for {
		within, cancel := context.WithTimeout(ctx, storeLook)
		_, err := n.store.Stat(within, settingsKey)
		cancel()
		if ctx.Err() != nil {
			return
		}
		n.noteStore(err)
		if !wait(ctx, storeLook) {
			return
		}
	}
}

func (n *node) noteStore(err error) {
	was := n.storeErr.Load()
	switch {
	case err == nil && was != nil:
		n.log.Info("the store can be used again")
		n.storeErr.Store(nil)
	case err != nil:
		text, _, _ := strings.Cut(err.Error(), "\n")
		if was == nil {
			n.log.Error("the store cannot be used", "error", text, "hint", salvor.HintOf(err))
		}
		n.storeErr.Store(&text)
	}
}
