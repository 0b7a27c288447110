package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rows that report.html shows of each list; the TSV files and report.json have
// more.
const (
	htmlReasons  = 40
	htmlExamples = 120
	htmlRules    = 100
	htmlHosts    = 200
	htmlTypes    = 30
	htmlSeeds    = 200
	htmlSegments = 500
)

//go:embed report.html.tmpl
var pageText string

//go:embed report.css
var pageCSS string

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("report").Funcs(funcs).Parse(pageText))
})

var funcs = template.FuncMap{
	"count": count, "size": size, "stamp": stamp, "percent": percent, "plural": plural,
	"label": label, "reason": reasonText, "why": whyText, "robots": robotsText, "unreachable": unreachableText, "missed": missedText,
	"was": func(n int64) string {
		if n == 1 {
			return "was"
		}
		return "were"
	},
	"ratio": share,
	"width": func(f float64) string { return decimal(100 * min(max(f, 0), 1)) },
	"flex":  func(f float64) string { return decimal(1000 * f) },
	"int64": func(n int) int64 { return int64(n) },
	"odd":   func(i int) bool { return i%2 == 1 },
}

// decimal writes a number as CSS and SVG take it.
func decimal(f float64) string { return strconv.FormatFloat(math.Round(f*100)/100, 'f', -1, 64) }

// page is what the template sees: the report, and what is made for the eye.
type page struct {
	*Report
	CSS                        template.CSS
	Title, Rest, End, BarLabel string
	Began, Ended, Due          *moment
	Worked, MeanRate           string
	SegmentCount, SegmentBytes int64
	Parts                      []part
	TopReasons                 []Reason
	MoreReasons                int64
	TopExamples                []Missed
	ExamplesLeft               int64
	RobotsText                 string
	Origins                    []Origin
	TopExcludes                []Exclude
	IdleExcludes               int64
	TopHosts                   []Host
	HostsLeft                  int64
	Plots                      []plot
	PlotNote                   string
	TopTypes                   []TypeCount
	MoreTypes                  int64
	TopCodes                   []CodeCount
	MostType, MostCode         int64
	TopSeeds                   []SeedRow
	SeedsLeft                  int64
	TopSegments                []Segment
	SegmentsLeft               int64
}

type part struct{ ID, Name string }

var parts = []part{
	{"missing", "Not saved"}, {"rules", "Rules"}, {"hosts", "Hosts"}, {"time", "Over time"}, {"content", "Content"},
	{"seeds", "Seeds"}, {"files", "WARC files"}, {"how", "Settings"},
}

type moment struct{ Day, Time string }

func momentOf(t time.Time) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{t.Format("2 Jan 2006"), t.Format("15:04:05 UTC")}
}

// HTML writes report.html: one file, without script or any other resource.
func (r *Report) HTML(w io.Writer) error { return pageTemplate().Execute(w, r.page()) }

func (r *Report) page() page {
	p := page{
		Report: r, CSS: template.CSS(pageCSS), Title: r.Crawl.Name, End: endText(r.Crawl.End), Parts: parts,
		Began: momentOf(r.Crawl.Started), Ended: momentOf(r.Crawl.Finished), Due: momentOf(r.Crawl.Deadline),
		RobotsText: r.robotsSentence(), Plots: plots(r.Throughput, r.Interruptions),
	}
	if p.Title == "" {
		p.Title = "Salvor"
	}
	if s := strings.Join(r.Summary(), "; "); s != "" {
		p.Rest = strings.ToUpper(s[:1]) + s[1:] + "."
	}
	p.BarLabel = r.barLabel()
	p.work()
	p.tops()
	p.PlotNote = "Each step is the mean between two samples; times are UTC."
	if len(r.Interruptions) > 0 {
		p.PlotNote += " Grey: nobody crawled."
	}
	return p
}

func (r *Report) barLabel() string {
	var s []string
	for _, o := range r.Outcomes {
		s = append(s, fmt.Sprintf("%s %s", label(o.Name), percent(o.URLs, r.Totals.Known)))
	}
	return strings.Join(s, ", ")
}

// work sums up the time at work and the segments.
func (p *page) work() {
	if d := time.Duration(p.Crawl.WorkedMS) * time.Millisecond; d > 0 {
		p.Worked = span(d)
		if s := d.Seconds(); s >= 1 {
			p.MeanRate = fmt.Sprintf("%s captures and %s a second", rateText(float64(p.Totals.Captures)/s), size(int64(float64(p.Totals.Bytes)/s)))
		}
	}
	for _, s := range p.Segments {
		p.SegmentBytes += s.Bytes
	}
	p.SegmentCount = int64(len(p.Segments))
}

// tops cuts the lists to what a page can hold.
func (p *page) tops() {
	p.TopReasons, p.MoreReasons = top(p.Reasons, htmlReasons)
	p.TopExamples, _ = top(p.NotSaved.Examples, htmlExamples)
	p.ExamplesLeft = p.NotSaved.URLs - int64(len(p.TopExamples))
	used := slices.DeleteFunc(slices.Clone(p.Excludes), func(e Exclude) bool { return e.Hits == 0 })
	p.TopExcludes, _ = top(p.Excludes, max(min(len(used), htmlRules), 20))
	p.IdleExcludes = int64(len(p.Excludes) - len(p.TopExcludes))
	p.TopHosts, _ = top(p.Hosts, htmlHosts)
	p.HostsLeft = int64(len(p.Hosts)-len(p.TopHosts)) + int64(p.MoreHost)
	p.Origins, _ = top(p.Robots.Origins, htmlRules)
	p.TopTypes, p.MoreTypes = top(p.Types, htmlTypes)
	p.TopCodes, _ = top(p.Codes, htmlTypes)
	p.TopSeeds, _ = top(p.Seeds, htmlSeeds)
	p.SeedsLeft = int64(len(p.Seeds)-len(p.TopSeeds)) + int64(p.MoreSeeds)
	p.TopSegments, p.SegmentsLeft = top(p.Segments, htmlSegments)
	for _, t := range p.Types {
		p.MostType = max(p.MostType, t.URLs)
	}
	for _, c := range p.Codes {
		p.MostCode = max(p.MostCode, c.URLs)
	}
}

func top[T any](s []T, n int) ([]T, int64) {
	n = min(n, len(s))
	return s[:n], int64(len(s) - n)
}

// label is an outcome's name for people.
func label(outcome string) string { return strings.ReplaceAll(outcome, "_", " ") }

func robotsText(status string) string {
	switch status {
	case "rules":
		return "has rules"
	case "none":
		return "there is none: everything is allowed"
	}
	return "could not be fetched"
}

// reasonText makes a recorded reason readable where it is a class or a status.
func reasonText(s string) string {
	if code, err := strconv.Atoi(s); err == nil && codeMeaning(code) != "" {
		return s + " " + codeMeaning(code)
	}
	return strings.ReplaceAll(s, "_", " ")
}

// whyText says in one line why a URL was not saved.
func whyText(m Missed) string {
	s := reasonText(m.Reason)
	if status := strconv.Itoa(m.Status); m.Status > 0 && !strings.HasPrefix(s, status) {
		s = strings.TrimPrefix(s+", status "+status, ", ")
	}
	if m.Tries > 1 {
		s += fmt.Sprintf(", %d tries", m.Tries)
	}
	if s == "" {
		return label(m.Outcome)
	}
	return s
}

// unreachableText says what was done where robots.txt could not be fetched.
func unreachableText(policy string) string {
	switch policy {
	case "ignore":
		return "Nothing was done about it."
	case "strict":
		return "Nothing else was fetched from there."
	}
	return "Crawling went on slowly there, without knowing the rules."
}

// robotsSentence says what was done about robots.txt.
func (r *Report) robotsSentence() string {
	n := r.Robots.Excluded
	switch {
	case r.Robots.Policy == "ignore":
		return "robots.txt was recorded, but not obeyed."
	case n == 0:
		return "robots.txt kept no URL out."
	}
	return fmt.Sprintf("robots.txt kept %s %s out.", count(n), plural(n, "URL"))
}

// missedText says what became of a host's URLs that were not saved.
func missedText(h Host) string {
	var s []string
	for _, m := range meanings {
		name := m.outcome.String()
		if n := h.Outcomes[name]; n > 0 && !m.outcome.HasCapture() {
			s = append(s, count(n)+" "+label(name))
		}
	}
	return strings.Join(s, ", ")
}
