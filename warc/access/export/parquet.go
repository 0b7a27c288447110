package export

import (
	"context"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"salvor/warc/access"
	"salvor/warc/cdx"
)

// parquetRow has the columns of Common Crawl's index
// (github.com/commoncrawl/cc-index-table), so that queries written for that run here.
type parquetRow struct {
	SURT      string    `parquet:"url_surtkey"`
	URL       string    `parquet:"url"`
	Host      string    `parquet:"url_host_name"`
	TLD       *string   `parquet:"url_host_tld,optional"`
	Domain    *string   `parquet:"url_host_registered_domain,optional"`
	Reversed  string    `parquet:"url_host_name_reversed"`
	Protocol  string    `parquet:"url_protocol"`
	Port      *int32    `parquet:"url_port,optional"`
	Path      string    `parquet:"url_path"`
	Query     *string   `parquet:"url_query,optional"`
	Time      time.Time `parquet:"fetch_time,timestamp(millisecond)"`
	Status    *int32    `parquet:"fetch_status,optional"`
	Redirect  *string   `parquet:"fetch_redirect,optional"`
	Digest    *string   `parquet:"content_digest,optional"`
	Mime      string    `parquet:"content_mime_type"`
	Detected  *string   `parquet:"content_mime_detected,optional"`
	Charset   *string   `parquet:"content_charset,optional"`
	Languages *string   `parquet:"content_languages,optional"`
	Truncated *string   `parquet:"content_truncated,optional"`
	File      string    `parquet:"warc_filename"`
	Offset    int64     `parquet:"warc_record_offset"`
	Length    int64     `parquet:"warc_record_length"`
	Segment   string    `parquet:"warc_segment"`
	Crawl     string    `parquet:"crawl"`
	Subset    string    `parquet:"subset"`
	RecordID  *string   `parquet:"warc_record_id,optional"` // ours
}

type parquetWriter struct {
	w     *parquet.GenericWriter[parquetRow]
	crawl string
	rows  []parquetRow
}

// parquetGroup is how many rows are written at once.
const parquetGroup = 1000

func newParquet(out io.Writer, crawl string) writer {
	return &parquetWriter{w: parquet.NewGenericWriter[parquetRow](out, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(1_000_000)), crawl: crawl}
}

func (w *parquetWriter) write(_ context.Context, x access.Capture) error {
	w.rows = append(w.rows, w.row(x))
	if len(w.rows) < parquetGroup {
		return nil
	}
	return w.flush()
}

func (w *parquetWriter) flush() error {
	_, err := w.w.Write(w.rows)
	w.rows = w.rows[:0]
	return err
}

func (w *parquetWriter) finish(context.Context) error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.w.Close()
}

func (w *parquetWriter) row(x access.Capture) parquetRow {
	r := parquetRow{
		SURT: cdx.SURT(x.URL), URL: x.URL, Time: x.Time.UTC(), Mime: x.Mime, Detected: some(x.Detected), Digest: some(x.Digest),
		File: x.Filename, Offset: x.Offset, Length: x.Length, Segment: x.Filename, Crawl: w.crawl, Subset: "warc", RecordID: some(x.ID),
	}
	if x.IsRevisit() {
		r.Subset = "revisit"
	}
	if n, err := strconv.ParseInt(x.Status, 10, 32); err == nil {
		v := int32(n)
		r.Status = &v
	}
	u, err := url.Parse(x.URL)
	if err != nil {
		return r
	}
	r.Host, r.Protocol, r.Path, r.Query = strings.ToLower(u.Hostname()), u.Scheme, u.EscapedPath(), some(u.RawQuery)
	r.Reversed, _, _ = strings.Cut(r.SURT, ")")
	r.Reversed = strings.ReplaceAll(r.Reversed, ",", ".")
	if n, err := strconv.ParseInt(u.Port(), 10, 32); err == nil {
		v := int32(n)
		r.Port = &v
	}
	domain, tld := siteOf(r.Host)
	r.Domain, r.TLD = some(domain), some(tld)
	return r
}

// some is a value that may be missing.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
