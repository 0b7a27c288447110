package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/client"
	"salvor/cmd/salvor/internal/outfit"
)

// changeSpec changes what workers know of a crawl, while it runs, and tells what
// change says was done.
func (w *world) changeSpec(cmd *cobra.Command, d *dialing, name string, change func(*outfit.Spec) (string, error)) error {
	return w.onCluster(cmd, d, func(ctx context.Context, c *client.Cluster) error {
		crawl, done, err := respec(ctx, c, name, change)
		if err != nil {
			return err
		}
		if d.json {
			return w.tellTurn(ctx, c, crawl, true, true)
		}
		_, err = fmt.Fprintf(w.stderr, "crawl %s: %s\n", crawl.Name, done)
		return err
	})
}

// respec puts a changed Spec in the place of the one it read. change may be called
// more than once: somebody else may be faster.
func respec(ctx context.Context, c *client.Cluster, name string, change func(*outfit.Spec) (string, error)) (crawl api.Crawl, done string, err error) {
	for range turnTries {
		if crawl, err = findCrawl(ctx, c, name); err != nil {
			return crawl, "", err
		}
		var x outfit.Spec
		if x, err = outfit.SpecOf(crawl); err == nil {
			done, err = change(&x)
		}
		if err != nil {
			return crawl, "", err
		}
		crawl.Version++
		if err = x.Apply(&crawl); err != nil {
			return crawl, "", err
		}
		if err = c.SetCrawl(ctx, crawl); salvor.ClassOf(err) == salvor.Conflict {
			continue
		}
		if err == nil {
			err = c.Everywhere(ctx, crawl)
		}
		return crawl, done, err
	}
	return crawl, "", err
}
