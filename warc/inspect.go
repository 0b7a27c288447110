package warc

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"

	"salvor"
)

// inspection is what reading a record's block shows.
type inspection struct {
	http   bool // an HTTP message with a head
	head   headInfo
	status int

	whole  bool        // the block was read to its end
	err    error       // why not
	entity salvor.SHA1 // of the payload without transfer coding

	block       []byte // digests by the algorithms the header names
	raw, entire []byte // of the payload as it stands, and without transfer coding
}

var blockBuffers = sync.Pool{New: func() any { return bufio.NewReader(nil) }}

// inspect reads the block of a record to its end.
func inspect(rec *Record) (in inspection) {
	blockSum, _, _ := digestField(rec, "WARC-Block-Digest")
	payloadSum, _, _ := digestField(rec, "WARC-Payload-Digest")
	raw, entire, entity := same(payloadSum), same(payloadSum), sha1.New()
	var src io.Reader = rec.Block
	if blockSum != nil {
		src = io.TeeReader(src, blockSum)
	}
	br := blockBuffers.Get().(*bufio.Reader)
	br.Reset(src)
	defer blockBuffers.Put(br)
	in.readHead(rec, br)
	body := io.Reader(br)
	if raw != nil {
		body = io.TeeReader(br, raw)
	}
	out := io.Writer(entity)
	if entire != nil {
		out = io.MultiWriter(entity, entire)
	}
	if in.head.coding {
		io.Copy(out, httputil.NewChunkedReader(body)) // cut and bad chunking end it
		out = io.Discard
	}
	buf := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(buf)
	_, in.err = io.CopyBuffer(writerOnly{out}, readerOnly{body}, *buf)
	in.whole = in.err == nil
	in.entity = salvor.SHA1(entity.Sum(nil))
	in.block, in.raw, in.entire = sumOf(blockSum), sumOf(raw), sumOf(entire)
	return in
}

func same(h hash.Hash) hash.Hash {
	switch h.(type) {
	case nil:
		return nil
	}
	c, err := h.(hash.Cloner).Clone()
	if err != nil {
		return nil
	}
	return c
}

func sumOf(h hash.Hash) []byte {
	if h == nil {
		return nil
	}
	return h.Sum(nil)
}

// readHead takes an HTTP message's head off the block, if there is one; what
// was read of a head that does not end counts as head, too.
func (in *inspection) readHead(rec *Record, br *bufio.Reader) {
	ct := strings.ToLower(rec.Get("Content-Type"))
	if !strings.HasPrefix(ct, "application/http") {
		return
	}
	start, err := br.Peek(5)
	if err != nil || string(start) != "HTTP/" && !strings.Contains(ct, "request") {
		return
	}
	var head []byte
	for len(head) < maxHead {
		line, err := br.ReadSlice('\n')
		head = append(head, line...)
		if err == bufio.ErrBufferFull {
			continue
		}
		if err != nil {
			return
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
	}
	in.http = true
	in.head = parseHead(head)
	if f := strings.Fields(string(head[:min(len(head), 40)])); len(f) > 1 {
		in.status, _ = strconv.Atoi(f[1])
	}
	in.head.coding = in.head.coding && bytes.Contains(bytes.ToLower(head), []byte("chunked"))
}

// algorithms a digest may name.
var algorithms = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha-1": sha1.New, "sha256": sha256.New, "sha-256": sha256.New,
	"sha512": sha512.New, "sha-512": sha512.New,
}

// digestField reads a labelled digest (WARC 1.1, 5.8). No hash means that the
// field is missing, or names an algorithm that is not known; no want means
// that its value is not of the right length in any encoding.
func digestField(rec *Record, name string) (h hash.Hash, want []byte, value string) {
	value = rec.Get(name)
	alg, text, ok := strings.Cut(value, ":")
	mk := algorithms[strings.ToLower(alg)]
	if !ok || mk == nil {
		return nil, nil, value
	}
	h = mk()
	text = strings.TrimSpace(text)
	plain := strings.TrimRight(text, "=")
	for _, decode := range []func(string) ([]byte, error){
		func(string) ([]byte, error) { return hex.DecodeString(text) },
		func(string) ([]byte, error) {
			return base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(plain))
		},
		func(string) ([]byte, error) { return base64.RawStdEncoding.DecodeString(plain) },
		func(string) ([]byte, error) { return base64.RawURLEncoding.DecodeString(plain) },
	} {
		if b, err := decode(text); err == nil && len(b) == h.Size() {
			return h, b, value
		}
	}
	return h, nil, value
}

// payloadField is the WARC-Payload-Digest where it is a SHA-1.
func payloadField(rec *Record) (sum salvor.SHA1, ok bool) {
	_, want, _ := digestField(rec, "WARC-Payload-Digest")
	if len(want) != len(sum) {
		return sum, false
	}
	return salvor.SHA1(want), true
}
