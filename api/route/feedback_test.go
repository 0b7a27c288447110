package route

import (
	"context"
	"errors"
	"testing"

	"salvor"
	"salvor/api"
)

// ear is a group that hears of hosts, or does not.
type ear struct {
	api.Group
	away  error
	heard []string
}

func (e *ear) Feedback(_ context.Context, fs []api.HostFeedback) error {
	if e.away == nil {
		for _, f := range fs {
			e.heard = append(e.heard, f.Host)
		}
	}
	return e.away
}

// What a group took is not among what is to be said again.
func TestFeedbackNamesTheRest(t *testing.T) {
	gone := &ear{away: salvor.Errorf(salvor.Unavailable, "no leader")}
	there := &ear{}
	r := New([]api.Group{there, gone})
	fs := []api.HostFeedback{{Host: hostOfGroup(0, 2, 0)}, {Host: hostOfGroup(1, 2, 0)}, {Host: hostOfGroup(1, 2, 1)}}
	err := r.Feedback(t.Context(), fs)
	var u *api.Unheard
	if !errors.As(err, &u) || salvor.ClassOf(err) != salvor.Unavailable || len(u.Reports) != 2 || u.Reports[0].Host != fs[1].Host {
		t.Fatalf("%#v", err)
	}
	if len(there.heard) != 1 {
		t.Errorf("group 0 heard %v", there.heard)
	}
	gone.away = nil
	if err := r.Feedback(t.Context(), u.Reports); err != nil || len(gone.heard) != 2 || len(there.heard) != 1 {
		t.Errorf("%v; %v and %v", err, there.heard, gone.heard)
	}
	gone.away = salvor.Errorf(salvor.NotFound, "no such host")
	if err := r.Feedback(t.Context(), fs); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("%v", err)
	}
}
