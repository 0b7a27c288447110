package s3test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"salvor/storage/s3"
)

var (
	long    = flag.Bool("long", false, "run what takes gigabytes and minutes")
	servers []*Server

	minioBinary string
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	minioBinary = MinIOBinary() // before versitygw changes the working directory
	dir, err := os.MkdirTemp("", "s3test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, start := range []func(string) (*Server, error){Versity, startMinIO} {
		sub, err := os.MkdirTemp(dir, "server")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		s, err := start(sub)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if s != nil {
			defer s.Stop()
			servers = append(servers, s)
		}
	}
	return m.Run()
}

func startMinIO(dir string) (*Server, error) {
	if minioBinary != "" {
		return MinIO(minioBinary, dir)
	}
	fmt.Fprint(os.Stderr, `
*****************************************************************
** NOT TESTED against MinIO, which is not built on this machine:
**   e2e/check/minio.sh .cache/minio
*****************************************************************

`)
	return nil, nil
}

// each runs f against every server.
func each(t *testing.T, f func(t *testing.T, s *Server)) {
	for _, s := range servers {
		t.Run(s.Name, func(t *testing.T) { f(t, s) })
	}
}

var number atomic.Int64

// bucket makes a bucket of its own for a test.
func bucket(t testing.TB, s *Server, lock bool) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d-%d", time.Now().UnixNano()%1e9, number.Add(1))
	if err := s.MakeBucket(t.Context(), name, lock); err != nil {
		t.Fatal(err)
	}
	return name
}

// open opens a Store; change may alter its configuration.
func open(t testing.TB, s *Server, change func(*s3.Config)) *s3.Store {
	t.Helper()
	cfg := s.Config(bucket(t, s, false))
	cfg.Prefix = "archive/" + strings.ToLower(s.Name)
	if change != nil {
		change(&cfg)
	}
	st, err := s3.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open: %v (%s)", err, hint(err))
	}
	return st
}
