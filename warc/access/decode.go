package access

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"salvor"
)

// Decoded is the body without its content codings.
func (c *Content) Decoded() (io.Reader, error) { return decoded(c.Body, c.Get("Content-Encoding")) }

// mostCodings bounds how many codings are undone: each costs memory and time.
const mostCodings = 4

// decoded is a body without its content codings (RFC 9110, 8.4). What names a coding
// and does not have it comes as it is. Invalid for a coding that is not known.
func decoded(body io.Reader, codings string) (io.Reader, error) {
	list := strings.SplitN(codings, ",", mostCodings+1)
	if len(list) > mostCodings {
		return nil, salvor.Errorf(salvor.Invalid, "the body has more than %d content codings", mostCodings)
	}
	for i := len(list) - 1; i >= 0; i-- {
		var err error
		if body, err = decodedOnce(body, strings.ToLower(strings.TrimSpace(list[i]))); err != nil {
			return nil, err
		}
	}
	return body, nil
}

func decodedOnce(body io.Reader, coding string) (io.Reader, error) {
	br := bufio.NewReader(body)
	start, _ := br.Peek(2)
	switch coding {
	case "", "identity", "none":
		return br, nil
	case "gzip", "x-gzip":
		if len(start) < 2 || start[0] != 0x1f || start[1] != 0x8b {
			return br, nil
		}
		return gzip.NewReader(br)
	case "deflate": // with zlib's head, or, as some servers have it, without
		if len(start) == 2 && start[0]&0x0f == 8 && (uint(start[0])<<8|uint(start[1]))%31 == 0 {
			return zlib.NewReader(br)
		}
		return flate.NewReader(br), nil
	case "br":
		return brotli.NewReader(br), nil
	case "zstd":
		d, err := zstd.NewReader(br, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, err
		}
		return d.IOReadCloser(), nil
	}
	return nil, salvor.Errorf(salvor.Invalid, "the content coding %.40q is not known", coding)
}
