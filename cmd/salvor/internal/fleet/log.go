package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"salvor/cmd/salvor/internal/remote"
	"salvor/crawler/crawllog"
	"salvor/storage"
	"salvor/storage/durable"
)

// logMark is where crawl.log begins to tell of what was not reported, as a file
// remembers it. One that lags only makes the next start read more.
type logMark struct {
	Offset int64 `json:"offset"`

	ahead   int64 // the log's length at the look before
	written time.Time
}

const (
	markFile  = "mark.json"
	markEvery = 10 * time.Second
)

func (t *tools) openLog() (err error) {
	b, err := os.ReadFile(filepath.Join(t.crew.dir, markFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return durable.Error(err, "read", markFile)
	default:
		if json.Unmarshal(b, &t.mark) != nil {
			t.mark = logMark{} // then all of the log is read
		}
	}
	t.log, err = crawllog.Open(filepath.Join(t.crew.dir, logFile))
	return err
}

// noteLog moves the mark now and then.
func (t *tools) noteLog(at time.Time) error {
	m := &t.mark
	if at.Sub(m.written) < markEvery {
		return nil
	}
	m.written = at
	m.Offset = t.worker.LogMark(m.ahead) // the one before last: what it covers was reported
	m.ahead = t.log.Offset()
	return durable.WriteFile(filepath.Join(t.crew.dir, markFile), func(w io.Writer) error { return json.NewEncoder(w).Encode(m) })
}

// keepLog puts crawl.log into the Store, below the node's name: each node has
// one of its own.
func (t *tools) keepLog(ctx context.Context) error {
	s := storage.Under(t.store, "nodes/"+t.crew.f.c.Node)
	return errors.Join(t.log.Sync(), remote.PutLog(ctx, s, filepath.Join(t.crew.dir, logFile)))
}
