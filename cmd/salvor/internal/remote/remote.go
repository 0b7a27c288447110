// Package remote is the part of an archive that lies in a Store on another
// machine: who may write there, the copies of the state from which a machine
// with an empty disk goes on, the log, the reports and the manifest.
//
// It is for `salvor save --store`. WARC files, indexes and journals get there
// by the segments themselves. Objects never change; docs/formats/store.md
// lists the keys:
//
//	owner/EPOCH.json          who writes, the highest epoch last
//	checkpoints/STAMP/...     copies of the state, checkpoint.json last
//	logs/crawl-OFFSET.log     crawl.log in pieces
//	reports/STAMP/...         what a run ended with
//	manifests/STAMP.txt       SHA-256 of every object of the archive
package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"salvor"
	"salvor/storage"
)

// Stamp names what belongs to one moment of one owner; stamps sort by time.
func Stamp(at time.Time, epoch int) string {
	return at.UTC().Format("20060102T150405.000Z") + fmt.Sprintf("-%06d", epoch)
}

func putJSON(ctx context.Context, s storage.Store, key string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", key, err)
	}
	_, err = s.Put(ctx, key, storage.BytesBlob(append(b, '\n')), storage.PutOptions{Type: "application/json"})
	return err
}

// maxJSON bounds what is read of a Store's small objects.
const maxJSON = 64 << 20

func getJSON(ctx context.Context, s storage.Store, key string, v any) error {
	r, _, err := s.Get(ctx, key)
	if err != nil {
		return err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxJSON))
	if err != nil {
		return err
	}
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(v); err != nil {
		return salvor.Errorf(salvor.Invalid, "read %s from the store: %w", key, err)
	}
	return nil
}

// last is the greatest key under a prefix; "" there is none.
func last(ctx context.Context, s storage.Store, prefix string) (key string, err error) {
	for info, err := range s.List(ctx, prefix, "") {
		if err != nil {
			return "", err
		}
		key = info.Key
	}
	return key, nil
}
