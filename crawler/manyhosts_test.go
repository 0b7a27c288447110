package crawler

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"salvor"
	"salvor/api"
)

// manyHosts leases items of n hosts, a thousand hosts a grant.
func manyHosts(n, items int) *schedule {
	s := newSchedule(6, nil)
	for first := 0; first < n; first += 1000 {
		var leases []api.Lease
		for i := range min(1000, n-first) {
			leases = append(leases, testLease(first+i+1, fmt.Sprintf("h%d.test", first+i), 1, items))
		}
		s.add(leases, now())
	}
	return s
}

// everything takes what may start now, to its end.
func everything(s *schedule) (n int) {
	for x, ok, _ := s.pick(); ok; x, ok, _ = s.pick() {
		s.launched(x)
		s.observe(x, verdict{status: 200}, time.Millisecond)
		s.landed(x)
		s.settled([]task{x})
		n++
	}
	return n
}

// renew extends everything that is held.
func renew(s *schedule) int {
	sent := now()
	h := s.holdings()
	for i := range h.Leases {
		h.Leases[i].Pace = salvor.PerSecond(1)
	}
	s.renewed(api.Renewal{Granted: h.Leases}, sent)
	return len(h.Leases)
}

// TestManyHosts: 100,000 hosts that rest between their starts cost little time
// and memory, and leave none when they are done.
func TestManyHosts(t *testing.T) {
	begin := time.Now()
	synctest.Test(t, crowd) // in which no lease gets older however slow the machine is
	// Each of its steps once looked at all leases for every host: minutes.
	if d := time.Since(begin); d > time.Minute {
		t.Errorf("took %v", d)
	}
}

func crowd(t *testing.T) {
	const hosts, items = 100_000, 3
	before := heapInUse()
	s := manyHosts(hosts, items)
	per := (heapInUse() - before) / hosts
	t.Logf("%d bytes a host with %d items", per, items)
	if per > 3000 {
		t.Errorf("%d bytes a host with %d items, want 3,000 or less", per, items)
	}
	if n := everything(s); n != hosts {
		t.Errorf("%d of %d hosts started", n, hosts)
	}
	if n := renew(s); n != hosts {
		t.Errorf("%d leases are held, want %d", n, hosts)
	}
	if n := len(s.reports(1)); n != hosts {
		t.Errorf("%d hosts reported", n)
	}
	if n, _ := s.want(64, leaseItems); n > 0 {
		t.Errorf("asks for %d more hosts", n)
	}
	s.clear()
	for _, h := range s.hosts { // their rest is over
		h.purse.next = time.Time{}
	}
	s.reports(1)
	if len(s.hosts) != 0 || len(s.leases) != 0 || s.todo != 0 || len(s.ready) != 0 {
		t.Errorf("left: %d hosts, %d leases, %d items, %d ready", len(s.hosts), len(s.leases), s.todo, len(s.ready))
	}
	runtime.KeepAlive(s)
}

// TestItemsWaitingAreBounded: however many hosts and items there are, no more
// is asked for than will be fetched in some minutes.
func TestItemsWaitingAreBounded(t *testing.T) {
	s := newSchedule(6, nil)
	most, id := 0, 0
	for hosts, _ := s.want(10_000, leaseItems); hosts > 0; hosts, _ = s.want(10_000, leaseItems) {
		var leases []api.Lease
		for range min(hosts, 100) {
			id++
			leases = append(leases, testLease(id, fmt.Sprintf("h%d.test", id), 1, 100))
		}
		s.add(leases, now())
		most = max(most, s.todo)
	}
	if most < maxTodo || most > maxTodo+100*100 {
		t.Errorf("%d items are waiting, the bound is %d", most, maxTodo)
	}
}

// TestRestingHostsAreBounded: hosts that rest for long are no reason to lease
// all the others.
func TestRestingHostsAreBounded(t *testing.T) {
	s := newSchedule(6, nil)
	for id := 1; ; id++ {
		hosts, _ := s.want(16, leaseItems)
		if hosts <= 0 {
			break
		}
		s.add([]api.Lease{testLease(id, fmt.Sprintf("h%d.test", id), 1, 1)}, now())
		s.hosts[fmt.Sprintf("h%d.test", id)].purse.next = time.Now().Add(time.Minute)
	}
	if n := len(s.hosts); n != 16*restingHosts {
		t.Errorf("%d hosts are held", n)
	}
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkManyHosts is one start, from pick to its report, among 100,000 hosts.
func BenchmarkManyHosts(b *testing.B) {
	s := manyHosts(100_000, 1)
	b.ReportAllocs()
	for b.Loop() {
		x, ok, _ := s.pick()
		if !ok {
			b.StopTimer()
			s = manyHosts(100_000, 1)
			b.StartTimer()
			continue
		}
		s.launched(x)
		s.landed(x)
		s.settled([]task{x})
	}
}

// BenchmarkExtendManyHosts is what a worker does every 2 s for 100,000 hosts.
func BenchmarkExtendManyHosts(b *testing.B) {
	s := manyHosts(100_000, 1)
	b.ReportAllocs()
	for b.Loop() {
		renew(s)
		s.want(10_000, leaseItems)
		s.reports(1)
	}
}
