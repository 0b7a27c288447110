package rescue

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"salvor"
	"salvor/api"
	"salvor/cmd/salvor/internal/archive"
	"salvor/cmd/salvor/internal/job"
	"salvor/cmd/salvor/internal/progress"
	"salvor/cmd/salvor/internal/remote"
	"salvor/storage"
	"salvor/storage/durable"
	"salvor/warc"
)

// An archive whose WARC files lie in a Store on another machine: the directory
// keeps the state, the spool, crawl.log and the newest report, and all but the
// state's secrets is in the Store too.

const (
	claimFile    = "store.json"   // in state/: this directory's claim on the Store
	carriedFile  = "carried.json" // in state/: the checkpoint it was restored from, until its journals are fetched
	settingsFile = "settings.json"

	checkpointEvery = 10 * time.Minute
	ownerEvery      = 20 * time.Second // between looks at who owns the archive
	checkpointSoon  = time.Minute      // after one that could not be made
	// aliveFor is how long after its last checkpoint an owner counts as alive.
	aliveFor = 25 * time.Minute
)

// stateFiles are the small files a checkpoint has of the state directory.
var stateFiles = []string{settingsFile, "seeds.jsonl", "status.json", "changes.log", memoryFile, "moved.jsonl"}

// elsewhere reports whether the Store is on another machine.
func (r *rescue) elsewhere() bool { return r.job.Settings.Store != "" }

// openRemote opens the Store and makes sure that nobody else writes there. A
// Store that is known may be away: the crawl goes on into the spool.
func (r *rescue) openRemote(ctx context.Context) error {
	if err := durable.RemoveTemps(r.job.Dir.State()); err != nil { // copies of the state that a kill left half made
		return err
	}
	known, err := readState(r.job.Dir, claimFile, &r.claim)
	if err != nil {
		return err
	}
	if r.store, err = r.openElsewhere(ctx, r.job.Settings.Store, "uploads", known); err != nil {
		return err
	}
	if err := r.openMirror(ctx, known); err != nil {
		return err
	}
	if !known {
		return r.claimNew(ctx)
	}
	soon, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	err = remote.Check(soon, r.store, r.claim)
	if r.away = salvor.ClassOf(err) == salvor.Unavailable && ctx.Err() == nil; r.away {
		r.notice(progress.Error, "store_away", "", fmt.Sprintf("the store does not answer (%v): what is captured waits in the spool", err))
		return nil
	}
	return err
}

// answerWithin is how long a run that begins waits for its Store.
const answerWithin = 10 * time.Second

// openElsewhere opens a Store. What troubles it is told, not too often: it is
// tried again for as long as it lasts.
func (r *rescue) openElsewhere(ctx context.Context, url, notes string, known bool) (storage.Store, error) {
	var mu sync.Mutex
	var told time.Time
	return r.job.OpenStore(ctx, job.StoreRequest{URL: url, Notes: r.job.Dir.Spool(notes), Known: known, Trouble: func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if time.Since(told) < troubleEvery {
			return
		}
		told = time.Now()
		r.job.Progress.Notice(progress.Notice{
			Level: progress.Error, At: told, Code: "store", Hint: salvor.HintOf(err),
			Text: fmt.Sprintf("the store has trouble, trying again: %v", err),
		})
	}})
}

// troubleEvery is the least distance of two notices of a Store's trouble.
const troubleEvery = 20 * time.Second

// claimNew is for a directory that has no claim yet. A claim without a
// checkpoint is what a process left that was killed in its first second.
func (r *rescue) claimNew(ctx context.Context) error {
	if r.job.Resumed {
		return salvor.Errorf(salvor.Invalid, "%s keeps its WARC files in the directory: --store comes too late", r.job.Dir.Path()).
			WithHint("go on without --store, or begin another archive with --dir")
	}
	last, found, err := remote.Newest(ctx, r.store)
	if err != nil {
		return err
	}
	if found {
		_, begun, err := remote.Latest(ctx, r.store)
		if err != nil {
			return err
		}
		if begun {
			return salvor.Errorf(salvor.Invalid, "the store holds an archive there already, begun on %s in %s", last.Host, last.Dir).
				WithHint("name another prefix with --store, or an empty --dir to go on with that one")
		}
	}
	if last.ID == "" {
		var id [8]byte
		if _, err := rand.Read(id[:]); err != nil {
			return fmt.Errorf("name archive: %w", err)
		}
		last.ID = hex.EncodeToString(id[:])
	}
	if r.claim, err = take(ctx, r.store, last, r.job.Dir.Path(), r.job.Version); err != nil {
		return err
	}
	return writeState(r.job.Dir, claimFile, r.claim)
}

func readState(d *archive.Dir, name string, v any) (bool, error) {
	b, err := os.ReadFile(d.State(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, durable.Error(err, "read", d.State(name))
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, salvor.Errorf(salvor.Internal, "read %s: %w", d.State(name), err).WithHint("the file is damaged: restore it from a copy")
	}
	return true, nil
}

func writeState(d *archive.Dir, name string, v any) error {
	return durable.WriteFile(d.State(name), func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
}

// openCarried takes over what the Store has and the coordinator's state does
// not know: the segments after the checkpoint this directory was restored from.
// Their journals go into the spool, where opening the segments finds them.
func (r *rescue) openCarried(ctx context.Context) error {
	if !r.elsewhere() {
		return nil
	}
	var from remote.Checkpoint
	restored, err := readState(r.job.Dir, carriedFile, &from)
	if err != nil || !restored {
		return err
	}
	r.show(progress.Mending)
	segments, err := r.node.Segments(ctx)
	if err != nil {
		return err
	}
	known := map[string]bool{} // wholly: nothing of them is to be reported again
	for _, s := range segments {
		known[s.Name] = s.State == api.SegmentStored && s.ID <= from.Known
	}
	for _, name := range from.Shelf {
		known[name] = false
	}
	n := 0
	for info, err := range r.store.List(ctx, "journals/", "") {
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(info.Key, "journals/"), ".journal.gz") + ".warc.gz"
		if known[name] {
			continue
		}
		if err := r.carry(ctx, info.Key); err != nil {
			return fmt.Errorf("take over %s: %w", name, err)
		}
		n++
	}
	if n > 0 {
		r.notice(progress.Note, "carried", "", progress.Counted(int64(n), "segment")+" in the store after that copy: what they hold is reported again")
	}
	if err := os.Remove(r.job.Dir.State(carriedFile)); err != nil {
		return durable.Error(err, "remove", r.job.Dir.State(carriedFile))
	}
	return durable.SyncDir(r.job.Dir.State())
}

func (r *rescue) carry(ctx context.Context, key string) error {
	in, _, err := r.store.Get(ctx, key)
	if err != nil {
		return err
	}
	defer in.Close()
	return warc.Adopt(r.job.Dir.Spool("segments"), in, func(c warc.Carried) (salvor.SegmentID, error) {
		id, err := r.node.OpenSegment(ctx, api.Call{}, c.Name)
		if err != nil {
			return 0, err
		}
		return id, r.node.SetSegment(ctx, api.Segment{
			ID: id, Name: c.Name, Object: warc.Key(c.Name), Bytes: c.Bytes, SHA256: c.SHA256, State: api.SegmentStored,
		})
	})
}

// orphanAge is how old an unfinished upload is when nobody can still be at it.
const orphanAge = time.Hour

// abortOrphans ends uploads that crashes left unfinished: no listing shows
// them, and they are paid for. It is for the end of a run, when none is under
// way; what it cannot end is left.
func (r *rescue) abortOrphans(ctx context.Context) {
	type aborter interface {
		AbortOrphans(context.Context, time.Duration) (int, error)
	}
	a, ok := r.store.(aborter)
	if !ok {
		return
	}
	n, err := a.AbortOrphans(ctx, orphanAge)
	if err != nil {
		r.job.Logger.Warn("unfinished uploads are left", "error", err)
	}
	if n > 0 {
		r.job.Logger.Info("aborted unfinished uploads", "uploads", n)
	}
}

// publish puts into the Store what a run ends with: log, reports, manifest and
// a last copy of the state.
func (r *rescue) publish(ctx context.Context, why job.Reason) error {
	if !r.elsewhere() {
		return nil
	}
	r.abortOrphans(ctx)
	stamp := remote.Stamp(time.Now(), r.claim.Epoch)
	names, err := filepath.Glob(r.job.Dir.Path("*.tsv"))
	if err != nil {
		return err
	}
	for i := range names {
		names[i] = filepath.Base(names[i])
	}
	names = append(names, "report.json", "report.html")
	segments, err := r.node.Segments(ctx)
	if err != nil {
		return err
	}
	return inOrder(
		func() error { return r.putLog(ctx) },
		func() error { return remote.PutPapers(ctx, r.store, r.job.Dir.Path(), stamp, names) },
		func() error { return remote.PutManifest(ctx, r.store, stamp, segments) },
		func() error { return r.checkpoint(ctx, string(why)) },
	)
}

// inOrder takes steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// unpublished says that the Store has no copy of what a run ended with.
func (r *rescue) unpublished(err error) string {
	text := fmt.Sprintf("report and state are in %s, but not in the store: %v", r.job.Dir.Path(), err)
	if r.detail != "" {
		text = r.detail + "; " + text
	}
	return text
}
