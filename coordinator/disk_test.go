package coordinator

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	walfs "github.com/hashicorp/raft-wal/fs"
	"github.com/hashicorp/raft-wal/types"

	"salvor"
	"salvor/api"
)

// badDisk fails the writes of a log, or the making of its files, once told to.
type badDisk struct {
	types.VFS
	write, create atomic.Pointer[error]
}

func newBadDisk() *badDisk { return &badDisk{VFS: walfs.New()} }

func (d *badDisk) Create(dir, name string, size uint64) (types.WritableFile, error) {
	if err := d.create.Load(); err != nil {
		return nil, *err
	}
	f, err := d.VFS.Create(dir, name, size)
	return badFile{f, d}, err
}

func (d *badDisk) OpenWriter(dir, name string) (types.WritableFile, error) {
	f, err := d.VFS.OpenWriter(dir, name)
	return badFile{f, d}, err
}

type badFile struct {
	types.WritableFile
	d *badDisk
}

func (f badFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.d.write.Load(); err != nil {
		return 0, *err
	}
	return f.WritableFile.WriteAt(p, at)
}

func ptr(err error) *error { return &err }

// said fails unless an error has its class, a remedy and the path of the log.
func said(t *testing.T, err error, class salvor.ErrorClass, dir string) {
	t.Helper()
	if salvor.ClassOf(err) != class || salvor.HintOf(err) == "" || err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("class %s, hint %q: %v", salvor.ClassOf(err), salvor.HintOf(err), err)
	}
}

// A log that cannot be written ends the node: whoever called gets to know why,
// and so does everyone who waits and who comes later. Nothing acknowledged is
// lost.
func TestLogErrorEndsTheNode(t *testing.T) {
	for _, c := range []struct {
		err   error
		class salvor.ErrorClass
	}{{syscall.EIO, salvor.Internal}, {syscall.ENOSPC, salvor.Exhausted}, {syscall.EDQUOT, salvor.Exhausted}} {
		t.Run(c.err.Error(), func(t *testing.T) {
			disk, dir := newBadDisk(), t.TempDir()
			n, err := Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20, logFS: disk})
			must(t, err)
			r := newRescue(t, n)
			r.discover("a.example", 0, 5)
			r.lease(api.Want{Hosts: 1, Items: 10})
			waiting := make(chan error)
			call := r.call()
			go func() {
				_, err := n.Lease(context.Background(), call, api.Want{Hosts: 1, Items: 1, Wait: time.Hour})
				waiting <- err
			}()
			disk.write.Store(ptr(c.err))
			_, err = r.Discover(t.Context(), r.call(), api.Discovery{Crawl: r.crawl.ID, Scope: 1, Items: r.offers("a.example", 5, 6)})
			said(t, err, c.class, dir)
			said(t, <-waiting, c.class, dir)
			_, err = n.Crawls(t.Context())
			said(t, err, c.class, dir)
			must(t, n.Close(t.Context()))
			r.Group = startNode(t, dir)
			if x := r.totals(); x.Accepted < 6 {
				t.Errorf("after the next start: %+v", x)
			}
		})
	}
}

// A loop of the node meets the full disk first: callers hear of it all the same.
func TestFullDiskIsMetByALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, dir := newBadDisk(), t.TempDir()
		n, err := Start(t.Context(), Config{Dir: dir, CacheBytes: 32 << 20, logFS: disk})
		must(t, err)
		r := newRescue(t, n)
		r.discover("a.example", 0, 1)
		l := r.lease(api.Want{Hosts: 1, Items: 1})[0]
		e := api.Entry{Key: l.Items[0].Key, Host: l.Host, Lease: l.ID, Verb: api.VerbRetry, Retry: time.Now().Add(time.Minute).UnixMilli()}
		must(t, r.Settle(t.Context(), r.call(), api.Settlement{Crawl: r.crawl.ID, Entries: []api.Entry{e}}))
		disk.write.Store(ptr(syscall.ENOSPC))
		time.Sleep(2 * time.Minute) // the item came due meanwhile
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = r.Totals(ctx, r.crawl.ID)
		said(t, err, salvor.Exhausted, dir)
		said(t, r.Feedback(ctx, nil), salvor.Exhausted, dir)
		must(t, n.Close(t.Context()))
	})
}

// groupOn starts a group on a disk and tells what ends it.
func groupOn(t *testing.T, disk types.VFS) (*replica[*ledger], replicaConfig[*ledger], chan error) {
	t.Helper()
	c := soloConfig(t, t.TempDir())
	stopped := make(chan error, 1)
	c.OnStop = func(err error) { stopped <- err }
	c.LogFS, c.SegmentSize = disk, 16<<10
	return startSolo(t, c), c, stopped
}

// The log makes its segments ahead and only prints that there was no room.
func TestNoRoomForASegment(t *testing.T) {
	disk := newBadDisk()
	g, c, stopped := groupOn(t, disk)
	disk.create.Store(ptr(syscall.ENOSPC))
	var err error
	for i := 0; err == nil && i < 100; i++ {
		_, err = g.propose(t.Context(), make([]byte, 1000))
	}
	said(t, err, salvor.Exhausted, c.Dir)
	said(t, <-stopped, salvor.Exhausted, c.Dir)
	must(t, g.close())
}

// A snapshot that finds no room ends the node before Pebble stalls.
func TestNoRoomForASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, c, stopped := groupOn(t, nil)
		m, done := g.state.use()
		m.fill(syscall.EIO) // it may pass, and the log has everything
		proposeAll(t, g, 0, 3)
		time.Sleep(2 * time.Minute)
		select {
		case err := <-stopped:
			t.Errorf("the node was ended by %v", err)
		default:
		}
		m.fill(syscall.ENOSPC)
		done()
		time.Sleep(2 * time.Minute)
		select {
		case err := <-stopped:
			said(t, err, salvor.Exhausted, c.Dir)
		default:
			t.Error("nobody was told")
		}
		must(t, g.close())
	})
}

// Raft panics when it cannot write its term.
func TestUnwrittenTerm(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	must(t, os.Mkdir(dir, 0o700))
	var stopped error
	l, err := openLog(dir, nil, 1<<20, raftLogger(slog.New(slog.DiscardHandler)), func(err error) { stopped = err })
	must(t, err)
	must(t, l.SetUint64([]byte("CurrentTerm"), 7))
	must(t, l.WAL.Close())
	must(t, l.SetUint64([]byte("CurrentTerm"), 8))
	said(t, stopped, salvor.Internal, dir)
	said(t, l.Set([]byte("LastVoteCand"), []byte("me")), salvor.Internal, dir)
	said(t, l.StoreLog(&raft.Log{Index: 1, Data: []byte("x")}), salvor.Internal, dir)
}

// However many changes of the lead nobody has read, Raft need not wait, and who
// reads gets the newest.
func TestUnreadNoticesBlockNobody(t *testing.T) {
	g := startSolo(t, soloConfig(t, t.TempDir()))
	for i := range 1000 {
		select {
		case g.notices <- i%2 == 1:
		case <-time.After(10 * time.Second):
			t.Fatalf("notice %d is not taken", i)
		}
	}
	for range 100 {
		if len(g.notices) == 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !<-g.leading {
		t.Error("an old notice")
	}
	select {
	case <-g.leading:
		t.Error("a second one")
	case <-time.After(50 * time.Millisecond):
	}
	must(t, g.close())
}
