package report

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// meanings are the outcomes in the order in which reports list them.
var meanings = []struct {
	outcome salvor.Outcome
	text    string
}{
	{salvor.Saved, "in the archive"},
	{salvor.Revisit, "in the archive; same content as another capture, stored once"},
	{salvor.Gone, "the server says it does not exist (404, 410); its answer is in the archive"},
	{salvor.Refused, "the server refuses it (401, 403, 451 …); its answer is in the archive"},
	{salvor.Failed, "no final answer after all tries"},
	{salvor.TooBig, "larger than allowed; the part that was read is in the archive"},
	{salvor.Excluded, "left out on purpose, by robots.txt or a rule"},
	{salvor.OutOfTime, "known, but not fetched before the deadline"},
	{salvor.Open, "known, but not fetched yet"},
}

func meaning(name string) string {
	for _, m := range meanings {
		if m.outcome.String() == name {
			return m.text
		}
	}
	return ""
}

// headline is the report in one sentence.
func (r *Report) headline() string {
	t := r.Totals
	verb := "Saved"
	if r.Crawl.End == "" {
		verb = "So far saved"
	}
	if t.Known == 0 {
		return "No URL is known yet."
	}
	s := fmt.Sprintf("%s %s of %s known %s (%s).", verb, count(t.Saved), count(t.Known), plural(t.Known, "URL"), percent(t.Saved, t.Known))
	if n := r.lost(); n > 0 {
		s += fmt.Sprintf(" %s WARC %s missing or damaged.", count(n), plural(n, "file")+" "+was(n, "is", "are"))
	}
	return s
}

// lost counts the WARC files that are not as they were stored.
func (r *Report) lost() (n int64) {
	for _, s := range r.Segments {
		if s.Problem != "" {
			n++
		}
	}
	return n
}

func was(n int64, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// Summary says what became of the rest: one sentence an outcome, and one that
// leaves out what was excluded on purpose.
func (r *Report) Summary() []string {
	var out []string
	for _, o := range r.Outcomes {
		if s, ok := summaries[o.Name]; ok {
			if o.URLs == 1 {
				s = strings.Replace(strings.Replace(s, "were ", "was ", 1), "are ", "is ", 1)
			}
			out = append(out, count(o.URLs)+" "+s)
		}
	}
	if t := r.Totals; t.Excluded > 0 && t.Known > t.Excluded {
		out = append(out, fmt.Sprintf("without those left out on purpose, %s is saved", percent(t.Saved, t.Known-t.Excluded)))
	}
	return out
}

var summaries = map[string]string{
	"gone":        "are no longer on the server",
	"refused":     "were refused by the server",
	"failed":      "failed",
	"too_big":     "were too big and cut",
	"excluded":    "were left out by robots.txt or a rule",
	"out_of_time": "were not reached before the deadline",
	"open":        "were not fetched yet",
}

// endText says how the crawl ended.
func endText(end string) string {
	switch end {
	case "":
		return "The crawl is not finished."
	case "done":
		return "The crawl is finished: every URL has a final answer of its server or a recorded exclusion."
	case "failed":
		return "The crawl is finished, but some URLs failed."
	case "deadline":
		return "The deadline ended the crawl."
	case "limit":
		return "A limit of the settings ended the crawl."
	case "interrupted":
		return "The crawl was interrupted. The same command goes on with it."
	case "no_space":
		return "The disk filled up. Once there is room, the same command goes on."
	}
	return "The crawl ended: " + end + "."
}

func plural(n int64, word string) string {
	if n == 1 {
		return word
	}
	return word + "s"
}

// count writes 1234567 as 1,234,567.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "-" + s
	}
	return s
}

// percent never rounds up to 100 or down to 0: a report must not say "all"
// when one is missing, or "none" when one is there.
func percent(n, of int64) string {
	switch {
	case of == 0:
		return "0 %"
	case n == of:
		return "100 %"
	case n == 0:
		return "0 %"
	}
	p := math.Floor(1000*float64(n)/float64(of)) / 10
	if p == 0 {
		return "< 0.1 %"
	}
	return strconv.FormatFloat(p, 'f', 1, 64) + " %"
}

// size writes bytes in decimal units, as disks and networks are sold.
func size(n int64) string {
	if n < 1000 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if f /= 1000; f < 999.5 || unit == "PB" {
			if f < 9.95 {
				return strconv.FormatFloat(f, 'f', 1, 64) + " " + unit
			}
			return strconv.FormatFloat(f, 'f', 0, 64) + " " + unit
		}
	}
	return ""
}

// stamp writes a moment for people; "" when there is none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2 January 2006, 15:04:05 UTC")
}

func span(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%s h %d min", count(int64(d/time.Hour)), d%time.Hour/time.Minute)
}

// heritrixCodes are the negative codes that stand for no HTTP answer.
var heritrixCodes = map[int]string{
	1: "DNS lookup", -1: "DNS lookup failed", -2: "connection failed", -3: "connection broken", -4: "time-out",
	-5: "unexpected error", -6: "host name not found", -7: "URL not supported", -8: "too many tries", -50: "waiting",
	-404: "empty answer", -5000: "out of scope", -5001: "blocked by the operator", -5002: "blocked by a rule", -9998: "robots.txt",
	-61: "robots.txt not reachable", -62: "prerequisite failed",
}

func codeMeaning(code int) string {
	if s, ok := heritrixCodes[code]; ok {
		return s
	}
	return http.StatusText(code)
}
