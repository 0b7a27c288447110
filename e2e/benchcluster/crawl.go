package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// CrawlRun is one crawl of the site, by a cluster or by `salvor save`.
type CrawlRun struct {
	What    string             `json:"what"`
	Workers int                `json:"workers"`
	Links   int                `json:"links_per_page"` // that reach a group, about
	Pages   int                `json:"pages"`
	Wall    float64            `json:"wall_seconds"` // to the last page
	CPU     map[string]float64 `json:"cpu_seconds"`  // to the end: leader, workers, minio, nginx
	Entries float64            `json:"log_entries"`
	Log     float64            `json:"log_bytes"`
	Load    float64            `json:"load_average"`
}

// each is microseconds a page.
func (r CrawlRun) each(part string) float64 { return r.CPU[part] / float64(r.Pages) * 1e6 }

// crawls lets one, two and four workers crawl the site, and `salvor save` too.
// So many links of a page reach a group: every worker offers every page once,
// because the site is small and well linked, and the rest are links that a rule
// excludes, each on one page only.
func crawls(ctx context.Context, o options, res *Results) error {
	store, err := rig.StartMinIO(o.dir)
	if err != nil {
		return err
	}
	defer store.Kill()
	for _, x := range []struct{ workers, links int }{{0, 4}, {1, 4}, {2, 4}, {4, 4}, {1, 12}} {
		r, err := crawlOnce(ctx, o, store, x.workers, x.links)
		if err != nil {
			return fmt.Errorf("%d workers: %w", x.workers, err)
		}
		fmt.Fprintf(os.Stderr, "%s, %d workers, %d links: %.0f us of CPU a page at the coordinator, %.0f at the workers, %.0f pages/s, load %.1f\n",
			r.What, r.Workers, r.Links, r.each("leader"), r.each("workers"), float64(r.Pages)/r.Wall, r.Load)
		res.Crawls = append(res.Crawls, r)
	}
	return nil
}

func crawlOnce(ctx context.Context, o options, store *rig.MinIO, workers, links int) (CrawlRun, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	dir, err := os.MkdirTemp(o.dir, "site-")
	if err != nil {
		return CrawlRun{}, err
	}
	defer os.RemoveAll(dir)
	s := site.Site{Pages: o.site}
	if err := writeSite(s, filepath.Join(dir, "root"), links-max(workers, 1)); err != nil {
		return CrawlRun{}, err
	}
	web, err := rig.StartNginx(rig.NginxConfig{Dir: filepath.Join(dir, "nginx"), Root: filepath.Join(dir, "root"), NoLog: true})
	if err != nil {
		return CrawlRun{}, err
	}
	defer web.Stop()
	pid, err := pidIn(filepath.Join(dir, "nginx", "nginx.pid"))
	if err != nil {
		return CrawlRun{}, err
	}
	others := []part{{"nginx", []int{pid}}, {"minio", []int{store.PID()}}}
	if workers == 0 {
		return saveOnce(ctx, o, web.URL, links, others[:1])
	}
	return clusterOnce(ctx, o, store, web.URL, workers, links, others)
}

// writeSite writes the site with so many links to nothing on each page.
func writeSite(s site.Site, root string, more int) error {
	for i := range s.Pages {
		path := filepath.Join(root, filepath.FromSlash(s.Path(i)))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		var b bytes.Buffer
		for j := range more {
			fmt.Fprintf(&b, "<a href=\"/out/page-%d/%d.html\">out</a>\n", i, j)
		}
		page := bytes.Replace(s.Page(i), []byte("</main>"), append(b.Bytes(), "</main>"...), 1)
		if err := os.WriteFile(path, page, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func pidIn(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

// scope are the flags that every program gets.
var scope = []string{"--max-rate", "0", "--allow-net", "127.0.0.0/8", "--exclude", "/out/"}

// saveOnce is `salvor save`, for comparison.
func saveOnce(ctx context.Context, o options, url string, links int, others []part) (r CrawlRun, err error) {
	r = CrawlRun{What: "salvor save", Links: links, Pages: o.site, Load: loadNow()}
	before, err := read(others)
	if err != nil {
		return r, err
	}
	args := append([]string{"save", "-q", "--dir", filepath.Join(o.dir, "save")}, scope...)
	p, err := rig.Start(o.dir, nil, o.salvor, append(args, url+"/index.html")...)
	if err != nil {
		return r, err
	}
	u, err := p.Wait(ctx)
	if err != nil || u.Exit != 0 {
		return r, fmt.Errorf("exit code %d: %w\n%s", u.Exit, err, p.Stderr())
	}
	after, err := read(others)
	if err != nil {
		return r, err
	}
	_, r.CPU, _ = after.since(before)
	r.Wall, r.CPU["workers"] = u.Wall.Seconds(), u.CPU().Seconds()
	return r, os.RemoveAll(filepath.Join(o.dir, "save"))
}

func clusterOnce(ctx context.Context, o options, store *rig.MinIO, url string, workers, links int, others []part) (r CrawlRun, err error) {
	r = CrawlRun{What: "cluster", Workers: workers, Links: links, Pages: o.site}
	c, err := startCluster(ctx, o, plan{voters: 1, workers: workers, groups: 1, roles: "coordinator", minio: store})
	if err != nil {
		return r, err
	}
	defer c.discard()
	r.Load = loadNow()
	parts, err := c.parts(ctx)
	if err != nil {
		return r, err
	}
	parts = append(parts, others...)
	meter, err := startLogMeter(ctx, c.metrics[c.voters[0]])
	if err != nil {
		return r, err
	}
	looking, stop := context.WithCancel(ctx)
	defer stop()
	var looks sync.WaitGroup
	looks.Go(func() { meter.run(looking) })
	begin, err := read(parts)
	if err != nil {
		return r, err
	}
	if _, err := c.Do(ctx, append(append([]string{"crawl", "create", "bench"}, scope...), url+"/index.html")...); err != nil {
		return r, err
	}
	if err := c.captured(ctx, o.site); err != nil {
		return r, err
	}
	r.Wall = time.Since(begin.at).Seconds()
	if err := c.finished(ctx, o.site); err != nil {
		return r, err
	}
	end, err := read(parts)
	if err != nil {
		return r, err
	}
	stop()
	looks.Wait()
	if err := meter.look(ctx); err != nil {
		return r, err
	}
	_, r.CPU, _ = end.since(begin)
	r.Entries, r.Log = meter.entries(), meter.bytes
	return r, nil
}

// captured waits until the workers have so many pages.
func (c *cluster) captured(ctx context.Context, pages int) error {
	for {
		var sum float64
		for _, n := range c.workers {
			s, err := scrape(ctx, c.metrics[n])
			if err != nil {
				return err
			}
			sum += s.sum("salvor_worker_captures_total")
		}
		if sum >= float64(pages) {
			return nil
		}
		sleep(ctx, 250*time.Millisecond)
	}
}

// finished waits for the end of the crawl: all is stored and settled.
func (c *cluster) finished(ctx context.Context, pages int) error {
	for {
		s, err := c.Crawl(ctx, "bench")
		if err != nil {
			return err
		}
		if s.State == "finished" {
			if got := s.Saved + s.Revisits; got != int64(pages) {
				return fmt.Errorf("%d pages of %d were saved: %+v", got, pages, s)
			}
			return nil
		}
		sleep(ctx, time.Second)
	}
}
