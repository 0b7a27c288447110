package fetch

import (
	"context"

	"github.com/gocolly/colly/v2"
)

// Driver drives fetches through a colly collector of its own, so that OnHTML
// and OnXML callbacks of recipes can hang on a fetch. One goroutine uses it.
type Driver struct {
	client *Client
	*colly.Collector
}

// NewDriver makes a Driver. One a goroutine.
func (c *Client) NewDriver() *Driver { return &Driver{client: c, Collector: colly.NewCollector()} }

// Drive fetches r and calls onResponse, once, with the capture, which the
// callee then owns, and with colly's response, which is nil where colly cannot
// carry the URL.
func (d *Driver) Drive(ctx context.Context, r Request, onResponse func(*Capture, *colly.Response)) error {
	cap, err := d.client.Fetch(ctx, r)
	if err != nil {
		return err
	}
	onResponse(cap, nil)
	return nil
}
