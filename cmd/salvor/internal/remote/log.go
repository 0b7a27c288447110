package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"salvor"
	"salvor/storage"
	"salvor/storage/durable"
)

const (
	logs     = "logs/crawl-"
	logPiece = 64 << 20
)

// PutLog puts what a log grew by, in pieces that end at line ends. Where the
// last piece ended the Store knows.
func PutLog(ctx context.Context, s storage.Store, path string) error {
	at, err := logEnd(ctx, s)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return durable.Error(err, "open", path)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return durable.Error(err, "stat", path)
	}
	buf := make([]byte, max(0, min(logPiece, st.Size()-at)))
	for {
		n, err := f.ReadAt(buf, at)
		if err != nil && !errors.Is(err, io.EOF) {
			return durable.Error(err, "read", path)
		}
		if n = strings.LastIndexByte(string(buf[:n]), '\n') + 1; n == 0 {
			return nil
		}
		key := fmt.Sprintf("%s%015d.log", logs, at)
		if _, err := s.Put(ctx, key, storage.BytesBlob(buf[:n]), storage.PutOptions{Type: "text/plain"}); err != nil {
			return err
		}
		at += int64(n)
		buf = make([]byte, max(0, min(logPiece, st.Size()-at)))
	}
}

func logEnd(ctx context.Context, s storage.Store) (end int64, err error) {
	for info, err := range s.List(ctx, logs, "") {
		if err != nil {
			return 0, err
		}
		off, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(info.Key, logs), ".log"), 10, 64)
		if err != nil || off != end {
			return 0, salvor.Errorf(salvor.Invalid, "the store's pieces of crawl.log do not follow each other at %s", info.Key)
		}
		end = off + info.Size
	}
	return end, nil
}

// GetLog writes the log anew from its pieces.
func GetLog(ctx context.Context, s storage.Store, path string) error {
	if _, err := logEnd(ctx, s); err != nil {
		return err
	}
	return durable.WriteFile(path, func(w io.Writer) error {
		for info, err := range s.List(ctx, logs, "") {
			if err != nil {
				return err
			}
			r, _, err := s.Get(ctx, info.Key)
			if err != nil {
				return err
			}
			_, err = io.Copy(w, r)
			if err := errors.Join(err, r.Close()); err != nil {
				return err
			}
		}
		return nil
	})
}
