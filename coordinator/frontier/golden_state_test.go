package frontier

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestGoldenState: a log of an earlier release gives the state it gave then,
// and that state can be opened and continued (protocol 9). The first is of
// before there were feature levels.
func TestGoldenState(t *testing.T) {
	for _, name := range []string{"state-v1.txt", "state-leveled.txt"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", "golden", name)
			if _, err := os.Stat(path); os.IsNotExist(err) && *update {
				writeGoldenState(t, path)
			}
			checkGoldenState(t, path)
		})
	}
}

func checkGoldenState(t *testing.T, path string) {
	log, state := readGoldenState(t, path)
	m := open(t, vfs.NewMem())
	for i, o := range m.ApplyBatch(log) {
		if o.Fatal {
			t.Fatalf("entry %d: %v", i, o.Err)
		}
	}
	sameState(t, state, dump(t, m))
	shut(t, m)

	fs := vfs.NewMem()
	db, err := pebble.Open("state", Options{FS: fs, CacheBytes: 8 << 20}.pebble())
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range state {
		if err := db.Set([]byte(k), []byte(v), pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	m = open(t, fs)
	if m.AppliedIndex() != uint64(len(log)) {
		t.Errorf("opened at entry %d of %d", m.AppliedIndex(), len(log))
	}
	checkState(t, m)
	shut(t, m)
}

func writeGoldenState(t *testing.T, path string) {
	m := open(t, vfs.NewMem())
	log := run(t, m, 718, 160)
	state := dump(t, m)
	shut(t, m)
	var b strings.Builder
	for _, e := range log {
		fmt.Fprintf(&b, "entry %x\n", e.Data)
	}
	for _, k := range slices.Sorted(maps.Keys(state)) {
		fmt.Fprintf(&b, "key %x %x\n", k, state[k])
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readGoldenState(t *testing.T, path string) (log []Entry, state map[string]string) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	state = map[string]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		w := strings.Split(lines.Text(), " ")
		var parts [2]string
		for i, x := range w[1:] {
			b, err := hex.DecodeString(x)
			if err != nil {
				t.Fatal(err)
			}
			parts[i] = string(b)
		}
		if w[0] == "entry" {
			log = append(log, Entry{Index: uint64(len(log) + 1), Data: []byte(parts[0])})
		} else {
			state[parts[0]] = parts[1]
		}
	}
	return log, state
}
