package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"salvor/api"
	"salvor/coordinator/pilot"
	"salvor/coordinator/plan"
	"salvor/coordinator/risk"
	"salvor/coordinator/sites"
)

var begin = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// TestOnce: what is so for a while is told once, what flickers once too, and its
// end is told when it is over for good.
func TestOnce(t *testing.T) {
	var b Book
	disk := Condition{Code: Disk, Subject: "bola", Text: "the disk is full"}
	var told []string
	for s := range 600 {
		var now []Condition
		if s >= 10 && s < 15 || s >= 30 && s < 300 && s%20 < 12 {
			now = append(now, disk)
		}
		if s == 100 || s == 101 {
			now = append(now, Condition{Code: Moved, Subject: "example.org", Text: "moved", Once: true})
		}
		for _, a := range b.Look(begin.Add(time.Duration(s)*time.Second), now) {
			what := string(a.Code)
			if a.Cleared {
				what += " over"
			}
			told = append(told, what)
		}
	}
	if got := strings.Join(told, ", "); got != "disk, moved, disk over" {
		t.Errorf("told %s", got)
	}
	if len(b.Open()) != 0 {
		t.Errorf("still open: %v", b.Open())
	}
}

func view(at time.Time, share float64, speed float64) *pilot.View {
	return &pilot.View{At: at.UnixMilli(), Capacity: pilot.Capacity{Workers: 2},
		Hosts:     []pilot.HostView{{Host: "a.example", Open: 50, Speed: speed}, {Host: "b.example", Open: 50, Speed: 3, Blocked: begin.Add(10 * time.Hour).UnixMilli(), Note: "403"}},
		Plan:      plan.Plan{Hosts: []plan.Service{{Rate: 2}, {Rate: 1}}},
		Forecasts: []pilot.Forecast{{Crawl: 1, Name: "news", Known: 1000, By: 1000 * share, Until: begin.Add(time.Hour).UnixMilli(), Tip: "add workers"}}}
}

// TestConditions: each kind of thing is found.
func TestConditions(t *testing.T) {
	var w Watch
	now := begin
	found := func(v *pilot.View, st *api.Status, all ...sites.Info) map[Code]string {
		if st == nil {
			st = &api.Status{}
		}
		out := map[Code]string{}
		for _, c := range w.Conditions(now, st, v, all) {
			out[c.Code] = c.Subject
			if c.Text == "" || c.Code != Forecast && c.Hint == "" {
				t.Errorf("%+v says too little", c)
			}
		}
		return out
	}
	only := func(got map[Code]string, want ...Code) {
		t.Helper()
		for _, c := range want {
			if _, ok := got[c]; !ok {
				t.Errorf("not found: %s, of %v", c, got)
			}
		}
		if len(got) != len(want) {
			t.Errorf("found %v, want %v", got, want)
		}
	}
	only(found(view(now, .9, 1), nil), Blocked)
	now = now.Add(time.Minute)
	only(found(view(now, .75, 0), nil), Blocked, Forecast)
	now = now.Add(4 * time.Minute)
	only(found(view(now, .85, 0), nil), Blocked, Silent)
	only(found(nil, &api.Status{Nodes: []api.NodeStatus{
		{Node: api.Node{Name: "bola", State: api.NodeActive}, Silent: "no answer"},
		{Node: api.Node{Name: "rati", State: api.NodeActive}, Load: &api.Load{Spool: .95}, Work: []api.Work{{Why: "the disk is full"}}},
		{Node: api.Node{Name: "gone", State: api.NodeRemoved}, Silent: "no answer"},
	}}), Node, Store, Disk)
	site := func(at time.Time) sites.Info {
		s, _, err := (risk.Site{Name: "example.org"}).AddDeadline(risk.Deadline{At: at, Confidence: 1, Record: risk.Record{By: "ada", Recorded: begin}})
		if err != nil {
			t.Fatal(err)
		}
		return sites.Info{Site: s}
	}
	only(found(nil, nil, site(begin.Add(20*time.Hour))))
	only(found(nil, nil, site(begin.Add(10*time.Hour))), Moved)
	only(found(nil, nil, site(begin.Add(10*time.Hour))))
	over := site(begin.Add(10 * time.Hour))
	over.Assessment.State = risk.Overdue
	only(found(nil, nil, over), Overdue)
}

func quiet(b *bytes.Buffer) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// TestSend: a command and a webhook get each alert, one that fails is tried again,
// and its URL is in no log.
func TestSend(t *testing.T) {
	file := filepath.Join(t.TempDir(), "got")
	var log bytes.Buffer
	bodies, fails := make(chan string, 9), 2
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if fails--; fails >= 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		bodies <- string(b)
	}))
	defer hook.Close()
	s := NewSender("cat >> "+file, hook.URL+"/secret", quiet(&log))
	s.wait = func(context.Context, time.Duration) {}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	s.Tell(Alert{At: begin, Code: Disk, Subject: "bola", Text: "it is full", Hint: "make room"})
	body := <-bodies
	cancel()
	<-done
	var a Alert
	if err := json.Unmarshal([]byte(body), &a); err != nil || a.Code != Disk || a.Hint != "make room" {
		t.Errorf("the webhook got %s, %v", body, err)
	}
	b, err := os.ReadFile(file)
	if err != nil || strings.TrimSpace(string(b)) != body {
		t.Errorf("the command read %q, %v", b, err)
	}
	hook.Close()
	if err := s.post(t.Context(), []byte("{}")); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a webhook that is away: %v", err)
	}
}

// TestSendBounds: what cannot be told is in the log, and nobody waits for it.
func TestSendBounds(t *testing.T) {
	var log bytes.Buffer
	s := NewSender("exit 3", "", quiet(&log))
	for range queued + 5 {
		s.Tell(Alert{Code: Disk, Subject: "bola"})
	}
	if n := strings.Count(log.String(), "too many wait"); n != 5 {
		t.Errorf("%d alerts were refused, want 5", n)
	}
	s.tell(t.Context(), Alert{Code: Disk})
	if !strings.Contains(log.String(), "exit status 3") {
		t.Errorf("the log says nothing of a command that failed: %s", log.String())
	}
}
