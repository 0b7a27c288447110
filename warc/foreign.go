package warc

import (
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nlnwa/gowarc"

	"salvor"
)

// What is rare is built by gowarc, with strict validation: warcinfo and
// resource records. What is frequent is packed by packer, and the tests read
// all of it back with gowarc's strict reader.

// builderLock stands round NewRecordBuilder: each call switches a global of
// google/uuid, which that package documents as unsafe (gowarc v1.6.0).
var builderLock sync.Mutex

// foreignField is one field of a record built by gowarc.
type foreignField struct{ name, value string }

// foreign builds a record with gowarc and packs it into p.buf.
func (p *packer) foreign(t gowarc.RecordType, id recordID, fields []foreignField, block []byte) error {
	for _, f := range fields {
		if err := checkValue(f.name, f.value); err != nil {
			return err
		}
	}
	builderLock.Lock()
	b := gowarc.NewRecordBuilder(t,
		gowarc.WithStrictValidation(),
		gowarc.WithVersion(gowarc.V1_1),
		gowarc.WithAddMissingRecordId(false),
		gowarc.WithAddMissingContentLength(true),
		gowarc.WithAddMissingDigest(false),
		gowarc.WithBufferTmpDir(os.TempDir()),
		gowarc.WithBufferMaxMemBytes(keepBuffer))
	builderLock.Unlock()
	b.AddWarcHeader(gowarc.WarcRecordID, id.String())
	for _, f := range fields {
		b.AddWarcHeader(f.name, f.value)
	}
	if _, err := b.Write(block); err != nil {
		return salvor.Errorf(salvor.Internal, "build %s record: %w", t, err)
	}
	rec, v, err := b.Build()
	if err != nil {
		return salvor.Errorf(salvor.Invalid, "build %s record: %w", t, err)
	}
	defer rec.Close()
	if v != nil && !v.Valid() {
		return salvor.Errorf(salvor.Invalid, "build %s record: %w", t, v)
	}
	return p.marshal(rec)
}

func (p *packer) marshal(rec gowarc.WarcRecord) error {
	p.buf = p.buf[:0]
	p.out = counter{w: buffer{p}}
	p.gz.Reset(&p.out)
	if _, _, err := gowarc.NewMarshaler().Marshal(p.gz, rec, 0); err != nil {
		return salvor.Errorf(salvor.Internal, "pack record: %w", err)
	}
	return p.gz.Close()
}

// warcinfo packs a segment's first record (WARC 1.1, 6.2).
func (p *packer) warcinfo(id recordID, name string, at time.Time, w Warcinfo) error {
	block := w.block()
	return p.foreign(gowarc.Warcinfo, id, []foreignField{
		{gowarc.WarcDate, string(appendDate(nil, at))},
		{gowarc.WarcFilename, name},
		{gowarc.ContentType, gowarc.ApplicationWarcFields},
		{gowarc.WarcBlockDigest, sha256Text(block)},
	}, block)
}

func (w Warcinfo) block() []byte {
	var b []byte
	for _, f := range [][2]string{
		{"software", w.Software},
		{"format", "WARC File Format 1.1"},
		{"conformsTo", "http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/"},
		{"operator", w.Operator},
		{"hostname", w.Hostname},
		{"isPartOf", w.IsPartOf},
		{"description", w.Description},
		{"robots", w.Robots},
		{"http-header-user-agent", w.UserAgent},
		{"scope", w.Scope},
		{"settings", w.Settings},
	} {
		b = appendField(b, f[0], f[1])
	}
	for _, s := range w.Seeds {
		b = appendField(b, "seed", s)
	}
	for _, f := range w.Fields {
		if name := fieldName(f[0]); name != "" {
			b = appendField(b, name, f[1])
		}
	}
	return b
}

// fieldName makes a token of an operator's field name.
func fieldName(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && isTokenByte(byte(r)) {
			return r
		}
		return '-'
	}, strings.TrimSpace(s))
}

// resource packs a log, a report or the like.
func (p *packer) resource(info recordID, uri, contentType string, at time.Time, block []byte) error {
	if err := checkURI(uri); err != nil {
		return err
	}
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	return p.foreign(gowarc.Resource, newRecordID(p.rng), []foreignField{
		{gowarc.WarcDate, string(appendDate(nil, at))},
		{gowarc.WarcTargetURI, uri},
		{gowarc.WarcWarcinfoID, info.String()},
		{gowarc.ContentType, contentType},
		{gowarc.WarcBlockDigest, sha256Text(block)},
		{gowarc.WarcPayloadDigest, sha1Text(block)},
	}, block)
}
