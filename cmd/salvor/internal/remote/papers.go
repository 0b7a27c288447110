package remote

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"salvor/api"
	"salvor/storage"
	"salvor/storage/durable"
)

// PutPapers puts files of dir under reports/STAMP/. One that is not there is
// left out.
func PutPapers(ctx context.Context, s storage.Store, dir, stamp string, names []string) error {
	for _, name := range names {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return durable.Error(err, "read", path)
		}
		if _, err := s.Put(ctx, "reports/"+stamp+"/"+name, storage.BytesBlob(b), storage.PutOptions{Type: mediaType(name)}); err != nil {
			return err
		}
	}
	return nil
}

func mediaType(name string) string {
	switch filepath.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".json":
		return "application/json"
	case ".tsv":
		return "text/tab-separated-values; charset=utf-8"
	}
	return "text/plain; charset=utf-8"
}

// published are the prefixes of what an archive consists of; the rest serves
// to go on with the crawl.
var published = []string{"logs/", "reports/", "warc/"}

// PutManifest puts manifests/STAMP.txt: a line "<hex>  <key>" for every object of
// the archive, in the order of their keys, as `sha256sum -c` takes it where the
// objects were copied to.
func PutManifest(ctx context.Context, s storage.Store, stamp string, segments []api.Segment) error {
	known := map[string]api.Segment{}
	for _, x := range segments {
		if x.State == api.SegmentStored && x.Base == 0 {
			known[x.Object] = x
		}
	}
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	for _, prefix := range published {
		for info, err := range s.List(ctx, prefix, "") {
			if err != nil {
				return err
			}
			sum, err := digest(ctx, s, info, known)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "%x  %s\n", sum, info.Key)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := s.Put(ctx, "manifests/"+stamp+".txt", storage.BytesBlob(b.Bytes()), storage.PutOptions{Type: "text/plain"})
	return err
}

// digest trusts the segment table only where the size agrees.
func digest(ctx context.Context, s storage.Store, info storage.Info, known map[string]api.Segment) ([32]byte, error) {
	if x, ok := known[info.Key]; ok && x.Bytes == info.Size && strings.HasPrefix(info.Key, "warc/") {
		return x.SHA256, nil
	}
	return s.Checksum(ctx, info.Key)
}
