package access

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"

	"salvor"
	"salvor/warc"
	"salvor/warc/manifest"
)

// webdata is an answer of WASAPI's /webdata (Web Archiving Systems API, version 1.0): the
// WARC files that a partner may take, and what they must be.
type webdata struct {
	Count    int       `json:"count"`
	Next     *string   `json:"next"`
	Previous *string   `json:"previous"`
	Extra    bool      `json:"includes-extra"`
	Files    []wasFile `json:"files"`
}

type wasFile struct {
	Name       string            `json:"filename"`
	Type       string            `json:"filetype"`
	Checksums  map[string]string `json:"checksums"`
	Size       int64             `json:"size"`
	Collection string            `json:"collection"`
	Locations  []string          `json:"locations"`
}

const (
	wasPage     = 100
	mostWasPage = 2000
)

// wasapi lists the WARC files, for those who harvest them (GET
// /COLL/wasapi/v1/webdata?filename=PATTERN&page=N&page_size=N).
func (v *visit) wasapi(raw string) error {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "the query %.80q cannot be read", raw)
	}
	r := reader{v: values}
	page, size := max(r.number("page", 1), 1), r.number("page_size", 1)
	if size == 0 {
		size = wasPage
	}
	size = min(size, mostWasPage)
	if r.err != nil {
		return r.err
	}
	var names []string
	for name := range v.c.Index.Segments(v.ctx()) {
		if p := values.Get("filename"); p != "" {
			if ok, err := path.Match(p, name); err != nil {
				return salvor.Errorf(salvor.Invalid, "filename %.80q is no pattern", p).WithHint("* stands for any text, ? for a character")
			} else if !ok {
				continue
			}
		}
		names = append(names, name)
	}
	slices.Sort(names)
	out := webdata{Count: len(names), Files: []wasFile{}}
	link := func(n int) *string {
		q := url.Values{}
		for k, l := range values {
			q[k] = l
		}
		q.Set("page", strconv.Itoa(n))
		s := v.base + "wasapi/v1/webdata?" + q.Encode()
		return &s
	}
	if page > 1 {
		out.Previous = link(page - 1)
	}
	from := min((page-1)*size, len(names))
	to := min(from+size, len(names))
	if to < len(names) {
		out.Next = link(page + 1)
	}
	sums, err := manifest.Read(v.ctx(), v.c.Store)
	if err != nil {
		return err
	}
	for _, name := range names[from:to] {
		f, err := v.wasFile(name, sums)
		if err != nil {
			return err
		}
		out.Files = append(out.Files, f)
	}
	v.w.Header().Set("Content-Type", "application/json")
	v.w.WriteHeader(http.StatusOK)
	return ignore(json.NewEncoder(v.w).Encode(out))
}

// wasFile describes a file; its digest is that of the manifest, where one has it.
func (v *visit) wasFile(name string, sums map[string][32]byte) (wasFile, error) {
	p, err := v.c.place(v.ctx(), name)
	if err != nil {
		return wasFile{}, err
	}
	f := wasFile{Name: name, Type: "warc", Checksums: map[string]string{}, Size: p.bytes, Collection: v.c.Name, Locations: []string{v.base + "warc/" + name}}
	if sum, ok := sums[warc.Key(name)]; ok {
		f.Checksums["sha256"] = hex.EncodeToString(sum[:])
	}
	return f, nil
}
