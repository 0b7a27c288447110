package frontier

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"salvor"
)

// openAt opens a machine that runs at a feature level.
func openAt(t testing.TB, fs vfs.FS, level uint16) (*Machine, error) {
	t.Helper()
	return Open("state", Options{FS: fs, CacheBytes: 8 << 20, Level: level})
}

// A node that runs at an older level stops at what needs a newer one, and never
// skips it (protocol 9).
func TestLevels(t *testing.T) {
	for _, e := range samples() {
		need := LevelOf(e.Command)
		if need != e.Level || need < 1 || need > Level {
			t.Fatalf("%s needs level %d", name(e.Command), need)
		}
		for at := uint16(1); at <= Level; at++ {
			m, err := openAt(t, vfs.NewMem(), at)
			if err != nil {
				t.Fatal(err)
			}
			out := m.ApplyBatch([]Entry{{1, Encode(Envelope{Command: &Tick{}})}, {2, Encode(e)}, {3, Encode(Envelope{Command: &Tick{}})}})
			stopped := need > at
			if out[1].Fatal != stopped || out[2].Fatal != stopped || out[0].Fatal {
				t.Errorf("%s of level %d at level %d: %+v", name(e.Command), need, at, out)
			}
			if stopped && (salvor.ClassOf(out[1].Err) != salvor.TooNew || salvor.HintOf(out[1].Err) == "" || m.AppliedIndex() != 1) {
				t.Errorf("%s: %v, applied up to %d", name(e.Command), out[1].Err, m.AppliedIndex())
			}
			shut(t, m)
		}
	}
}

// What says that it needs a level is refused, though its type is older; and a
// type is refused though the envelope says less.
func TestLevelOfTheEnvelope(t *testing.T) {
	for _, e := range []Envelope{{Level: 2, Command: &Tick{}}, {Level: 1, Command: &EndIdle{}}} {
		m, err := openAt(t, vfs.NewMem(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if out := m.ApplyBatch([]Entry{{1, Encode(e)}}); !out[0].Fatal || salvor.ClassOf(out[0].Err) != salvor.TooNew {
			t.Errorf("%+v: %+v", e, out)
		}
		shut(t, m)
	}
}

// A state that a newer level made is not opened at an older one; one that was
// made before there were levels opens at each.
func TestLevelOfTheState(t *testing.T) {
	for made := uint16(0); made <= Level; made++ {
		fs := vfs.NewMem()
		m := open(t, fs)
		if _, err := m.Apply(1, Envelope{Level: made, Command: &Tick{}}); err != nil {
			t.Fatal(err)
		}
		shut(t, m)
		for at := uint16(1); at <= Level; at++ {
			m, err := openAt(t, fs, at)
			if (err != nil) != (made > at) || err != nil && salvor.ClassOf(err) != salvor.TooNew {
				t.Errorf("made at %d, opened at %d: %v", made, at, err)
			}
			if err == nil {
				shut(t, m)
			}
		}
		if n, err := Inspect("state", fs); err != nil || n != 1 {
			t.Errorf("made at %d: inspected at entry %d, %v", made, n, err)
		}
	}
}
