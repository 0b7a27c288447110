package outfit

import (
	"context"
	"fmt"
	"strings"

	"salvor/storage"
	"salvor/warc/cdx"
)

// originalsMax bounds the table of payload digests: about 100 MB.
const originalsMax = 500_000

// NewOriginals is an empty table of the payloads that revisits may point at.
func NewOriginals() *cdx.Originals { return cdx.NewOriginals(originalsMax) }

// LoadOriginals reads them from the CDXJ files beside stored segments, the newest
// last. whole says whether to believe an index; nil believes all.
func LoadOriginals(ctx context.Context, o *cdx.Originals, s storage.Store, whole func(key string) bool) error {
	for info, err := range s.List(ctx, "warc/", "") {
		if err == nil && (!strings.HasSuffix(info.Key, ".cdxj") || whole != nil && !whole(info.Key)) {
			continue
		}
		if err == nil {
			err = loadIndex(ctx, o, s, info.Key)
		}
		if err != nil {
			return fmt.Errorf("read payload digests of %s: %w", info.Key, err)
		}
	}
	return nil
}

func loadIndex(ctx context.Context, o *cdx.Originals, s storage.Store, key string) error {
	in, _, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	defer in.Close()
	return o.Load(in)
}
