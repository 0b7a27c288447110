package access

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"salvor"
)

// The names of RFC 7089 are used: URI-R is the original, URI-M a memento (a capture),
// URI-G the TimeGate, URI-T the TimeMap.

func (v *visit) uriM(x Capture) string {
	return v.base + x.Time.UTC().Format(stamp) + "/" + percented(x.URL)
}
func (v *visit) uriG(url string) string { return v.base + "timegate/" + percented(url) }
func (v *visit) uriT(form, url string) string {
	return v.base + "timemap/" + form + "/" + percented(url)
}

// timegate leads to the capture nearest to Accept-Datetime, or to the newest (RFC
// 7089, 4.1).
func (v *visit) timegate(rest string) error {
	url, err := target(rest)
	if err != nil {
		return err
	}
	h := v.w.Header()
	h.Set("Vary", "accept-datetime")
	at := time.Now()
	if s := v.r.Header.Get("Accept-Datetime"); s != "" {
		if at, err = http.ParseTime(s); err != nil {
			return salvor.Errorf(salvor.Invalid, "Accept-Datetime is %.60q", s).WithHint("write it as HTTP dates are: Thu, 26 Nov 2026 12:00:00 GMT")
		}
	}
	x, ok, err := v.closest(url, at)
	if err != nil {
		return err
	}
	h.Set("Link", links{}.add(url, "original", "").add(v.uriG(url), "timegate", "").add(v.uriT("link", url), "timemap", linkFormat).String())
	if !ok {
		return notCaptured(url)
	}
	h.Set("Location", v.uriM(x))
	v.cors()
	v.w.WriteHeader(http.StatusFound)
	return nil
}

func notCaptured(url string) error {
	return salvor.Errorf(salvor.NotFound, "there is no capture of %.300s", url).
		WithHint("the address may be written in another way: cdx?url=...&matchType=prefix lists what is near; not-saved.tsv says why it was not saved")
}

const linkFormat = "application/link-format"

// links is the value of a Link field (RFC 8288).
type links []string

func (l links) add(uri, rel, kind string) links {
	s := "<" + linkable.Replace(uri) + `>; rel="` + rel + `"`
	if kind != "" {
		s += `; type="` + kind + `"`
	}
	return append(l, s)
}

func (l links) memento(uri, rel string, at time.Time) links {
	return append(l, "<"+linkable.Replace(uri)+`>; rel="`+rel+`"; datetime="`+at.UTC().Format(http.TimeFormat)+`"`)
}

func (l links) String() string { return strings.Join(l, ", ") }

// linkable escapes what would end a link.
var linkable = strings.NewReplacer("<", "%3C", ">", "%3E", "\r", "%0D", "\n", "%0A", " ", "%20")

// mostMementos bounds a TimeMap. Of more, those between are left out of none: the
// answer says so with an error, and the CDX server pages.
const mostMementos = 100_000

func (v *visit) timemap(rest string) error {
	form, more, _ := strings.Cut(rest, "/")
	if form != "link" && form != "json" && form != "cdxj" { // the form may be left out
		form, more = "link", rest
	}
	uri, err := target(more)
	if err != nil {
		return err
	}
	if form == "cdxj" {
		return v.cdx("url="+url.QueryEscape(uri), pywb)
	}
	var all []Capture
	if err := v.c.Captures(v.ctx(), uri, func(x Capture) bool {
		all = append(all, x)
		return len(all) <= mostMementos
	}); err != nil {
		return err
	}
	if len(all) == 0 {
		return notCaptured(uri)
	}
	if len(all) > mostMementos {
		return salvor.Errorf(salvor.Exhausted, "there are more than %d captures of %.300s", mostMementos, uri).WithHint("ask the CDX server, with from and to: cdx?url=...")
	}
	v.cors()
	if form == "json" {
		return v.timemapJSON(uri, all)
	}
	return v.timemapLink(uri, all)
}

func (v *visit) timemapLink(uri string, all []Capture) error {
	v.w.Header().Set("Content-Type", linkFormat)
	from, until := all[0].Time, all[len(all)-1].Time
	l := links{}.add(uri, "original", "").add(v.uriG(uri), "timegate", "")
	l = append(l, fmt.Sprintf(`<%s>; rel="self"; type="%s"; from="%s"; until="%s"`, linkable.Replace(v.uriT("link", uri)), linkFormat,
		from.UTC().Format(http.TimeFormat), until.UTC().Format(http.TimeFormat)))
	for i, x := range all {
		l = l.memento(v.uriM(x), relOf(i, len(all)), x.Time)
	}
	_, err := fmt.Fprintln(v.w, strings.Join(l, ",\n"))
	return ignore(err)
}

func relOf(i, n int) string {
	switch {
	case n == 1:
		return "first last memento"
	case i == 0:
		return "first memento"
	case i == n-1:
		return "last memento"
	}
	return "memento"
}

type mementoJSON struct {
	Datetime string `json:"datetime"`
	URI      string `json:"uri"`
}

func (v *visit) timemapJSON(uri string, all []Capture) error {
	v.w.Header().Set("Content-Type", "application/json")
	list := make([]mementoJSON, len(all))
	for i, x := range all {
		list[i] = mementoJSON{x.Time.UTC().Format(time.RFC3339), v.uriM(x)}
	}
	return ignore(json.NewEncoder(v.w).Encode(map[string]any{
		"original_uri": uri, "self": v.uriT("json", uri), "timegate_uri": v.uriG(uri),
		"timemap_uri": map[string]string{"link_format": v.uriT("link", uri), "json_format": v.uriT("json", uri), "cdxj_format": v.uriT("cdxj", uri)},
		"mementos":    map[string]any{"list": list, "first": list[0], "last": list[len(list)-1]},
	}))
}
