package platform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// site is one that nothing listens for.
func site(s Spec) *Site {
	x := &Site{Content: NewContent(s, 7), Spec: s, URL: "http://127.73.1.1:80/", set: newSet(), served: make([]time.Duration, s.Pages)}
	x.gate = newGate(s.Manner, x.seed, newBucket(s.Manner.Rate, s.Manner.Changes))
	for i := range x.served {
		x.served[i] = -1
	}
	return x
}

func get(x *Site, path string) *http.Response {
	w := httptest.NewRecorder()
	x.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Result()
}

// TestServe has every resource with its bytes, at its time.
func TestServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := mixed(100)
		s.Manner.Latency = 300 * time.Millisecond
		x := site(s)
		x.set.Begin(time.Now())
		for i := range x.Len() {
			r := get(x, x.Path(i))
			got, _ := io.ReadAll(r.Body)
			want, mediaType := x.Body(i)
			if !bytes.Equal(got, want) || r.Header.Get("Content-Type") != mediaType || r.StatusCode != 200 {
				t.Errorf("%s: %d %s, %d bytes", x.Path(i), r.StatusCode, r.Header.Get("Content-Type"), len(got))
			}
			if at, ok := x.Served(i); !ok || at != time.Duration(i+1)*300*time.Millisecond {
				t.Errorf("%s served at %s, %v", x.Path(i), at, ok)
			}
		}
		get(x, x.Path(5))
		if c := x.Tally(); c.Answers != 101 || c.Repeats != 1 {
			t.Errorf("%+v", c)
		}
	})
}

func TestOtherPaths(t *testing.T) {
	x := site(mixed(100))
	for path, want := range map[string]string{
		"/robots.txt":   "Sitemap: http://127.73.1.1:80/sitemap.xml",
		"/sitemap.xml":  "<loc>http://127.73.1.1:80" + x.Path(x.lists+1) + "</loc>",
		"/api/v1/items": `{"first":4,"last":99}`,
	} {
		r := get(x, path)
		if b, _ := io.ReadAll(r.Body); r.StatusCode != 200 || !strings.Contains(string(b), want) {
			t.Errorf("%s: %d %s", path, r.StatusCode, b)
		}
	}
	if r := get(x, "/t0/page/1000.html"); r.StatusCode != 404 {
		t.Errorf("a page that is not there: %d", r.StatusCode)
	}
	s := mixed(100)
	s.Listed = false
	if r := get(site(s), "/sitemap.xml"); r.StatusCode != 404 {
		t.Errorf("a sitemap of a platform without one: %d", r.StatusCode)
	}
}

func TestRefusal(t *testing.T) {
	x := site(Spec{Name: "a", Pages: 50, Manner: Conduct{Rate: 1}})
	for i := range 20 {
		get(x, x.Path(i))
	}
	r := get(x, "/")
	if r.StatusCode != 429 || r.Header.Get("Retry-After") != "2" {
		t.Errorf("%d, Retry-After %q", r.StatusCode, r.Header.Get("Retry-After"))
	}
	if _, ok := x.Served(19); ok || x.Tally().Refusals == 0 {
		t.Errorf("%+v", x.Tally())
	}
}

// TestSuspended has the provider's page in the place of everything, also for
// who was waiting when it died.
func TestSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := site(Spec{Name: "a", Pages: 50, Manner: Conduct{Death: 10 * time.Second, End: Suspended, Latency: time.Second}})
		x.set.Begin(time.Now())
		if r := get(x, "/"); r.StatusCode != 200 {
			t.Errorf("alive: %d", r.StatusCode)
		}
		time.Sleep(8500 * time.Millisecond)
		for range 2 { // at 9.5 s, and after its death
			r := get(x, "/")
			if b, _ := io.ReadAll(r.Body); r.StatusCode != 503 || !strings.Contains(string(b), "suspended") {
				t.Errorf("dead: %d %s", r.StatusCode, b)
			}
		}
	})
}

// TestPlug is a real server that is gone at its time, and who asks meets a
// closed port.
func TestPlug(t *testing.T) {
	const life = 150 * time.Millisecond
	set, err := Start(t.Context(), "127.73.9", 1, []Spec{{Name: "a", Pages: 50, Manner: Conduct{Death: life}}, {Name: "b", Pages: 50}})
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if a, b := set.Sites[0].Host, set.Sites[1].Host; a != "127.73.9.1" || b != "127.73.9.2" {
		t.Errorf("hosts %s and %s", a, b)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	fetch := func(x *Site) error {
		r, err := client.Get(x.URL)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		_, err = io.Copy(io.Discard, r.Body)
		return err
	}
	for _, x := range set.Sites {
		if err := fetch(x); err != nil {
			t.Errorf("%s before: %v", x.Spec.Name, err)
		}
	}
	set.Begin(time.Now())
	set.Sites[0].web.wait()
	if at := set.Now(); at < life {
		t.Errorf("it died after %s", at)
	}
	if err := fetch(set.Sites[0]); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after its death: %v", err)
	}
	if err := fetch(set.Sites[1]); err != nil {
		t.Errorf("the other one: %v", err)
	}
}

func TestStartRefuses(t *testing.T) {
	if _, err := Start(context.Background(), "127.73.9", 1, []Spec{{Name: "a"}}); err == nil {
		t.Error("a platform without a page is served")
	}
	if _, err := Start(context.Background(), "203.0.113", 1, []Spec{{Name: "a", Pages: 1}}); err == nil {
		t.Error("an address of somebody else is served")
	}
}

// BenchmarkServe is what a request costs the server and its client together.
func BenchmarkServe(b *testing.B) {
	set, err := Start(b.Context(), "127.73.8", 1, []Spec{mixed(10_000)})
	if err != nil {
		b.Fatal(err)
	}
	defer set.Close()
	x := set.Sites[0]
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	var wg sync.WaitGroup
	paths := make(chan string, 16)
	for range 8 {
		wg.Go(func() {
			for p := range paths {
				r, err := client.Get(x.URL + p[1:])
				if err != nil {
					b.Error(err)
					continue
				}
				_, _ = io.Copy(io.Discard, r.Body)
				r.Body.Close()
			}
		})
	}
	for i := 0; b.Loop(); i++ {
		paths <- x.Path(i % x.Len())
	}
	close(paths)
	wg.Wait()
}
