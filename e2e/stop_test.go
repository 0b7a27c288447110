package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// slow keeps a crawl of a few hundred pages going for some seconds.
var slow = []string{"--limit-rate", "1MB"}

// begun waits until a crawl has asked for n pages.
func begun(t *testing.T, p *rig.Process, web *rig.Nginx, n int) {
	t.Helper()
	requests := web.Requests()
	eventually(t, time.Minute, "requests", func() bool { return requests.Count() >= n || p.Ended() })
	if p.Ended() {
		t.Fatalf("the crawl ended after %d requests\n%s%s", requests.Count(), end(p.Stdout()), end(p.Stderr()))
	}
}

func signal(t *testing.T, p *rig.Process, s syscall.Signal) {
	t.Helper()
	if err := p.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestInterrupt: one signal drains, seals and reports; a resume fetches the
// rest and nothing again.
func TestInterrupt(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			s := site.Site{Pages: 400}
			web := synthetic(t, s)
			c := newCrawl(t, buildRace, slow...)
			p := c.start(web.URL + "/")
			begun(t, p, web, 100)
			signal(t, p, sig)
			c.wait(p, 30*time.Second, exitInterrupted)
			a := c.sound()
			r := c.report()
			if r.Crawl.End != "interrupted" || r.Totals.Saved == 0 || r.Totals.Open == 0 || int(r.Totals.Captures) != len(a.ByURI()) {
				t.Errorf("report.json: %+v, in the WARC files %d URLs", *r, len(a.ByURI()))
			}
			c.args = c.args[:len(c.args)-len(slow)]
			c.save(2*time.Minute, exitDone, append([]string{web.URL + "/"}, "--limit-rate", "0")...)
			holds(t, c.sound(), s, web.URL)
			askedOnce(t, web)
		})
	}
}

// TestInterruptTwice: the second signal does not wait for slow answers, and
// nothing that was acknowledged is lost.
func TestInterruptTwice(t *testing.T) {
	s := site.Site{Pages: 60}
	web := synthetic(t, s, "limit_rate_after 6k; limit_rate 2k;") // 8 s a page
	c := newCrawl(t, buildRace)
	p := c.start("--per-origin", "16", web.URL+"/")
	time.Sleep(time.Second)
	eventually(t, time.Minute, "a page", func() bool { return web.Requests().Count() > 1 || p.Ended() })
	pause(p, 2*time.Second)
	signal(t, p, syscall.SIGINT)
	pause(p, time.Second)
	if p.Ended() {
		t.Fatalf("one signal did not wait for the answers under way\n%s", end(p.Stderr()))
	}
	signal(t, p, syscall.SIGINT)
	c.wait(p, 5*time.Second, exitInterrupted)
	c.save(5*time.Minute, exitDone, "--per-origin", "60", web.URL+"/")
	holds(t, c.sound(), s, web.URL)
}

// TestDeadNeighbour: a link to another port of the same host, in scope, where
// nobody listens does not hold up the pages of the server that answers.
func TestDeadNeighbour(t *testing.T) {
	root := t.TempDir()
	const chain = 50
	for i := range chain {
		name, text := fmt.Sprintf("page%d.html", i), fmt.Sprintf("<a href=\"/page%d.html\">next</a>", (i+1)%chain)
		if i == 0 {
			name, text = "index.html", text+` <a href="http://127.0.0.9/">dead</a>`
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	web := rig.ServeFiles(t, rig.NginxConfig{Root: root, Address: "127.0.0.9"})
	c := newCrawl(t, buildPlain)
	p := c.start(web.URL + "/")
	begun(t, p, web, 1)
	pause(p, 10*time.Second)
	// Pages, robots.txt, and page0.html, which is not there.
	if n := web.Requests().Count(); n != chain+2 {
		t.Errorf("%d requests in 10 s, want %d", n, chain+2)
	}
	if !p.Ended() {
		signal(t, p, syscall.SIGINT)
	}
	<-p.Done()
}

// TestHangup: a terminal that goes away does not end a crawl; it goes on in a
// log file.
func TestHangup(t *testing.T) {
	s := site.Site{Pages: 200}
	web := synthetic(t, s)
	c := newCrawl(t, buildPlain, slow...)
	p := c.start(web.URL + "/")
	begun(t, p, web, 60)
	signal(t, p, syscall.SIGHUP)
	c.wait(p, time.Minute, exitDone)
	holds(t, c.sound(), s, web.URL)
	if log, err := os.ReadFile(filepath.Join(c.dir, "salvor.log")); err != nil || len(log) == 0 {
		t.Errorf("salvor.log: %d bytes, %v", len(log), err)
	}
}

// TestControl: orders in DIR/control are obeyed within two seconds.
func TestControl(t *testing.T) {
	s := site.Site{Pages: 2500}
	web := synthetic(t, s)
	c := newCrawl(t, buildPlain, slow...)
	p := c.start(web.URL + "/")
	begun(t, p, web, 60)

	c.control("pause", "")
	time.Sleep(4 * time.Second)
	requests := web.Requests()
	before := requests.Count()
	time.Sleep(3 * time.Second)
	if n := requests.Count(); n != before {
		t.Errorf("paused, but %d more requests came", n-before)
	}
	if err := os.Remove(filepath.Join(c.dir, "control", "pause")); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "goes on after a pause", func() bool { return requests.Count() > before || p.Ended() })

	c.control("exclude", "/d001/\n")
	time.Sleep(4 * time.Second)
	settled := len(hitsOn(t, web, "/d001/"))
	begun(t, p, web, requests.Count()+30)
	if n := len(hitsOn(t, web, "/d001/")); n != settled {
		t.Errorf("%d requests for excluded pages", n-settled)
	}

	c.control("stop", "")
	c.wait(p, 30*time.Second, exitInterrupted)
	c.sound()
	r := c.report()
	if r.Totals.Excluded == 0 {
		t.Errorf("report.json: nothing was settled as excluded: %+v", r.Totals)
	}
	t.Logf("rules with hits: %+v", r.Excludes)
}

func hitsOn(t *testing.T, web *rig.Nginx, part string) (out []rig.Hit) {
	t.Helper()
	hits, err := web.Hits()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hits {
		if strings.Contains(h.Target, part) {
			out = append(out, h)
		}
	}
	return out
}

// TestDeadline: the crawl ends by itself when its time is over, the report
// says what that cost, and it can be taken up again without a deadline.
func TestDeadline(t *testing.T) {
	s := site.Site{Pages: 1500}
	web := synthetic(t, s)
	c := newCrawl(t, buildPlain)
	start := time.Now()
	c.save(time.Minute, exitDeadline, append([]string{"--deadline", "6s", web.URL + "/"}, slow...)...)
	// A deadline is a whole second, never later than what was given.
	if d := time.Since(start); d < 5*time.Second || d > 20*time.Second {
		t.Errorf("a deadline of 6 s ended the crawl after %s", d)
	}
	c.sound()
	if r := c.report(); r.outcome("out_of_time") == 0 || r.Totals.Saved == 0 {
		t.Errorf("report.json: %+v", *r)
	}
	c.save(2*time.Minute, exitDone, "--deadline", "none", "--limit-rate", "0", web.URL+"/")
	holds(t, c.sound(), s, web.URL)
	askedOnce(t, web)
}

// TestLimit: a limit of URLs ends a crawl at exactly that many, and a higher
// one takes it up again.
func TestLimit(t *testing.T) {
	s := site.Site{Pages: 1000}
	web := synthetic(t, s)
	c := newCrawl(t, buildPlain)
	c.save(time.Minute, exitLimit, "--limit-urls", "100", web.URL+"/")
	a := c.sound()
	if n := len(a.ByURI()); n != 100 {
		t.Errorf("a limit of 100 URLs saved %d", n)
	}
	c.save(time.Minute, exitLimit, "--limit-urls", "150", web.URL+"/")
	if n := len(c.sound().ByURI()); n != 150 {
		t.Errorf("a limit of 150 URLs saved %d", n)
	}
}

// TestLocked: a second process on the same directory says so and touches
// nothing.
func TestLocked(t *testing.T) {
	s := site.Site{Pages: 400}
	web := synthetic(t, s)
	c := newCrawl(t, buildPlain, slow...)
	first := c.start(web.URL + "/")
	begun(t, first, web, 20)
	second := c.save(20*time.Second, exitLocked, web.URL+"/")
	if msg := second.Stderr(); !strings.Contains(msg, c.dir) || strings.Count(msg, "\n") > 3 {
		t.Errorf("the message is\n%s", msg)
	}
	c.wait(first, time.Minute, exitDone)
	holds(t, c.sound(), s, web.URL)
}
