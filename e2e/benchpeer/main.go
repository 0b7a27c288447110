// Command benchpeer lets `wget --warc-file -r` and `salvor save` crawl the same
// synthetic site and compares what they took.
//
// It is for people who ask what salvor costs. The site has pages of 22 KB with
// 50 links, served by nginx on loopback; both programs write compressed WARC
// files to the same disk, each starts anew for every round, and the rounds
// take turns, so that a busy machine is unfair to both. What counts is
// processor time, as the kernel accounts it to the process; wall time is
// printed as well. A run in which a page is missing from the WARC files
// is an error, not a result.
//
// Differences that remain: salvor syncs its files and keeps a durable frontier,
// wget does neither, but also writes each page as a file of its own, which
// -wget-delete leaves out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "benchpeer:", err)
		os.Exit(1)
	}
}

type options struct {
	salvor     string
	pages      int
	rounds     int
	dir        string
	out        string
	only       string
	wgetDelete bool
}

func run() error {
	var o options
	flag.StringVar(&o.salvor, "salvor", "bin/salvor", "the built `binary`")
	flag.IntVar(&o.pages, "pages", 20000, "size of the site")
	flag.IntVar(&o.rounds, "rounds", 3, "runs of each program")
	flag.StringVar(&o.dir, "dir", "", "`directory` for site and archives (default a temporary one)")
	flag.StringVar(&o.out, "out", "bench", "`directory` for the results; empty for none")
	flag.StringVar(&o.only, "only", "", "run only this `program`, wget or salvor")
	flag.BoolVar(&o.wgetDelete, "wget-delete", false, "run wget with --delete-after")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "benchpeer-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	res, err := measure(ctx, o)
	if err != nil {
		return err
	}
	fmt.Print(res.Table())
	if o.out == "" {
		return nil
	}
	return res.Keep(o.out)
}

// Keep writes the results as a table and as JSON, named for the time.
func (r *Results) Keep(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	name := filepath.Join(dir, "peer-"+r.At.Format(time.RFC3339[:10]))
	return errors.Join(
		os.WriteFile(name+".txt", []byte(r.Table()), 0o644),
		os.WriteFile(name+".json", r.JSON(), 0o644),
	)
}
