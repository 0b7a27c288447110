package crawler

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/crawler/fetch"
)

// verdict is what one attempt means for its item.
type verdict struct {
	verb       api.Verb
	outcome    salvor.Outcome
	reason     string
	detail     string // for people: the error's own words
	status     int
	retry      int64 // Unix ms
	throttled  bool  // 429 or 503: the host asks for less
	unanswered bool  // time-out, reset, no connection
	ours       bool  // we did not wait any longer: no word against the host
	retryAfter int64 // Unix ms, as the host asked; 0 it did not
}

// truncatedTries is how often a body that breaks off is asked for again. What
// came is kept each time; a server whose length is simply wrong would
// otherwise cost all tries.
const truncatedTries = 2

// Retry times: doubled from the first to the last, at the end of the queue.
const (
	firstRetry = 30 * time.Second
	lastRetry  = time.Hour
	// maxRetryAfter is the longest a Retry-After is believed.
	maxRetryAfter = 24 * time.Hour
)

// judge decides about an answered attempt.
func judge(it salvor.Item, c *fetch.Capture, tries int, at time.Time) verdict {
	v := verdict{status: c.Status, outcome: salvor.Saved}
	switch {
	case c.Status >= 400: // says what it says, however much of its page came
		return v.byStatus(it, c, tries, at)
	case c.Truncated == fetch.TruncatedLength:
		v.outcome, v.reason = salvor.TooBig, "max-body"
	case c.Truncated != "":
		v.unanswered = true
		v.reason = truncated(c)
		if int(it.Attempts) < min(truncatedTries, tries-1) {
			return v.again(it, at)
		}
	}
	return v
}

// truncated is the reason of a capture that was cut, as the report counts it
// and crawl.log has it among the annotations.
func truncated(c *fetch.Capture) string { return "truncated-" + c.Truncated }

func (v verdict) byStatus(it salvor.Item, c *fetch.Capture, tries int, at time.Time) verdict {
	switch s := c.Status; {
	case s == http.StatusTooManyRequests, s == http.StatusServiceUnavailable:
		v.throttled = true
		return v.throttle(it, c, tries, at)
	case s == http.StatusRequestTimeout, s == http.StatusTooEarly, s >= 500 && s < 600:
		v.reason = "http-" + strconv.Itoa(s)
		return v.lastOr(it, tries, at)
	case s == http.StatusNotFound, s == http.StatusGone:
		v.outcome, v.reason = salvor.Gone, "http-"+strconv.Itoa(s)
	case s >= 400:
		v.outcome, v.reason = salvor.Refused, "http-"+strconv.Itoa(s)
	}
	return v
}

// throttle honours Retry-After, which costs no attempt.
func (v verdict) throttle(it salvor.Item, c *fetch.Capture, tries int, at time.Time) verdict {
	v.reason = "http-" + strconv.Itoa(c.Status)
	d, ok := retryAfter(c.Header.Get("Retry-After"), at)
	if !ok {
		return v.lastOr(it, tries, at)
	}
	v.retryAfter = at.Add(d).UnixMilli()
	v.verb, v.retry = api.VerbPostpone, v.retryAfter
	return v
}

// lastOr tries again, or fails when it was the last try. A 501 or 505 will
// not change.
func (v verdict) lastOr(it salvor.Item, tries int, at time.Time) verdict {
	final := v.status == http.StatusNotImplemented || v.status == http.StatusHTTPVersionNotSupported
	if final || int(it.Attempts)+1 >= tries {
		v.verb, v.outcome = api.VerbSettle, salvor.Failed
		return v
	}
	return v.again(it, at)
}

func (v verdict) again(it salvor.Item, at time.Time) verdict {
	v.verb, v.outcome = api.VerbRetry, salvor.Open
	v.retry = at.Add(retryDelay(int(it.Attempts))).UnixMilli()
	return v
}

// retryDelay doubles from firstRetry to lastRetry, with a tenth of jitter so
// that what failed together does not come back together.
func retryDelay(attempts int) time.Duration {
	d := lastRetry
	if attempts < 7 {
		d = min(firstRetry<<attempts, lastRetry)
	}
	return d + rand.N(d/10)
}

// retryAfter reads a Retry-After header (RFC 9110 10.2.3): seconds or a date.
func retryAfter(h string, at time.Time) (time.Duration, bool) {
	h = strings.TrimSpace(h)
	if n, err := strconv.ParseInt(h, 10, 64); err == nil && n >= 0 {
		return min(time.Duration(min(n, 1<<31))*time.Second, maxRetryAfter), true
	}
	t, err := http.ParseTime(h)
	if err != nil {
		return 0, false
	}
	return min(max(t.Sub(at), 0), maxRetryAfter), true
}

// judgeError decides about an attempt without an answer.
func judgeError(it salvor.Item, err error, tries int, at time.Time) verdict {
	v := verdict{reason: "internal", status: -5, outcome: salvor.Failed}
	fe, ok := errors.AsType[*fetch.Error](err)
	if !ok {
		return v.lastOr(it, tries, at)
	}
	v.reason, v.status, v.detail = string(fe.Class), fe.Status(), fe.Err.Error()
	v.unanswered = fe.Transient()
	if !fe.Transient() {
		return v
	}
	return v.lastOr(it, tries, at)
}

// excluded settles an item that a rule forbids.
func excluded(rule string) verdict {
	return verdict{outcome: salvor.Excluded, reason: rule, status: exclusionStatus(rule)}
}

// exclusionStatus is Heritrix' code: -9998 robots, -5002 an operator's rule,
// -5000 out of scope.
func exclusionStatus(rule string) int {
	switch {
	case strings.HasPrefix(rule, "robots"):
		return -9998
	case strings.HasPrefix(rule, "exclude"):
		return -5002
	}
	return -5000
}

func (v verdict) String() string {
	return fmt.Sprintf("%v %v %s %d", v.verb, v.outcome, v.reason, v.status)
}
