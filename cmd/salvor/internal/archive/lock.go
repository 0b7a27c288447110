package archive

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"salvor"
	"salvor/storage/durable"
)

const lockFile = "lock"

// Holder is who has a directory locked. It is written into the lock file for
// people; the lock itself is flock(2), which ends with the process.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"`
}

func acquire(dir, path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, durable.Error(err, "open", path)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, held(dir, f)
		}
		return nil, durable.Error(err, "lock", dir)
	}
	if err := sign(f); err != nil {
		return nil, errors.Join(durable.Error(err, "write", path), f.Close())
	}
	return f, nil
}

// release empties the file before it unlocks, so that no stale holder is
// named. The file stays: removing it would let two processes lock two files
// of one name.
func release(f *os.File) error {
	return errors.Join(f.Truncate(0), f.Close())
}

func sign(f *os.File) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	b, err := json.Marshal(Holder{PID: os.Getpid(), Host: host, Started: time.Now().UTC().Truncate(time.Second)})
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt(append(b, '\n'), 0)
	return err
}

func held(dir string, f *os.File) error {
	e := salvor.Errorf(salvor.Conflict, "%s is in use by %s", dir, readHolder(f))
	return e.WithHint("wait until it ends; to stop it cleanly: touch %s", (&Dir{path: dir}).Control("stop"))
}

func readHolder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(io.NewSectionReader(f, 0, 4096), 4096))
	var h Holder
	if err != nil || json.Unmarshal(b, &h) != nil {
		return "another process"
	}
	return fmt.Sprintf("process %d on %s since %s", h.PID, h.Host, h.Started.Local().Format("2006-01-02 15:04:05"))
}
