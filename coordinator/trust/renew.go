package trust

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"salvor"
)

// Renew gets a new certificate now: a coordinator signs its own, another node
// asks the coordinators in turn until one answers, and notes what it hears of
// the cluster. Connections made from then on use it.
func (i *Identity) Renew(ctx context.Context) error {
	if i.ca != nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		return i.signOwn()
	}
	if end := i.NotAfter(); i.o.Now().After(end) {
		return salvor.Errorf(salvor.Forbidden, "this node's certificate ended at %s, so no coordinator renews it", end.UTC().Format(time.DateTime)).
			WithHint("check this machine's clock; if it is right, join again with a new token and the same directory")
	}
	csr, err := newCSR(i.key)
	if err != nil {
		return err
	}
	client := httpClient(i.ClientTLS("http/1.1"))
	defer client.CloseIdleConnections()
	var worst error = salvor.Errorf(salvor.Unavailable, "no coordinator is known").WithHint("join again with a new token")
	for _, address := range i.Coordinators() {
		var answer JoinAnswer
		err := post(ctx, client, "https://"+address, PathRenew, renewRequest{csr}, &answer)
		if err == nil {
			return i.renewed(answer)
		}
		if salvor.ClassOf(worst) != salvor.Forbidden { // a refusal says more than a dead machine
			worst = err
		}
	}
	return worst
}

func (i *Identity) renewed(a JoinAnswer) error {
	cert, err := decodeCert([]byte(a.Certificate))
	if err != nil {
		return unusable(err)
	}
	if err := i.keep(cert); err != nil {
		return err
	}
	return i.Note(a.Settings, a.Coordinators)
}

// Due is when the certificate in force is to be renewed: when a third of its
// time is left.
func (i *Identity) Due() time.Time {
	c := i.cert.Load().leaf
	return c.NotAfter.Add(-c.NotAfter.Sub(c.NotBefore.Add(Skew)) / 3)
}

// Renewer keeps a node's certificate from ending.
type Renewer struct {
	Identity *Identity
	// Logger takes each renewal and each failure; nil takes nothing.
	Logger *slog.Logger
}

// longestNap is short enough that a machine that slept or whose clock was set
// notices it in time.
const longestNap = 10 * time.Minute

// Run renews until ctx ends. Failures are logged and tried again, more often
// the less time is left.
func (r Renewer) Run(ctx context.Context) {
	log := r.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	i := r.Identity
	for {
		wait := i.Due().Sub(i.o.Now())
		if wait <= 0 {
			if err := i.Renew(ctx); err == nil {
				log.Info("the node's certificate was renewed", "until", i.NotAfter())
				wait = i.Due().Sub(i.o.Now())
			} else if ctx.Err() == nil {
				log.Warn("the node's certificate could not be renewed", "until", i.NotAfter(), "error", err, "hint", salvor.HintOf(err))
				wait = again(i.NotAfter().Sub(i.o.Now()))
			}
		}
		if pause(ctx, nap(wait)) != nil {
			return
		}
	}
}

// again is when to try again with some time left, or none.
func again(left time.Duration) time.Duration {
	if left <= 0 {
		return time.Minute
	}
	return left / 20
}

// nap is a part of wait, and differs, so that nodes that joined together do not
// renew together.
func nap(wait time.Duration) time.Duration {
	wait = min(max(wait, time.Second), longestNap)
	return wait + rand.N(wait/10+1)
}
