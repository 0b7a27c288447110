// Package wacz writes WACZ files (Web Archive Collection Zipped, version 1.1.1 of the
// Webrecorder specification): a ZIP with WARC files, their index, a list of pages and
// a manifest of it all, that ReplayWeb.page opens without a server.
//
// It is for exports. It streams: nothing is held but the index and the list of pages
// of what was written. The WARC files are stored uncompressed in the ZIP, since their
// records are compressed one by one and are read by their offsets.
package wacz

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"time"

	"salvor"
	"salvor/warc/cdx"
)

// Version is that of the specification.
const Version = "1.1.1"

// About describes a package, for its readers.
type About struct {
	Title       string
	Description string
	Software    string
	Created     time.Time
	MainURL     string // the page to begin with; "" none
	MainDate    time.Time
}

// Page is an entry of the list of pages.
type Page struct {
	ID    string    `json:"id,omitempty"`
	URL   string    `json:"url"`
	Time  time.Time `json:"ts"`
	Title string    `json:"title,omitempty"`
}

// Writer writes one package.
type Writer struct {
	zip       *zip.Writer
	about     About
	resources []resource
}

// resource is one of datapackage.json (Frictionless Data Package).
type resource struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	Hash  string `json:"hash"`
	Bytes int64  `json:"bytes"`
}

// NewWriter writes to w. Close ends the package, not w.
func NewWriter(w io.Writer, about About) *Writer { return &Writer{zip: zip.NewWriter(w), about: about} }

// WARC begins a WARC file. Its bytes go to what is returned, until anything else of the
// Writer is called; then done is to be called.
func (w *Writer) WARC(name string) (out io.Writer, done func(), err error) {
	return w.begin(name, "archive/"+name, zip.Store)
}

func (w *Writer) begin(name, path string, method uint16) (io.Writer, func(), error) {
	out, err := w.zip.CreateHeader(&zip.FileHeader{Name: path, Method: method, Modified: w.about.Created})
	if err != nil {
		return nil, nil, salvor.Errorf(salvor.Internal, "begin %s: %w", path, err)
	}
	m := &measured{w: out, sum: sha256.New()}
	return m, func() {
		w.resources = append(w.resources, resource{name, path, "sha256:" + hex.EncodeToString(m.sum.Sum(nil)), m.n})
	}, nil
}

// measured knows what went through it.
type measured struct {
	w   io.Writer
	sum hash.Hash
	n   int64
}

func (m *measured) Write(b []byte) (int, error) {
	n, err := m.w.Write(b)
	m.sum.Write(b[:n])
	m.n += int64(n)
	return n, err
}

func (w *Writer) file(name, path string, content []byte) error {
	out, done, err := w.begin(name, path, zip.Deflate)
	if err != nil {
		return err
	}
	if _, err := out.Write(content); err != nil {
		return err
	}
	done()
	return nil
}

// Finish writes the index of all WARC files and the list of pages, and ends the
// package.
func (w *Writer) Finish(lines []cdx.Line, pages []Page) error {
	var index, list bytes.Buffer
	if err := cdx.Write(&index, lines); err != nil {
		return err
	}
	if err := w.file("index.cdx", "indexes/index.cdx", index.Bytes()); err != nil {
		return err
	}
	enc := json.NewEncoder(&list)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any{"format": "json-pages-1.0", "id": "pages", "title": "All pages", "hasText": false}); err != nil {
		return err
	}
	for _, p := range pages {
		if err := enc.Encode(p); err != nil {
			return err
		}
	}
	if err := w.file("pages.jsonl", "pages/pages.jsonl", list.Bytes()); err != nil {
		return err
	}
	return w.manifest()
}

// dataPackage is datapackage.json.
type dataPackage struct {
	Profile     string     `json:"profile"`
	Version     string     `json:"wacz_version"`
	Title       string     `json:"title,omitempty"`
	Description string     `json:"description,omitempty"`
	Created     string     `json:"created"`
	Software    string     `json:"software"`
	MainURL     string     `json:"mainPageUrl,omitempty"`
	MainDate    string     `json:"mainPageDate,omitempty"`
	Resources   []resource `json:"resources"`
}

func (w *Writer) manifest() error {
	d := dataPackage{
		Profile: "data-package", Version: Version, Title: w.about.Title, Description: w.about.Description,
		Created: w.about.Created.UTC().Format(time.RFC3339), Software: w.about.Software, MainURL: w.about.MainURL, Resources: w.resources,
	}
	if w.about.MainURL != "" {
		d.MainDate = w.about.MainDate.UTC().Format(time.RFC3339)
	}
	b, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	if err := w.file("datapackage.json", "datapackage.json", b); err != nil {
		return err
	}
	sum := sha256.Sum256(b)
	digest, err := json.Marshal(map[string]string{"path": "datapackage.json", "hash": "sha256:" + hex.EncodeToString(sum[:])})
	if err != nil {
		return err
	}
	if err := w.file("datapackage-digest.json", "datapackage-digest.json", digest); err != nil {
		return err
	}
	return w.zip.Close()
}
