package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"salvor/e2e/rig"
	"salvor/e2e/site"
)

// program is one of the two.
type program struct {
	name string
	args func(dir, url string) []string // the command to run in dir
	okay map[int]bool                   // exit codes
}

func programs(o options) ([]program, error) {
	wget, err := rig.LookPath("wget")
	if err != nil {
		return nil, err
	}
	salvor, err := filepath.Abs(o.salvor)
	if err != nil {
		return nil, err
	}
	all := []program{
		{"wget", func(dir, url string) []string {
			args := []string{wget, "-q", "-r", "-l", "inf", "--warc-file", filepath.Join(dir, "warc", "wget"), "-P", dir}
			if o.wgetDelete {
				args = append(args, "--delete-after")
			}
			return append(args, url)
		}, map[int]bool{0: true, 8: true}}, // 8: the site has no robots.txt
		{"salvor", func(dir, url string) []string {
			return []string{salvor, "save", "-q", "--dir", dir, "--max-rate", "0", "--allow-net", "127.0.0.0/8", url}
		}, map[int]bool{0: true}},
	}
	var out []program
	for _, p := range all {
		if o.only == "" || o.only == p.name {
			out = append(out, p)
		}
	}
	return out, nil
}

// measure runs every program o.rounds times, in turns.
func measure(ctx context.Context, o options) (*Results, error) {
	progs, err := programs(o)
	if err != nil {
		return nil, err
	}
	s := site.Site{Pages: o.pages}
	root := filepath.Join(o.dir, "site")
	if err := s.Write(root); err != nil {
		return nil, err
	}
	web, err := rig.StartNginx(rig.NginxConfig{Dir: filepath.Join(o.dir, "nginx"), Root: root, NoLog: true})
	if err != nil {
		return nil, err
	}
	defer web.Stop()
	res := newResults(o)
	for round := range o.rounds {
		for _, p := range progs {
			r, err := runOnce(ctx, p, o, s, web.URL)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.name, err)
			}
			fmt.Fprintf(os.Stderr, "round %d: %s: %.1f s of CPU, %.1f s\n", round+1, p.name, r.CPU(), r.Wall)
			res.Runs = append(res.Runs, r)
		}
	}
	return res, nil
}

// runOnce lets a program crawl the site into an empty directory, checks that
// all pages are there and removes it.
func runOnce(ctx context.Context, p program, o options, s site.Site, url string) (Run, error) {
	dir := filepath.Join(o.dir, p.name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return Run{}, err
	}
	defer os.RemoveAll(dir)
	if p.name == "wget" {
		if err := os.MkdirAll(filepath.Join(dir, "warc"), 0o755); err != nil {
			return Run{}, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	args := p.args(dir, url+"/")
	proc, err := rig.Start(o.dir, nil, args[0], args[1:]...)
	if err != nil {
		return Run{}, err
	}
	u, err := proc.Wait(ctx)
	if err != nil {
		return Run{}, err
	}
	if !p.okay[u.Exit] {
		return Run{}, fmt.Errorf("exit code %d\n%s%s", u.Exit, proc.Stdout(), proc.Stderr())
	}
	size, err := complete(dir, s, url)
	return Run{
		Program: p.name, Pages: s.Pages, Wall: u.Wall.Seconds(), User: u.User.Seconds(), System: u.System.Seconds(),
		MaxRSS: u.MaxRSS, WARCBytes: size,
	}, err
}

// complete checks that every page of the site is a 200 in the WARC files, and
// adds up their sizes.
func complete(dir string, s site.Site, url string) (int64, error) {
	segments, err := rig.WARCs(dir)
	if err != nil {
		return 0, err
	}
	have := make(map[string]bool)
	var size int64
	for _, f := range segments {
		if err := rig.ReadWARC(f, func(r *rig.Record) error {
			if r.Type() == "response" {
				have[r.URI()] = true
			}
			return nil
		}); err != nil {
			return 0, err
		}
		info, err := os.Stat(f)
		if err != nil {
			return 0, err
		}
		size += info.Size()
	}
	for i := range s.Pages {
		if !have[url+s.Path(i)] && !(i == 0 && have[url+"/"]) {
			return 0, fmt.Errorf("page %s is in no WARC file", s.Path(i))
		}
	}
	return size, nil
}
