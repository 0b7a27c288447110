package coordinator

import (
	"context"
	"io"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLogger carries the libraries' log lines to slog. They are one level
// louder than they deserve: an ordinary start warns that no leader answered,
// and what raft calls an error it survives by itself.
func raftLogger(l *slog.Logger) hclog.Logger {
	quiet := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Off, Output: io.Discard})
	quiet.RegisterSink(slogSink{l})
	return quiet
}

type slogSink struct{ l *slog.Logger }

// Accept implements hclog.SinkAdapter.
func (s slogSink) Accept(name string, level hclog.Level, msg string, args ...any) {
	to := slogLevel(level)
	if !s.l.Enabled(context.Background(), to) {
		return
	}
	s.l.Log(context.Background(), to, msg, append([]any{"part", name}, args...)...)
}

func slogLevel(l hclog.Level) slog.Level {
	switch {
	case l >= hclog.Error:
		return slog.LevelWarn
	case l == hclog.Warn:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}
