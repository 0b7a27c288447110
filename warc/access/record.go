package access

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"salvor"
)

// ByRecord finds a capture by the id of its record, urn:uuid:...
func (c *Collection) ByRecord(_ context.Context, id string) (Capture, error) {
	e, ok, err := c.Index.Record(id)
	if err != nil {
		return Capture{}, err
	}
	if ok {
		if x, good := capture(e); good {
			return x, nil
		}
	}
	return Capture{}, salvor.Errorf(salvor.NotFound, "there is no record %.80s", id).
		WithHint("only responses, revisits and resources are listed by their id, and only in indexes that have it: those of before November 2026 have none")
}

// bears refuses a record that has another id than its index says.
func (c *Collection) bears(ctx context.Context, x Capture, id string) error {
	content, err := c.open(ctx, x)
	if err != nil {
		return err
	}
	defer content.Close()
	if got := strings.Trim(get(content.Record, "WARC-Record-ID"), "<>"); !strings.EqualFold(strings.TrimPrefix(got, "urn:uuid:"), strings.TrimPrefix(id, "urn:uuid:")) {
		return salvor.Errorf(salvor.NotFound, "the record that the index has for %.80s is another, %.80s", id, got).WithHint("the index of %s is wrong: salvor verify says where", x.Filename)
	}
	return nil
}

// PWID is a capture's persistent web identifier (draft-pwid-urn-specification): the
// archive that keeps it, when it was captured, how much is meant, and the address.
func PWID(archive string, x Capture) string {
	return "urn:pwid:" + archive + ":" + x.Time.UTC().Format(time.RFC3339) + ":part:" + x.URL
}

// record answers a record as it is stored, by its id.
func (v *visit) record(rest string) error {
	id, _, _ := strings.Cut(rest, "?")
	id, err := url.PathUnescape(strings.Trim(id, "<>"))
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "%.80q is no record id", rest)
	}
	x, err := v.c.ByRecord(v.ctx(), id)
	if err != nil {
		return err
	}
	if wantsPage(v.r) {
		v.w.Header().Set("Location", v.uriM(x))
		v.w.WriteHeader(http.StatusFound)
		return nil
	}
	if err := v.c.bears(v.ctx(), x, id); err != nil {
		return err
	}
	r, _, err := v.c.OpenSegment(v.ctx(), x.Filename, x.Offset, cmpLength(x.Length))
	if err != nil {
		return err
	}
	defer r.Close()
	h := v.w.Header()
	h.Set("Content-Type", "application/warc")
	h.Set("Content-Disposition", `attachment; filename="`+strings.TrimPrefix(x.ID, "urn:uuid:")+`.warc.gz"`)
	v.cors()
	h.Set("Link", links{}.memento(v.uriM(x), "memento", x.Time).add(v.base+"warc/"+x.Filename, "collection", "application/warc").String())
	if x.Length > 0 {
		h.Set("Content-Length", strconv.FormatInt(x.Length, 10))
	}
	h.Set("Memento-Datetime", x.Time.UTC().Format(http.TimeFormat))
	return v.copyOut(r)
}

// wantsPage tells a browser, which is led to the replay, from a tool.
func wantsPage(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "text/html")
}
