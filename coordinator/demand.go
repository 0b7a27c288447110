package coordinator

import (
	"sync"
	"time"

	"salvor"
	"salvor/api"
)

// demand is what a leader knows of who wants work, so that several sessions
// share what one asked for first: the pace of a host that is booked, and at the
// end of a queue the items themselves. It is in memory only: it decides what is
// proposed, never what a command does, and a new leader learns it within
// seconds. The zero value is ready.
//
// A pace that one session gives up for another is free once the first has said
// that it knows: by its next extend, which it makes after the answer to the one
// before, or when its lease must have ended.
type demand struct {
	mu     sync.Mutex
	askers map[salvor.SessionID]*asker
	cuts   map[salvor.SessionID][]cut
	begun  map[salvor.LeaseID]progress
	swept  time.Time // when forget ran last

	// Until quiet, what is free of the budgets with leases of an earlier leader
	// stays free: that leader may have cut a lease whose holder does not know it
	// before its next extend. One that cannot extend has two faults at once, and
	// uses what it had until its lease ends.
	inherited map[string]bool
	quiet     time.Time
}

// reign begins with what an earlier leader booked.
func (d *demand) reign(now time.Time, purses map[string]bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inherited, d.quiet = purses, now.Add(2*salvor.ExtendEvery)
}

// asker is a session that asked for work lately.
type asker struct {
	crawl  salvor.CrawlID  // 0 of any
	at     time.Time       // of its last look
	vain   time.Time       // since when its looks found nothing; zero if the last did
	idle   bool            // it has nothing to start
	passed map[string]bool // budgets that were booked, of hosts with work, at its last look
}

// cut is a pace taken from a lease whose holder may not know it yet.
type cut struct {
	purse   string
	pace    salvor.Pace
	request uint64 // whose answer tells it
	until   time.Time
}

// progress is how much of a lease had not been started when.
type progress struct {
	items int
	at    time.Time
}

const (
	// askedLately is how long a session that asked for work counts.
	askedLately = salvor.LeaseTTL
	// waitsLately is how long one that found nothing counts as waiting: a worker
	// asks again every second.
	waitsLately = 3 * time.Second
	// starvesAfter is how long an idle session finds nothing before others are
	// asked to share theirs.
	starvesAfter = time.Second
	// leastShare is the least pace of a share: what is less is not split.
	leastShare = salvor.Pace(1000)
)

// look notes what a session found, and of which budgets there was nothing for it.
func (d *demand) look(now time.Time, s salvor.SessionID, w api.Want, idle, found bool, passed []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.askers[s]
	if a == nil {
		a = &asker{}
		if d.askers == nil {
			d.askers = map[salvor.SessionID]*asker{}
		}
		d.askers[s] = a
	}
	if found {
		a.vain = time.Time{}
	} else if a.vain.IsZero() || now.Sub(a.at) > waitsLately {
		a.vain = now
	}
	a.crawl, a.at, a.idle = w.Crawl, now, idle
	a.passed = make(map[string]bool, len(passed))
	for _, p := range passed {
		a.passed[p] = true
	}
}

// asking is how many sessions asked for work of a crawl lately.
func (d *demand) asking(now time.Time, crawl salvor.CrawlID) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range d.askers {
		if now.Sub(a.at) < askedLately && a.wants(crawl) {
			n++
		}
	}
	return n
}

func (a *asker) wants(crawl salvor.CrawlID) bool {
	return crawl == 0 || a.crawl == 0 || a.crawl == crawl
}

// waits says whether a session waits for a budget.
func (a *asker) waits(now time.Time, purse string) bool {
	return !a.vain.IsZero() && now.Sub(a.at) < waitsLately && a.passed[purse]
}

// starves says whether it has nothing to do, though no host has work left.
func (a *asker) starves(now time.Time, crawl salvor.CrawlID) bool {
	return !a.vain.IsZero() && now.Sub(a.at) < waitsLately && now.Sub(a.vain) >= starvesAfter &&
		a.idle && len(a.passed) == 0 && a.wants(crawl)
}

// waiting is how many sessions but one wait for a budget.
func (d *demand) waiting(now time.Time, purse string, but salvor.SessionID) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s, a := range d.askers {
		if s != but && a.waits(now, purse) {
			n++
		}
	}
	return n
}

// starving is how many sessions but one have nothing to do and find nothing.
func (d *demand) starving(now time.Time, crawl salvor.CrawlID, but salvor.SessionID) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s, a := range d.askers {
		if s != but && a.starves(now, crawl) {
			n++
		}
	}
	return n
}

// told drops the cuts that a session knows of: it made another request since.
func (d *demand) told(now time.Time, s salvor.SessionID, request uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(now)
	keep := d.cuts[s][:0]
	for _, c := range d.cuts[s] {
		if request != 0 && c.request == request {
			keep = append(keep, c)
		}
	}
	d.setCuts(s, keep)
}

func (d *demand) setCuts(s salvor.SessionID, list []cut) {
	if len(list) == 0 {
		delete(d.cuts, s)
		return
	}
	if d.cuts == nil {
		d.cuts = map[salvor.SessionID][]cut{}
	}
	d.cuts[s] = list
}

// cut notes paces that are about to be taken from a session.
func (d *demand) cut(s salvor.SessionID, list []cut) {
	if len(list) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setCuts(s, append(d.cuts[s], list...))
}

// reserved is what was taken from leases of a budget and may still be used.
func (d *demand) reserved(now time.Time, purse string) (sum salvor.Pace) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inherited[purse] && now.Before(d.quiet) {
		return salvor.Unlimited
	}
	for _, list := range d.cuts {
		for _, c := range list {
			if c.purse == purse && now.Before(c.until) {
				sum += c.pace
			}
		}
	}
	return sum
}

// begins notes how much of a lease is not begun and returns how many items its
// holder began a second since it said so last; 0 if that is not known.
func (d *demand) begins(now time.Time, s api.Slice) (perSecond float64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	before, ok := d.begun[s.Lease]
	if ok && now.Sub(before.at) < time.Second/2 {
		return 0
	}
	if d.begun == nil {
		d.begun = map[salvor.LeaseID]progress{}
	}
	d.begun[s.Lease] = progress{s.Items, now}
	if !ok || before.items < s.Items {
		return 0
	}
	return float64(before.items-s.Items) / now.Sub(before.at).Seconds()
}

// forget drops what is long past, now and then. d.mu is held.
func (d *demand) forget(now time.Time) {
	if now.Sub(d.swept) < askedLately {
		return
	}
	d.swept = now
	for s, a := range d.askers {
		if now.Sub(a.at) > askedLately {
			delete(d.askers, s)
		}
	}
	for l, p := range d.begun {
		if now.Sub(p.at) > askedLately {
			delete(d.begun, l)
		}
	}
	for s, list := range d.cuts {
		live := list[:0]
		for _, c := range list {
			if now.Before(c.until) {
				live = append(live, c)
			}
		}
		d.setCuts(s, live)
	}
}

// share is the pace of one of n sessions that want a budget.
func share(budget salvor.Pace, n int) salvor.Pace {
	if budget >= salvor.Unlimited {
		return budget
	}
	most := int(min(budget/leastShare, 1<<20))
	return budget / salvor.Pace(max(1, min(n, most)))
}

// recall is how many of the unstarted items of a lease others get that have
// nothing to do. Its holder keeps its equal part, or less if that would take it
// long, but never what it begins before it can be told.
func recall(unstarted int, perSecond float64, idle int) int {
	keep := unstarted / (idle + 1)
	if perSecond > 0 {
		keep = min(keep, int(perSecond*keepsFor.Seconds()))
	}
	return max(0, unstarted-max(keep, int(perSecond*salvor.ExtendEvery.Seconds())+1))
}

// keepsFor is for how long a holder's items last once others have nothing to do.
const keepsFor = 4 * time.Second
