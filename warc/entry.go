package warc

import (
	"crypto/sha1"
	"strconv"
	"strings"
	"time"

	"salvor"
	"salvor/warc/cdx"
)

// emptySHA1 is the payload digest of nothing, which indexers write for a
// response without a body.
var emptySHA1 = salvor.SHA1(sha1.Sum(nil))

// entry is the journal's view of a packed exchange. What the caller left out
// of its Entry is taken from the exchange.
func (e *Exchange) entry(l *layout) *journalEntry {
	j := &journalEntry{Kind: kindExchange, Resp: l.resp, Meta: l.meta, Entry: e.Journal}
	en := &j.Entry
	setDefault(&en.URL, e.URL)
	setDefault(&en.Status, e.Status)
	setDefault(&en.Bytes, e.Response.Size())
	setDefault(&en.Type, e.Type)
	setDefault(&en.At, e.Begin.UnixMilli())
	if e.HasPayload {
		setDefault(&en.Digest, e.PayloadDigest)
	}
	if j.CDX = e.cdx(l); en.URL == e.URL {
		j.CDX.URL = ""
	}
	return j
}

// cdx is what the index will say, in pywb's terms.
func (e *Exchange) cdx(l *layout) cdxInfo {
	c := cdxInfo{
		Index:    e.Response.Size() > 0,
		Revisit:  l.revisit,
		HTTP:     l.form >= formLoose || l.form == formNone && e.Status > 0,
		Original: l.hasPD && !l.revisit && l.form == formStrict,
		URL:      e.URL,
		Mime:     l.mime,
		Detected: mediaType(e.Type),
		At:       e.Begin.UnixMilli(),
		ID:       l.id,
	}
	switch {
	case l.revisit:
		c.Mime, c.Detected = "warc/revisit", ""
	case l.form == formNone:
		c.Mime = "application/octet-stream"
	case l.form == formBare:
		c.Mime = c.Detected
		setDefault(&c.Mime, "application/octet-stream")
	}
	setDefault(&c.Mime, "unk")
	c.Digest, c.HasSum = e.PayloadDigest, e.HasPayload && e.PayloadDigest != salvor.SHA1{}
	if !c.HasSum && c.HTTP && e.Response.Size() == int64(e.HeadLen) {
		c.Digest, c.HasSum = emptySHA1, true
	}
	return c
}

func resourceEntry(uri, contentType string, at time.Time, block []byte, size int) *journalEntry {
	setDefault(&contentType, "application/octet-stream")
	return &journalEntry{Kind: kindRecord, Resp: int64(size), CDX: cdxInfo{
		Index: true, URL: uri, Mime: declaredType([]byte(contentType)), At: at.UnixMilli(),
		Digest: sha1.Sum(block), HasSum: true,
	}}
}

// line makes the index line of a journal entry.
func (e *journalEntry) line(filename string) cdx.Line {
	c := e.CDX
	setDefault(&c.URL, e.Entry.URL)
	at := time.UnixMilli(c.At).UTC()
	l := cdx.Line{
		Key:       cdx.SURT(c.URL),
		Timestamp: at.Format("20060102150405"),
		URL:       c.URL,
		Mime:      c.Mime,
		Detected:  c.Detected,
		Offset:    e.Start,
		Length:    e.Resp,
		Filename:  filename,
	}
	if c.HasSum {
		l.Digest = c.Digest.String()
	}
	setDefault(&c.Status, e.Entry.Status)
	if c.HTTP && !c.Revisit && c.Status > 0 {
		l.Status = strconv.Itoa(c.Status)
	}
	if c.Original {
		l.Date = string(appendDate(nil, at))
	}
	if c.ID != (recordID{}) {
		l.ID = strings.Trim(c.ID.String(), "<>")
	}
	return l
}
