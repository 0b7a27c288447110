package export

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/publicsuffix"

	"salvor/warc/access"
)

// Row is a capture in NDJSON and CSV: docs/researchers.md names the columns.
type Row struct {
	URL      string `json:"url"`
	Time     string `json:"time"` // of the capture, RFC 3339, UTC
	Host     string `json:"host"`
	Status   int    `json:"status,omitempty"`
	Mime     string `json:"mime"`
	Detected string `json:"mime_detected,omitempty"`
	Digest   string `json:"digest,omitempty"` // SHA-1 of the payload, base32
	Revisit  bool   `json:"revisit"`
	File     string `json:"file"`
	Offset   int64  `json:"offset"`
	Length   int64  `json:"length"` // stored
	Record   string `json:"record,omitempty"`
}

var columns = []string{"url", "time", "host", "status", "mime", "mime_detected", "digest", "revisit", "file", "offset", "length", "record"}

func rowOf(x access.Capture) Row {
	status, _ := strconv.Atoi(x.Status)
	return Row{
		URL: x.URL, Time: x.Time.UTC().Format(time.RFC3339), Host: hostOf(x.URL), Status: status, Mime: x.Mime, Detected: x.Detected, Digest: x.Digest,
		Revisit: x.IsRevisit(), File: x.Filename, Offset: x.Offset, Length: x.Length, Record: x.ID,
	}
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// siteOf is the registered domain, and the last label, of a host.
func siteOf(host string) (domain, tld string) {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return "", ""
	}
	return domain, host[strings.LastIndexByte(host, '.')+1:]
}

// lineEncoder writes JSON, a value a line.
type lineEncoder struct {
	*json.Encoder
	bw *bufio.Writer
}

func encoder(out io.Writer) lineEncoder {
	bw := bufio.NewWriterSize(out, 64<<10)
	enc := json.NewEncoder(bw)
	enc.SetEscapeHTML(false)
	return lineEncoder{enc, bw}
}

type rows struct{ lineEncoder }

func newRows(out io.Writer) writer { return &rows{encoder(out)} }

func (w *rows) write(_ context.Context, x access.Capture) error { return w.Encode(rowOf(x)) }
func (w *rows) finish(context.Context) error                    { return w.bw.Flush() }

type csvWriter struct {
	w     *csv.Writer
	begun bool
}

func newCSV(out io.Writer) writer { return &csvWriter{w: csv.NewWriter(out)} }

func (w *csvWriter) head() error {
	if w.begun {
		return nil
	}
	w.begun = true
	return w.w.Write(columns)
}

func (w *csvWriter) write(_ context.Context, x access.Capture) error {
	if err := w.head(); err != nil {
		return err
	}
	r := rowOf(x)
	status := ""
	if r.Status != 0 {
		status = strconv.Itoa(r.Status)
	}
	return w.w.Write([]string{
		harmless(r.URL), r.Time, r.Host, status, harmless(r.Mime), harmless(r.Detected), r.Digest, strconv.FormatBool(r.Revisit), r.File,
		strconv.FormatInt(r.Offset, 10), strconv.FormatInt(r.Length, 10), r.Record,
	})
}

// harmless keeps a spreadsheet from taking a text from the network for a formula.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func (w *csvWriter) finish(context.Context) error {
	if err := w.head(); err != nil {
		return err
	}
	w.w.Flush()
	return w.w.Error()
}
