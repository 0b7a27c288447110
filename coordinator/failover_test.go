package coordinator

import (
	"fmt"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// measureEnv asks for the measurements, which take minutes of real time.
const measureEnv = "SALVOR_TEST_MEASURE"

// TestFailoverTime kills the leader again and again and sees how long the
// others take no writes. On a clock of its own it is a matter of the time-outs
// alone; MEASURE repeats it on the real one, over TCP.
func TestFailoverTime(t *testing.T) {
	t.Run("virtual", func(t *testing.T) {
		virtual(t, 1, func(t *testing.T, f *fleet, m *memnet) {
			kills := 40
			if os.Getenv(measureEnv) != "" {
				kills = 1000
			}
			took := f.failovers(kills)
			median, most := took[kills/2], took[kills*95/100]
			t.Logf("%d kills: median %s, 95%% within %s, most %s", kills, median, most, took[kills-1])
			if median > 4*time.Second || most > 6*time.Second {
				t.Errorf("median %s, 95%% within %s", median, most)
			}
		})
	})
	t.Run("real", func(t *testing.T) {
		if os.Getenv(measureEnv) == "" {
			t.Skip("a measurement: set " + measureEnv)
		}
		f := newFleet(t, 1, &wire{map[int]string{}})
		took := f.failovers(20)
		t.Logf("20 kills: median %s, most %s; all %v", took[10], took[19], took)
	})
}

// failovers kills leaders, and returns how long each took, sorted.
func (f *fleet) failovers(n int) (took []time.Duration) {
	f.three()
	for i := range n {
		old := f.leader(0)
		f.set("test", fmt.Sprint("before ", i), []byte("1"))
		began := time.Now()
		f.crash(f.nodes[old])
		f.set("test", fmt.Sprint("after ", i), []byte("1"))
		took = append(took, time.Since(began))
		f.start(old)
		f.eventually("it is back", 30*time.Second, func() bool { ok, _ := f.nodes[old].Ready(); return ok && f.leader(0) >= 0 })
		time.Sleep(3 * time.Second)
	}
	if got := f.keys("test"); len(got) != 2*n {
		f.t.Errorf("%d records of %d", len(got), 2*n)
	}
	slices.Sort(took)
	return took
}

// TestIdleCost is what three nodes cost that do nothing.
func TestIdleCost(t *testing.T) {
	if os.Getenv(measureEnv) == "" {
		t.Skip("a measurement: set " + measureEnv)
	}
	for _, groups := range []int{1, 4} {
		f := newFleet(t, groups, &wire{map[int]string{}})
		f.three()
		time.Sleep(time.Duration(groups) * 10 * time.Second)
		before := cpu()
		time.Sleep(30 * time.Second)
		t.Logf("%d groups on three idle nodes: %.2f %% of a core together", groups, float64(cpu()-before)/float64(30*time.Second)*100)
		f.close()
	}
}

func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
