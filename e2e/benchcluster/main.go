// Command benchcluster measures what a cluster costs: of a page, its
// coordinators and its workers; of a link, what reaches a group; of standing
// idle; of coming back after a kill with millions of known URLs.
//
// It is for people who plan a cluster or change its code. Real nodes run as
// processes on loopback, with MinIO as the Store. What counts is processor
// time, as the kernel accounts it to each process (/proc/PID/stat), which other
// programs on the machine disturb little; wall times and rates are printed
// beside it, with the load of the machine. A run in which a page is missing is
// an error, not a result.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchcluster:", err)
		os.Exit(1)
	}
}

type options struct {
	salvor string
	dir    string
	out    string
	parts  string
	pages  int
	site   int
	hosts  int
	idle   time.Duration
	urls   string
	shape  string
}

func flags() (o options) {
	flag.StringVar(&o.salvor, "salvor", "bin/salvor", "the built `binary`")
	flag.StringVar(&o.dir, "dir", "", "`directory` for everything (default a temporary one)")
	flag.StringVar(&o.out, "out", "bench", "`directory` for the results; empty for none")
	flag.StringVar(&o.parts, "parts", "simulation,crawl,idle,recovery", "which `parts` to run")
	flag.IntVar(&o.pages, "pages", 60000, "pages of a round of the simulation")
	flag.IntVar(&o.site, "site", 10000, "pages of the site that is crawled")
	flag.IntVar(&o.hosts, "hosts", 16, "hosts of the simulated site")
	flag.DurationVar(&o.idle, "idle", 30*time.Second, "how `long` idle clusters are watched")
	flag.StringVar(&o.urls, "urls", "5", "`millions` of known URLs at a recovery, with commas; 5,20 is the full form")
	flag.StringVar(&o.shape, "shape", "", "only this round of the simulation: voters,groups,workers,`rate`,links,new")
	flag.Parse()
	return o
}

func run() (err error) {
	o := flags()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.salvor, err = filepath.Abs(o.salvor); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "benchcluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o.dir = dir
	res := newResults(o)
	for part := range strings.SplitSeq(o.parts, ",") {
		f, ok := parts[part]
		if !ok {
			return fmt.Errorf("there is no part %q", part)
		}
		if err = f(ctx, o, res); err != nil {
			err = fmt.Errorf("%s: %w", part, err)
			break
		}
	}
	fmt.Print(res.Table()) // what was measured before an error, too
	if o.out == "" || err != nil {
		return err
	}
	return res.Keep(o.out)
}

var parts = map[string]func(context.Context, options, *Results) error{
	"simulation": simulations, "crawl": crawls, "idle": idles, "recovery": recoveries,
}

// series are rounds on one cluster.
type series struct {
	voters, groups int
	shapes         []simShape
}

// allSeries are one coordinator and three, with few workers and many. The
// difference of two rounds that differ in links only is the price of a link.
var allSeries = []series{
	{1, 1, []simShape{{1, 0, 4, 1}, {4, 0, 4, 1}, {16, 0, 4, 1}, {64, 0, 4, 1}, {64, 25, 4, 1}, {64, -1, 4, 1}, {4, 0, 12, 1}, {4, 0, 4, 4}}},
	{3, 1, []simShape{{4, 0, 4, 1}, {64, 0, 4, 1}, {64, 25, 4, 1}, {64, -1, 4, 1}, {4, 0, 12, 1}}},
	{3, 4, []simShape{{16, 0, 4, 1}}},
}

func simulations(ctx context.Context, o options, res *Results) error {
	all := allSeries
	if o.shape != "" {
		var one series
		var s simShape
		if _, err := fmt.Sscanf(o.shape, "%d,%d,%d,%f,%d,%d", &one.voters, &one.groups, &s.workers, &s.rate, &s.links, &s.fresh); err != nil {
			return fmt.Errorf("-shape %s: %w", o.shape, err)
		}
		one.shapes = []simShape{s}
		all = []series{one}
	}
	for _, x := range all {
		runs, err := simulate(ctx, o, x.voters, x.groups, x.shapes)
		res.Simulations = append(res.Simulations, runs...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Keep writes the results as a table and as JSON, named for the day.
func (r *Results) Keep(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, "cluster-"+r.At.Format(time.RFC3339[:10]))
	return errors.Join(
		os.WriteFile(name+".txt", []byte(r.Table()), 0o644),
		os.WriteFile(name+".json", r.JSON(), 0o644),
	)
}
