package coordinator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"salvor"
	"salvor/api"
	"salvor/coordinator/frontier"
)

// bench is a host's budget as the state would hold it, and a pace that moves
// it.
type bench struct {
	p       pace
	h       api.Host
	general salvor.Pace
	began   time.Time
	now     time.Duration
	chance  float64
}

var benchEpoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newBench(start, ceiling salvor.Pace) *bench {
	return &bench{h: api.Host{Rate: start, Ceiling: ceiling}, general: ceiling, began: benchEpoch}
}

func (b *bench) report(f api.HostFeedback) frontier.SetBudget {
	at := b.began.Add(b.now)
	s := b.p.observe(moment{mono: at, wall: at.UnixMilli()}, b.h, b.general, f, b.chance)
	if s.Rate != nil {
		b.h.Rate = *s.Rate
	}
	if s.Ceiling != nil {
		b.h.Ceiling = *s.Ceiling
	}
	if s.Blocked != nil {
		b.h.Blocked = *s.Blocked
	}
	if s.Note != nil {
		b.h.Note = *s.Note
	}
	return s
}

// TestPace runs the scripts in testdata/pace:
//
//	host start=2/s ceiling=20/s
//	----
//	at 2s req=4 limited          one report at that time
//	restart                      a new leader, which knows only the budget
//	ceiling 50/s                 the operator gives this host a ceiling
//
// Each report prints the budget it leads to, and what was proposed.
func TestPace(t *testing.T) {
	datadriven.Walk(t, "testdata/pace", func(t *testing.T, path string) {
		var b *bench
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "host":
				b = newBench(scanPace(t, d, "start"), scanPace(t, d, "ceiling"))
				return ""
			case "restart":
				b.p = pace{}
				return ""
			case "ceiling":
				b.h.Ceiling = scanPace(t, d, "host")
				return ""
			case "reports":
				var out strings.Builder
				for line := range strings.Lines(d.Input) {
					out.WriteString(b.line(t, strings.Fields(line)))
				}
				return out.String()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func scanPace(t *testing.T, d *datadriven.TestData, key string) salvor.Pace {
	var s string
	d.ScanArgs(t, key, &s)
	return parsePace(t, s)
}

func parsePace(t *testing.T, s string) salvor.Pace {
	if s == "unlimited" {
		return salvor.Unlimited
	}
	var r float64
	_, err := fmt.Sscanf(s, "%f/s", &r)
	must(t, err)
	return salvor.PerSecond(r)
}

// line runs one report: a time, then key=value or a flag.
func (b *bench) line(t *testing.T, words []string) string {
	now, err := time.ParseDuration(words[0])
	must(t, err)
	b.now = now
	var f api.HostFeedback
	for _, w := range words[1:] {
		key, value, _ := strings.Cut(w, "=")
		switch key {
		case "req":
			_, err = fmt.Sscan(value, &f.Requests)
		case "err":
			_, err = fmt.Sscan(value, &f.Errors)
		case "throttled":
			_, err = fmt.Sscan(value, &f.Throttled)
		case "latency":
			f.Latency, err = time.ParseDuration(value)
		case "delay":
			f.CrawlDelay, err = time.ParseDuration(value)
		case "retry": // from now
			var in time.Duration
			in, err = time.ParseDuration(value)
			f.RetryAfter = b.began.Add(now + in).UnixMilli()
		case "limited":
			f.Limited = true
		case "slowed":
			f.Slowed = true
		default:
			t.Fatalf("unknown word %q", w)
		}
		must(t, err)
	}
	return b.describe(b.report(f))
}

func (b *bench) describe(s frontier.SetBudget) string {
	var did []string
	if s.Rate != nil {
		did = append(did, "rate")
	}
	if s.Ceiling != nil {
		did = append(did, "ceiling")
	}
	if s.Blocked != nil {
		did = append(did, "blocked")
	}
	if s.Note != nil {
		did = append(did, fmt.Sprintf("note %q", *s.Note))
	}
	blocked := ""
	if end := time.UnixMilli(b.h.Blocked).Sub(benchEpoch); b.h.Blocked != 0 && end > b.now {
		blocked = fmt.Sprintf(" blocked until %s", end)
	}
	if len(did) == 0 {
		did = []string{"-"}
	}
	return fmt.Sprintf("%s: %s of %s%s; %s\n", b.now, show(b.h.Rate), show(b.h.Ceiling), blocked, strings.Join(did, ", "))
}

func show(p salvor.Pace) string {
	if p >= salvor.Unlimited {
		return "unlimited"
	}
	return perSecond(p) + "/s"
}

// TestPaceFindsCapacity closes the loop over a server that refuses what is
// over its capacity: the rate must come near it and stay, with few refusals.
func TestPaceFindsCapacity(t *testing.T) {
	for _, capacity := range []float64{0.5, 3, 12} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			const step, minutes = 2, 30
			b := newBench(2000, 20_000)
			var sent, refused, late int64
			var asked, tokens float64 // not yet a whole request; what the server lets through
			for b.now = 0; b.now < minutes*time.Minute; b.now += step * time.Second {
				if b.h.Blocked <= b.began.Add(b.now).UnixMilli() {
					asked += step * min(b.h.Rate, b.h.Ceiling).PerSecond()
				}
				tokens = min(tokens+step*capacity, step*capacity+1)
				n := int64(asked)
				asked -= float64(n)
				over := max(0, n-int64(tokens))
				tokens -= float64(n - over)
				sent, refused = sent+n, refused+over
				if b.now >= (minutes-10)*time.Minute {
					late += n - over
				}
				b.report(api.HostFeedback{Requests: n, Throttled: over, Limited: true})
			}
			if got := float64(late) / 600; got < capacity*0.6 {
				t.Errorf("%.2f good requests/s at a capacity of %g", got, capacity)
			}
			// At half a request a second the least rise, 0.1/s, is a fifth.
			if refused*10 > sent {
				t.Errorf("%d of %d requests were refused", refused, sent)
			}
			t.Logf("%.2f good requests/s, %d of %d refused", float64(late)/600, refused, sent)
		})
	}
}

// Whatever a host reports, its rate stays between the floor and the ceiling,
// a block ends within a day, and a note stays short.
func FuzzPace(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 250, 251, 252, 0, 0, 1, 1}, uint64(2000), uint64(20_000))
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0}, uint64(salvor.Unlimited), uint64(salvor.Unlimited))
	f.Fuzz(func(t *testing.T, script []byte, start, ceiling uint64) {
		if start == 0 || ceiling == 0 {
			t.Skip()
		}
		b := newBench(min(salvor.Pace(start), salvor.Unlimited), min(salvor.Pace(ceiling), salvor.Unlimited))
		for ; len(script) >= 4; script = script[4:] {
			b.now += time.Duration(script[0]) * 100 * time.Millisecond
			r := int64(script[1])
			rep := api.HostFeedback{Requests: r, Errors: r * int64(script[2]&15) / 15, Throttled: r * int64(script[2]>>4) / 15, Limited: script[3]&1 != 0}
			rep.Latency = time.Duration(script[3]>>4) * 30 * time.Millisecond
			if script[3]&2 != 0 {
				rep.RetryAfter = b.began.Add(b.now + time.Duration(script[0])*time.Hour).UnixMilli()
			}
			rep.Slowed = script[3]&8 != 0
			if script[3]&4 != 0 {
				rep.CrawlDelay = time.Duration(script[0]) * time.Second
			}
			s := b.report(rep)
			if s.Rate != nil && (*s.Rate == 0 || *s.Rate > b.h.Ceiling && *s.Rate < salvor.Unlimited) {
				t.Fatalf("rate %d with a ceiling of %d", *s.Rate, b.h.Ceiling)
			}
			if s.Ceiling != nil && (*s.Ceiling == 0 || *s.Ceiling > b.general) {
				t.Fatalf("ceiling %d", *s.Ceiling)
			}
			if s.Blocked != nil && *s.Blocked > b.began.Add(b.now+mostRetry).UnixMilli() {
				t.Fatalf("blocked for %s", time.UnixMilli(*s.Blocked).Sub(b.began.Add(b.now)))
			}
			if len(b.h.Note) > 500 {
				t.Fatalf("note of %d bytes", len(b.h.Note))
			}
		}
	})
}
