package fleet

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"salvor"
	"salvor/api"
)

// TestMergedHostsAtTheServer: what a server with three names sees of two fleets
// keeps to its one budget, and uses it (protocol 2).
func TestMergedHostsAtTheServer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 16 s")
	}
	t.Parallel()
	const rate, pages, watch = 12, 200, 14 * time.Second
	w := newWorld(t, 1)
	var mu sync.Mutex
	var arrived []time.Time
	var hosts, seeds []string
	for i := range 3 {
		host := fmt.Sprintf("127.0.67.%d", i+1)
		hosts = append(hosts, host)
		seeds = append(seeds, w.at(host, func(rw http.ResponseWriter, r *http.Request) {
			mu.Lock()
			arrived = append(arrived, time.Now())
			mu.Unlock()
			rw.Header().Set("Content-Type", "text/html")
			for j := range pages {
				fmt.Fprintf(rw, `<a href="/%d">x</a>`, j)
			}
		})+"/")
	}
	id := w.crawl("one", nil, seeds...)
	if err := w.node.MergeHosts(t.Context(), api.HostGroup{Name: "cdn", Hosts: hosts, Crawl: id}); err != nil {
		t.Fatal(err)
	}
	list, err := w.node.HostGroups(t.Context())
	if err == nil {
		err = w.node.SetLimits(t.Context(), api.GroupLimits{Name: "cdn", Rate: rate * 1000, Was: list[0].Rate, Ceiling: rate * 1000})
	}
	if err != nil {
		t.Fatal(err)
	}
	a, b := w.run(w.config("ant")), w.run(w.config("bee"))
	time.Sleep(watch)
	w.set(id, salvor.CrawlCancelled)
	a.stop()
	b.stop()

	mu.Lock()
	defer mu.Unlock()
	slices.SortFunc(arrived, time.Time.Compare)
	most := 0
	for i, first := range arrived {
		n, _ := slices.BinarySearchFunc(arrived[i:], first.Add(10*time.Second), time.Time.Compare)
		most = max(most, n)
	}
	t.Logf("%d requests, at most %d in 10 s", len(arrived), most)
	// A request arrives some time after its start, some later than others.
	if most > rate*10+2+1 || most < rate*7 {
		t.Errorf("at most %d requests in 10 s, of two workers at %d/s", most, rate)
	}
}
