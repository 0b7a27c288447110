package coordinator

import (
	"fmt"
	"math"
	"strings"
	"time"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// The adaptive budget of a host. It is additive increase and multiplicative
// decrease, as TCP's, with one decrease an incident: what is under way when a
// server says stop still brings bad news for a while, and answers for the same
// mistake.
const (
	quickStep = 2 * time.Second  // +quickRise, until the first incident
	slowStep  = 5 * time.Second  // +max(slowRise, 2 %), ever after
	incident  = 5 * time.Second  // at least; or until its block ends
	halfLife  = 10 * time.Second // of what is remembered of requests and errors
	firstStop = 5 * time.Second  // block after a 429 or 503 without Retry-After, doubling
	longStop  = 10 * time.Minute // its most
	calm      = time.Minute      // after a block, and doubling starts over
	mostRetry = 24 * time.Hour   // of Retry-After
	mostDelay = 30 * time.Second // of Crawl-delay

	quickRise = salvor.Pace(1000)
	slowRise  = salvor.Pace(100)
	leastRate = salvor.Pace(100)

	badShare  = 0.02 // of time-outs, resets, 429 and 503: an incident
	goodShare = 0.01 // below it the rate may rise

	// provenShare of the rate before it fell for slow answers, and answers still
	// take as long: the rate is not what makes them slow.
	provenShare = 0.6
	sameLatency = 0.8
)

// pace is what the leader remembers of one host. It is a pure state machine:
// time and chance are given. What must survive the leader is in the host's
// budget; the rest is learned again.
type pace struct {
	began   bool
	rate    salvor.Pace // as last proposed
	settled bool        // it had an incident: rises are slow
	delay   salvor.Pace // ceiling this pace set for a Crawl-delay

	at       time.Time // of the newest report
	first    time.Time
	requests float64 // decayed
	errors   float64
	throttle float64

	answers answers
	before  salvor.Pace // rate, when it first fell for slow answers; 0 it did not
	took    float64     // ms that answers took then, at most

	rise      time.Time // of the last rise
	until     time.Time // end of the present incident
	strikes   int       // blocks without Retry-After, less the rises since
	struckEnd time.Time // end of the last of them
}

// moment is when something is observed: on the monotonic clock for durations,
// in Unix ms for what goes into commands.
type moment struct {
	mono  time.Time
	wall  int64
	ahead int64 // how far wall is ahead of what people's clocks say
}

// observe takes one report. What it returns is to be proposed, unless nothing
// is set. h is the host's budget as the state has it, general the crawl's
// ceiling, chance in [0,1).
func (p *pace) observe(t moment, h api.Host, general salvor.Pace, f api.HostFeedback, chance float64) frontier.SetBudget {
	p.begin(t.mono, h)
	p.count(t.mono, f)
	var b frontier.SetBudget
	ceiling := p.obeyDelay(&b, h, general, f.CrawlDelay)
	p.settleUnlimited(&b, ceiling)
	switch v := p.judge(f, ceiling, t.wall); {
	case v == fine:
		p.grow(&b, t.mono, h, ceiling, f.Limited)
	case v == asked || v != unwell && !t.mono.Before(p.until):
		p.punish(&b, t, h, ceiling, v, f.RetryAfter, chance)
	}
	return b
}

// begin takes over what the state remembers of the host.
func (p *pace) begin(now time.Time, h api.Host) {
	if p.began {
		return
	}
	*p = pace{began: true, rate: h.Rate, at: now, first: now, rise: now.Add(-slowStep)}
	p.settled = h.Note != "" && !strings.HasPrefix(h.Note, delayNote)
	if strings.HasPrefix(h.Note, delayNote) {
		p.delay = h.Ceiling
	}
}

// count forgets what is old and adds what is new.
func (p *pace) count(now time.Time, f api.HostFeedback) {
	since := now.Sub(p.at)
	keep := math.Exp2(-since.Seconds() / halfLife.Seconds())
	p.at = now
	p.requests = p.requests*keep + float64(f.Requests)
	p.errors = p.errors*keep + float64(f.Errors)
	p.throttle = p.throttle*keep + float64(f.Throttled)
	if !now.Before(p.until) { // what is under way at an incident is no news of it
		p.answers.add(since, f.Requests, f.Latency)
	}
}

// measured is the rate of requests over the time remembered.
func (p *pace) measured() salvor.Pace {
	tau := halfLife.Seconds() / math.Ln2
	// Of a steady stream the decayed count is rate x tau x (1 - e^(-age/tau)).
	// The first report speaks of the time before it, one reporting interval.
	age := p.at.Sub(p.first).Seconds() + salvor.ExtendEvery.Seconds()
	return salvor.PerSecond(p.requests / (tau * (1 - math.Exp(-age/tau))))
}

func (p *pace) share() float64 {
	if p.requests == 0 {
		return 0
	}
	return (p.errors + p.throttle) / p.requests
}

// verdict is what a report says of the host.
type verdict uint8

const (
	fine     verdict = iota
	unwell           // nothing to punish, but no reason to go faster
	slower           // latency doubled
	hiccup           // few 429 or 503 among many good answers
	failing          // time-outs and resets
	throttle         // 429 or 503
	asked            // with Retry-After
)

func (p *pace) judge(f api.HostFeedback, ceiling salvor.Pace, wall int64) verdict {
	switch {
	case f.RetryAfter > wall:
		return asked
	case f.Throttled > 0 && p.share() > badShare:
		return throttle
	case f.Throttled > 0:
		return hiccup
	// One time-out is no pattern, whatever share of few requests it is.
	case f.Errors > 0 && p.errors > 1.5 && p.share() > badShare:
		return failing
	// Where the operator lifted the ceiling, latency is the operator's wish.
	case ceiling < salvor.Unlimited && (f.Slowed || f.Latency > 0 && p.answers.slow()):
		return slower
	case p.share() >= goodShare:
		return unwell
	}
	return fine
}

// obeyDelay lowers the ceiling for a Crawl-delay unless the operator gave this
// host one of its own. It returns the ceiling that holds.
func (p *pace) obeyDelay(b *frontier.SetBudget, h api.Host, general salvor.Pace, delay time.Duration) salvor.Pace {
	ours := h.Ceiling == general || (p.delay != 0 && h.Ceiling == p.delay)
	if delay <= 0 || !ours {
		return h.Ceiling
	}
	delay = min(delay, mostDelay)
	want := min(max(salvor.PerSecond(1/delay.Seconds()), 1), general)
	if want == h.Ceiling {
		return want
	}
	p.delay = want
	b.Ceiling = &want
	b.Note = note("%s one request in %s", delayNote, delay)
	return want
}

const delayNote = "robots.txt asks for"

// settleUnlimited lifts the rate where the ceiling was lifted and nothing has
// gone wrong yet.
func (p *pace) settleUnlimited(b *frontier.SetBudget, ceiling salvor.Pace) {
	if ceiling >= salvor.Unlimited && !p.settled && p.rate < salvor.Unlimited {
		p.setRate(b, salvor.Unlimited)
	}
}

func (p *pace) setRate(b *frontier.SetBudget, r salvor.Pace) {
	p.rate = r
	b.Rate = &r
}

// grow raises the rate a step if the rate was what held the session back.
func (p *pace) grow(b *frontier.SetBudget, now time.Time, h api.Host, ceiling salvor.Pace, limited bool) {
	rate := min(p.rate, ceiling)
	if !now.Before(p.until) && p.acquitted() {
		p.setRate(b, min(p.before, ceiling))
		p.before = 0
		b.Note = note("")
		return
	}
	if rate >= ceiling {
		if h.Note != "" && p.delay == 0 && p.settled {
			b.Note = note("")
		}
		return
	}
	step, by := quickStep, quickRise
	if p.settled {
		step, by = slowStep, max(slowRise, rate/50)
	}
	if !limited || now.Before(p.until) || now.Sub(p.rise) < step {
		return
	}
	p.rise = latest(p.rise.Add(step), now.Add(-step))
	// The server was well at this rate: what it refuses next is another
	// matter than what it refused before its rest.
	p.strikes = max(0, p.strikes-1)
	p.setRate(b, min(rate+by, ceiling))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// punish answers an incident: the rate falls once, and requests stop for a
// while where the server said so.
func (p *pace) punish(b *frontier.SetBudget, t moment, h api.Host, ceiling salvor.Pace, v verdict, retryAfter int64, chance float64) {
	defer p.forgive()
	if !t.mono.Before(p.until) {
		p.suspect(v, ceiling)
		p.setRate(b, p.lowered(v, ceiling))
		p.settled = true
		p.until = t.mono.Add(incident)
		b.Note = note("slowed to %s/s: %s", perSecond(*b.Rate), p.why(v))
		p.answers.answered()
	}
	stop := p.block(t, v, retryAfter, chance)
	end := t.wall + stop.Milliseconds()
	if stop == 0 || end <= h.Blocked {
		return
	}
	b.Blocked = &end
	p.until = latest(p.until, t.mono.Add(stop))
	b.Note = note("%s; no request before %s", strings.SplitN(p.told(b, h), "; ", 2)[0], time.UnixMilli(end-t.ahead).UTC().Format(time.RFC3339))
}

// suspect remembers what the rate was before it fell for slow answers. Any other
// incident proves that the host cannot take it.
func (p *pace) suspect(v verdict, ceiling salvor.Pace) {
	switch {
	case v != slower:
		p.before = 0
	case p.before == 0:
		p.before, p.took = min(p.rate, ceiling), p.answers.mean()
	default:
		p.took = max(p.took, p.answers.mean())
	}
}

// acquitted reports, once, that the rate was not what made answers slow: it fell
// by much, and they take as long. If they are quick again, it was.
func (p *pace) acquitted() bool {
	if p.before == 0 || p.answers.n < leastJudged {
		return false
	}
	if p.answers.mean() < p.took*sameLatency {
		p.before = 0
		return false
	}
	return float64(p.rate) <= provenShare*float64(p.before)
}

// told is the note so far.
func (p *pace) told(b *frontier.SetBudget, h api.Host) string {
	if b.Note != nil {
		return *b.Note
	}
	if h.Note != "" {
		return h.Note
	}
	return "the server asked to wait"
}

// forgive drops the evidence an incident was judged by: it is not judged twice.
func (p *pace) forgive() {
	p.errors, p.throttle = 0, 0
	p.rise = latest(p.rise, p.until)
}

// lowered is the rate after an incident.
func (p *pace) lowered(v verdict, ceiling salvor.Pace) salvor.Pace {
	rate, least := min(p.rate, ceiling), min(leastRate, ceiling)
	switch {
	case rate >= salvor.Unlimited:
		rate = p.measured() / 2
	case v == slower || v == hiccup:
		rate = rate * 4 / 5
	default:
		rate /= 2
	}
	return max(rate, least)
}

// block is how long requests stop; 0 when they do not.
func (p *pace) block(t moment, v verdict, retryAfter int64, chance float64) time.Duration {
	switch v {
	case asked:
		return min(time.Duration(retryAfter-t.wall)*time.Millisecond, mostRetry)
	case throttle:
		if t.mono.Sub(p.struckEnd) > calm {
			p.strikes = 0
		}
		stop := min(firstStop<<min(p.strikes, 10), longStop)
		stop += time.Duration(chance * float64(stop) / 4)
		p.strikes++
		p.struckEnd = t.mono.Add(stop)
		return stop
	}
	return 0
}

// why says in plain words what the incident was.
func (p *pace) why(v verdict) string {
	switch v {
	case slower:
		if !p.answers.slow() { // a session compares with what its own answers took
			return "answers to a worker take twice as long as before"
		}
		return fmt.Sprintf("answers take %.0f ms instead of %.0f ms", p.answers.mean(), p.answers.base)
	case failing:
		return fmt.Sprintf("%.0f of the last %.0f requests timed out or were cut off", p.errors, p.requests)
	case asked:
		return "the server asked to wait (Retry-After)"
	}
	return fmt.Sprintf("the server refused %.0f of the last %.0f requests with 429 or 503", p.throttle, p.requests)
}

func note(format string, args ...any) *string {
	s := fmt.Sprintf(format, args...)
	return &s
}

func perSecond(p salvor.Pace) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", p.PerSecond()), "0"), ".")
}
