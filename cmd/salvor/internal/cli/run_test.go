package cli

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestSignalsThatEcho(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &session{world: &world{Program: Program{Now: time.Now}}, log: slog.New(slog.DiscardHandler), drain: make(chan struct{})}
		ctx, quit := context.WithCancel(t.Context())
		signals := make(chan os.Signal)
		var stopped, released atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.listen(ctx, signals, func() { stopped.Store(true) }, func() { released.Store(true) })
		}()
		for _, c := range []struct {
			after                       time.Duration
			sig                         os.Signal
			draining, stopped, released bool
		}{
			{0, syscall.SIGTERM, true, false, false},
			{0, syscall.SIGTERM, true, false, false},
			{499 * time.Millisecond, syscall.SIGINT, true, false, false},
			{2 * time.Millisecond, syscall.SIGTERM, true, true, false},
			{time.Millisecond, syscall.SIGTERM, true, true, false},
		} {
			time.Sleep(c.after)
			signals <- c.sig
			synctest.Wait()
			if s.isDraining() != c.draining || stopped.Load() != c.stopped || released.Load() != c.released {
				t.Errorf("%v: draining %v, stopped %v, released %v", c, s.isDraining(), stopped.Load(), released.Load())
			}
		}
		time.Sleep(echo)
		<-done
		if !released.Load() {
			t.Error("a third signal has no effect")
		}
		quit()
	})
}

func TestCredentialsInURLs(t *testing.T) {
	for raw, want := range map[string]bool{
		"http://joe:pw@host.example/": true, "HTTPS://joe@host.example": true, "joe@host.example/": true, "http:\\\\joe@host.example": true,
		"http:joe@host.example": true, " http://joe@host.example": true,
		"http://host.example/@joe": false, "host.example/a@b": false, "http://host.example?a@b": false, "http://host.example#a@b": false,
	} {
		if got := hasCredentials(raw); got != want {
			t.Errorf("%q: %v", raw, got)
		}
	}
}
