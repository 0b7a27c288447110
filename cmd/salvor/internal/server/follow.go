package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/api/webjson"
)

// about is the answer of GET /v1/cluster.
type about struct {
	Settings     api.ClusterSettings `json:"settings"`
	Coordinators []string            `json:"coordinators"`   // host:port
	Node         *api.Node           `json:"node,omitempty"` // who asks, if it is a node
}

const followEvery = 3 * time.Second

// followLoop has a worker learn from the coordinators who they are, and what
// an admin wants of it.
func (n *node) followLoop(ctx context.Context) {
	client := n.httpClient()
	for {
		a, err := n.ask(ctx, client)
		switch {
		case err == nil:
			n.follow(a)
		case salvor.ClassOf(err) == salvor.Forbidden:
			n.fail(err)
			return
		}
		if !wait(ctx, followEvery) {
			return
		}
	}
}

func (n *node) follow(a about) {
	if a.Node != nil {
		n.told.Store(&a.Node.State)
	}
	if err := n.id.Note(a.Settings, a.Coordinators); err != nil {
		n.log.Warn("what the node knows of its cluster could not be written down", "error", err)
	}
}

// ask asks one coordinator after the other for the cluster.
func (n *node) ask(ctx context.Context, client *http.Client) (a about, err error) {
	err = salvor.Errorf(salvor.Unavailable, "no coordinator is known")
	for _, u := range n.urls() {
		if err = getJSON(ctx, client, u+"/v1/cluster", &a); err == nil || salvor.ClassOf(err) == salvor.Forbidden {
			return a, err
		}
	}
	return a, err
}

// reportLoop has a worker tell a coordinator what it does.
func (n *node) reportLoop(ctx context.Context) {
	client := n.httpClient()
	for wait(ctx, reportEvery) {
		s := n.status()
		for _, u := range n.urls() {
			err := postJSON(ctx, client, u+"/v1/report", s)
			if salvor.ClassOf(err) == salvor.Conflict {
				n.fail(err)
				return
			}
			if err == nil {
				break
			}
		}
	}
}

// getJSON reads an answer.
func getJSON(ctx context.Context, client *http.Client, url string, v any) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "%q is no URL: %w", url, err)
	}
	return answer(client, r, v)
}

func postJSON(ctx context.Context, client *http.Client, url string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(b))
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "%q is no URL: %w", url, err)
	}
	r.Header.Set("Content-Type", "application/json")
	return answer(client, r, nil)
}

// mostAnswer bounds what is read of an answer.
const mostAnswer = 16 << 20

func answer(client *http.Client, r *http.Request, v any) error {
	resp, err := client.Do(r)
	if err != nil && strings.Contains(err.Error(), "tls: bad certificate") { // crypto/tls has no type for it
		return salvor.Errorf(salvor.Forbidden, "%s refused this node's certificate: %w", r.URL.Host, err)
	}
	if err != nil {
		return salvor.Errorf(salvor.Unavailable, "ask %s: %w", r.URL.Host, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return salvor.Errorf(salvor.Unavailable, "read the answer of %s: %w", r.URL.Host, err)
	}
	if resp.StatusCode/100 != 2 {
		return readProblem(resp.StatusCode, b)
	}
	if v == nil {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return salvor.Errorf(salvor.Internal, "%s answered something that is no answer", r.URL.Host)
	}
	return nil
}

func readProblem(status int, b []byte) error {
	var p webjson.Problem
	if json.Unmarshal(b, &p) == nil && p.Error != "" {
		for c := salvor.Internal; c <= salvor.Interrupted; c++ {
			if c.String() == p.Class {
				return &salvor.Error{Class: c, Err: errors.New(p.Error), Hint: p.Hint}
			}
		}
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return salvor.Errorf(salvor.Forbidden, "the node was refused with HTTP status %d", status)
	}
	return salvor.Errorf(salvor.Unavailable, "answered with HTTP status %d", status)
}
