package frontier

import (
	"encoding/binary"

	"salvor"
)

// The key layout (protocol 8). Numbers are big-endian, so that the order of
// keys is the order of what they mean. Hosts are numbered in the order they
// are first seen, which keeps keys short. Every value begins with a version
// byte.
//
//	m                                    applied index, clock, next numbers
//	c crawl                              crawl and its counters
//	t crawl kind ...                     counts by media type, status, reason
//	b name                               budget of a group of merged hosts
//	h host                               name and budget of a host
//	x crawl host                         counters and lanes of a host's queue
//	u crawl host key                     an item
//	q crawl host band lane seq           a queued item's key, in queue order
//	r due crawl host key                 a waiting item
//	n crawl outcome host key             a settled item that is not saved
//	d crawl host key segment offset      a capture that is not its item's outcome
//	o crawl host origin                  robots rules
//	k crawl host origin                  an origin whose robots.txt item is known
//	l lease                              a lease and its open items
//	s session                            a session, and what it lost to others
//	a session slot                       a remembered answer of a session
//	g segment                            a row of the segment table
//	y length table key                   a record of the registry
const (
	tagMeta    = 'm'
	tagCrawl   = 'c'
	tagStat    = 't'
	tagGroup   = 'b'
	tagHost    = 'h'
	tagQueue   = 'x'
	tagItem    = 'u'
	tagQueued  = 'q'
	tagWaiting = 'r'
	tagUnsaved = 'n'
	tagCapture = 'd'
	tagRobots  = 'o'
	tagOrigin  = 'k'
	tagLease   = 'l'
	tagSession = 's'
	tagAnswer  = 'a'
	tagSegment = 'g'
	tagRecord  = 'y'
)

// itemID addresses an item in the state.
type itemID struct {
	crawl salvor.CrawlID
	host  uint32
	key   salvor.Key
}

func key32(dst []byte, tag byte, v uint32) []byte {
	return binary.BigEndian.AppendUint32(append(dst, tag), v)
}

func key64(dst []byte, tag byte, v uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, tag), v)
}

func keyQueue(dst []byte, tag byte, c salvor.CrawlID, host uint32) []byte {
	return binary.BigEndian.AppendUint32(key32(dst, tag, uint32(c)), host)
}

func keyItem(dst []byte, id itemID) []byte {
	return append(keyQueue(dst, tagItem, id.crawl, id.host), id.key[:]...)
}

const lenItem = 1 + 4 + 4 + 16

// parseItem reads a key of items or, from its crawl on, any key that ends in
// host and item key.
func parseItem(k []byte) (id itemID, ok bool) {
	if len(k) != lenItem {
		return id, false
	}
	id.crawl = salvor.CrawlID(binary.BigEndian.Uint32(k[1:]))
	id.host = binary.BigEndian.Uint32(k[5:])
	copy(id.key[:], k[9:])
	return id, true
}

func keyLane(dst []byte, c salvor.CrawlID, host uint32, band salvor.Band, front uint8) []byte {
	return append(keyQueue(dst, tagQueued, c, host), byte(band), front)
}

func keyQueued(dst []byte, c salvor.CrawlID, host uint32, band salvor.Band, front uint8, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(keyLane(dst, c, host, band, front), seq)
}

func seqOf(k []byte) uint64 { return binary.BigEndian.Uint64(k[len(k)-8:]) }

func keyWaiting(dst []byte, due int64, id itemID) []byte {
	dst = key64(dst, tagWaiting, uint64(due))
	dst = binary.BigEndian.AppendUint32(dst, uint32(id.crawl))
	dst = binary.BigEndian.AppendUint32(dst, id.host)
	return append(dst, id.key[:]...)
}

func parseWaiting(k []byte) (due int64, id itemID) {
	due = int64(binary.BigEndian.Uint64(k[1:]))
	id.crawl = salvor.CrawlID(binary.BigEndian.Uint32(k[9:]))
	id.host = binary.BigEndian.Uint32(k[13:])
	copy(id.key[:], k[17:])
	return due, id
}

func keyUnsavedHost(dst []byte, c salvor.CrawlID, o salvor.Outcome, host uint32) []byte {
	return binary.BigEndian.AppendUint32(append(key32(dst, tagUnsaved, uint32(c)), byte(o)), host)
}

func keyUnsaved(dst []byte, o salvor.Outcome, id itemID) []byte {
	return append(keyUnsavedHost(dst, id.crawl, o, id.host), id.key[:]...)
}

func parseUnsaved(k []byte) (o salvor.Outcome, id itemID) {
	id.crawl = salvor.CrawlID(binary.BigEndian.Uint32(k[1:]))
	id.host = binary.BigEndian.Uint32(k[6:])
	copy(id.key[:], k[10:])
	return salvor.Outcome(k[5]), id
}

func keyCapture(dst []byte, id itemID, p salvor.Place) []byte {
	dst = append(keyQueue(dst, tagCapture, id.crawl, id.host), id.key[:]...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.Segment))
	return binary.BigEndian.AppendUint64(dst, uint64(p.Offset))
}

func keyOrigin(dst []byte, c salvor.CrawlID, host uint32, origin string) []byte {
	return append(keyQueue(dst, tagOrigin, c, host), origin...)
}

func keyAnswer(dst []byte, s salvor.SessionID, slot uint16) []byte {
	return binary.BigEndian.AppendUint16(key64(dst, tagAnswer, uint64(s)), slot)
}

func keyGroup(dst []byte, name string) []byte { return append(append(dst, tagGroup), name...) }

func keyTable(dst []byte, table string) []byte {
	return append(append(dst, tagRecord, byte(len(table))), table...)
}

func keyRecord(dst []byte, table, key string) []byte { return append(keyTable(dst, table), key...) }

// after is the smallest key above every key with this prefix.
func after(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
