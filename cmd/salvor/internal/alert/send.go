package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os/exec"
	"time"
)

// Sender tells alerts, one after the other.
type Sender struct {
	Command string // of the shell; "" none. It reads the alert as JSON
	Webhook string // URL that takes it as JSON; "" none
	Logger  *slog.Logger

	queue chan Alert
	wait  func(ctx context.Context, d time.Duration) // between two tries; tests make it shorter
}

const (
	// queued bounds what waits to be told.
	queued = 64
	// tellWithin bounds one command, or one request.
	tellWithin = 30 * time.Second
	// webhookTries is how often a webhook is asked that does not take it.
	webhookTries = 4
)

// NewSender makes one; Run sets it to work.
func NewSender(command, webhook string, log *slog.Logger) *Sender {
	return &Sender{Command: command, Webhook: webhook, Logger: log, queue: make(chan Alert, queued), wait: sleep}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Tell has an alert told. One more than can wait is only in the log.
func (s *Sender) Tell(a Alert) {
	s.Logger.Warn("alert", "code", string(a.Code), "subject", a.Subject, "cleared", a.Cleared, "text", a.Text, "hint", a.Hint)
	if s.Command == "" && s.Webhook == "" {
		return
	}
	select {
	case s.queue <- a:
	default:
		s.Logger.Error("an alert was not sent: too many wait", "code", string(a.Code), "subject", a.Subject)
	}
}

// Run tells until ctx ends.
func (s *Sender) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case a := <-s.queue:
			s.tell(ctx, a)
		}
	}
}

func (s *Sender) tell(ctx context.Context, a Alert) {
	b, err := json.Marshal(a)
	if err != nil {
		s.Logger.Error("an alert was not sent", "error", err)
		return
	}
	if s.Command != "" {
		if err := s.run(ctx, b); err != nil && ctx.Err() == nil {
			s.Logger.Error("the command of on-alert failed", "error", err)
		}
	}
	if s.Webhook != "" {
		if err := s.post(ctx, b); err != nil && ctx.Err() == nil {
			s.Logger.Error("the webhook did not take an alert", "error", err)
		}
	}
}

func (s *Sender) run(ctx context.Context, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", s.Command)
	cmd.Stdin, cmd.WaitDelay = bytes.NewReader(append(b, '\n')), time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out[:min(len(out), 500)]))
	}
	return nil
}

// post tries a webhook a few times.
func (s *Sender) post(ctx context.Context, b []byte) (err error) {
	for i := range webhookTries {
		if i > 0 {
			s.wait(ctx, time.Second<<(2*i))
		}
		if err = s.postOnce(ctx, b); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (s *Sender) postOnce(ctx context.Context, b []byte) error {
	ctx, cancel := context.WithTimeout(ctx, tellWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.Webhook, bytes.NewReader(b))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err // without the URL, which may be a secret
	}
	if err != nil {
		return err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // so that the connection can be used again
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("HTTP status %d", res.StatusCode)
	}
	return nil
}
