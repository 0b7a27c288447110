package warc

import (
	"context"
	"time"
)

// WriteResource appends a resource record, such as a log or a report.
func (p *Pool) WriteResource(ctx context.Context, uri, contentType string, body []byte) error {
	now := p.c.Now()
	return p.record(ctx, uri, contentType, now, body, func(pk *packer, info recordID) error {
		return pk.resource(info, uri, contentType, now, body)
	})
}

// WriteDNS appends a resolution as a resource record of dns:host (RFC 4501,
// WARC 1.1 6.4.3).
func (p *Pool) WriteDNS(ctx context.Context, host string, at time.Time, server, answers string) error {
	return p.record(ctx, "dns:"+host, "text/dns", at, []byte(answers), func(pk *packer, info recordID) error {
		return pk.dns(host, at, server, answers, info)
	})
}

// record appends a record that nobody settles.
func (p *Pool) record(ctx context.Context, uri, contentType string, at time.Time, block []byte, pack func(*packer, recordID) error) error {
	pk := p.packs.get()
	defer p.packs.put(pk)
	var packed *segment
	for ok := false; !ok; {
		s, err := p.pick(ctx)
		if err != nil {
			return err
		}
		if s != packed {
			if err := pack(pk, s.info); err != nil {
				return err
			}
			packed = s
		}
		if err := p.withSegment(ctx, s, int64(len(pk.buf)), func() error {
			ok = true
			_, err := s.append(pk.buf, resourceEntry(uri, contentType, at, block, len(pk.buf)))
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
