package access

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"salvor"
)

//go:embed web
var web embed.FS

var pages = template.Must(template.ParseFS(web, "web/page.html"))

// rowsOf is how many captures a page shows.
const rowsOf = 100

// row is a capture on a page.
type row struct {
	When, URL, Mime, Status, Digest, Replay, Calendar string
	Length                                            int64
}

func (v *visit) row(x Capture) row {
	return row{
		When: x.Time.UTC().Format(time.DateTime), URL: x.URL, Mime: x.Mime, Status: x.Status, Digest: x.Digest, Length: x.Length,
		Replay: v.uriM(x), Calendar: v.base + "*/" + x.URL,
	}
}

type frame struct{ Title, Name, Home, Root string }

type choice struct {
	Value, Text string
	Chosen      bool
}

type searchPage struct {
	frame
	Q                              Query
	Matches                        []choice
	From, To, Mime, Status, Digest string
	Asked                          bool
	Rows                           []row
	More, API                      string
	Error, Hint                    string
	Segments, Lines                int64
	CanWords                       bool
	Words                          string
	Hits                           []hitView
}

var matchTexts = []choice{
	{Value: string(MatchExact), Text: "this address"}, {Value: string(MatchPrefix), Text: "addresses that begin so"},
	{Value: string(MatchHost), Text: "all of this host"}, {Value: string(MatchDomain), Text: "all of this domain"},
}

func (v *visit) frame(title string) frame {
	return frame{Title: title, Name: v.c.Name, Home: v.s.Prefix + "/", Root: v.s.root(v.c.Name)}
}

// page is the search page.
func (v *visit) page(raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "the query %.80q cannot be read", raw)
	}
	p := searchPage{frame: v.frame(v.c.Name), From: values.Get("from"), To: values.Get("to"), Mime: values.Get("mime"), Status: values.Get("status"), Digest: values.Get("digest")}
	for _, m := range matchTexts {
		m.Chosen = m.Value == values.Get("matchType")
		p.Matches = append(p.Matches, m)
	}
	p.CanWords, p.Words = v.c.Words != nil, values.Get("words")
	status := http.StatusOK
	if p.CanWords && p.Words != "" {
		if err := v.words(&p, values); err != nil {
			p.Error, p.Hint, status = err.Error(), salvor.HintOf(err), http.StatusBadRequest
		}
	} else if p.Q.URL = values.Get("url"); p.Q.URL != "" {
		if err := v.search(&p, values); err != nil {
			p.Error, p.Hint, status = err.Error(), salvor.HintOf(err), http.StatusBadRequest
			if salvor.ClassOf(err) != salvor.Invalid {
				return err
			}
		}
	} else {
		for _, n := range v.c.Index.Segments(v.ctx()) {
			p.Segments, p.Lines = p.Segments+1, p.Lines+n
		}
	}
	return v.html(status, "search", p)
}

// asFilters says in the CDX server's words what the form says in its own.
func asFilters(values url.Values) url.Values {
	out := url.Values{}
	for _, name := range []string{"url", "matchType", "from", "to", "resumeKey"} {
		if s := values.Get(name); s != "" {
			out.Set(name, s)
		}
	}
	if s := values.Get("mime"); s != "" {
		out.Add("filter", "mime:"+s)
	}
	if s := values.Get("status"); s != "" {
		out.Add("filter", "~status:"+s+".*")
	}
	if s := values.Get("digest"); s != "" {
		out.Add("filter", "=digest:"+s)
	}
	return out
}

func (v *visit) search(p *searchPage, values url.Values) error {
	asked := asFilters(values)
	q, err := parseQuery(asked, pywb)
	if err != nil {
		return err
	}
	q.Limit = rowsOf
	a, err := v.c.Find(v.ctx(), q, func(x *Found) bool {
		if c, ok := capture(x.Entry); ok {
			p.Rows = append(p.Rows, v.row(c))
		}
		return true
	})
	if err != nil {
		return err
	}
	p.Asked, p.API = true, v.s.root(v.c.Name)+"cdx?"+asked.Encode()
	if a.Resume != "" {
		values.Set("resumeKey", a.Resume)
		p.More = v.s.root(v.c.Name) + "?" + values.Encode()
	}
	return nil
}

type calendarPage struct {
	frame
	Count       int
	First, Last string
	TimeMap     string
	Years       []year
	Rows        []row
}

type year struct {
	Year   int
	Months []month
}

type month struct {
	Name  string
	Weeks [][7]day
}

type day struct {
	Day           int
	Replay, Title string
}

// mostOnCalendar bounds a calendar's captures: days beyond it have none.
const mostOnCalendar = 10_000

// calendar shows on which days a URL was captured.
func (v *visit) calendar(rest string) error {
	uri, err := target(rest)
	if err != nil {
		return err
	}
	var all []Capture
	if err := v.c.Captures(v.ctx(), uri, func(x Capture) bool {
		all = append(all, x)
		return len(all) < mostOnCalendar
	}); err != nil {
		return err
	}
	if len(all) == 0 {
		return notCaptured(uri)
	}
	p := calendarPage{frame: v.frame(uri), Count: len(all), TimeMap: v.uriT("link", uri), Years: v.years(all)}
	p.First, p.Last = all[0].Time.UTC().Format(time.DateTime), all[len(all)-1].Time.UTC().Format(time.DateTime)
	for _, x := range all[max(0, len(all)-10*rowsOf):] {
		p.Rows = append(p.Rows, v.row(x))
	}
	return v.html(http.StatusOK, "calendar", p)
}

func (v *visit) years(all []Capture) (out []year) {
	byDay := map[string][]Capture{}
	for _, x := range all {
		k := x.Time.UTC().Format(time.DateOnly)
		byDay[k] = append(byDay[k], x)
	}
	for _, x := range all {
		t := x.Time.UTC()
		if n := len(out); n == 0 || out[n-1].Year != t.Year() {
			out = append(out, year{Year: t.Year()})
		}
		y := &out[len(out)-1]
		if n := len(y.Months); n == 0 || y.Months[n-1].Name != t.Month().String() {
			y.Months = append(y.Months, v.month(t, byDay))
		}
	}
	return out
}

// month lays a month out in weeks that begin on Monday.
func (v *visit) month(t time.Time, byDay map[string][]Capture) month {
	m := month{Name: t.Month().String()}
	first := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	for d := first; d.Month() == first.Month(); d = d.AddDate(0, 0, 1) {
		column := (int(d.Weekday()) + 6) % 7
		if len(m.Weeks) == 0 || column == 0 {
			m.Weeks = append(m.Weeks, [7]day{})
		}
		cell := day{Day: d.Day()}
		if on := byDay[d.Format(time.DateOnly)]; len(on) > 0 {
			cell.Replay = v.uriM(on[0])
			cell.Title = strconv.Itoa(len(on)) + " on " + d.Format("2 January 2006")
		}
		m.Weeks[len(m.Weeks)-1][column] = cell
	}
	return m
}

// html answers with a page, which may do nothing but look like this.
func (v *visit) html(status int, name string, data any) error { return render(v.w, status, name, data) }

func render(w http.ResponseWriter, status int, name string, data any) error {
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, data); err != nil {
		return salvor.Errorf(salvor.Internal, "make the page: %w", err)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.WriteHeader(status)
	_, err := w.Write(b.Bytes())
	return ignore(err)
}

func (v *visit) style() error {
	b, err := web.ReadFile("web/style.css")
	if err != nil {
		return salvor.Errorf(salvor.Internal, "%w", err)
	}
	v.w.Header().Set("Content-Type", "text/css")
	_, err = v.w.Write(b)
	return ignore(err)
}

// front lists the collections.
func (s *Server) front(w http.ResponseWriter, r *http.Request) error {
	p := struct {
		frame
		Collections []string
	}{frame: frame{Title: "Collections", Home: s.Prefix + "/", Root: s.Prefix + "/"}}
	for _, c := range s.Collections() {
		if s.May == nil || s.May(r, c) == nil {
			p.Collections = append(p.Collections, c.Name)
			p.Root = s.root(c.Name) // it has the style sheet
		}
	}
	return render(w, http.StatusOK, "front", p)
}
