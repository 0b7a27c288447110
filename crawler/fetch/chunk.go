package fetch

// chunkParser takes the chunked coding (RFC 9112 7.1) off a body as it comes,
// in pieces of any size and without a buffer of its own.
type chunkParser struct {
	state  chunkState
	size   int64 // being read, then what is left of the chunk
	digits int
	line   int // bytes of the line, or of all trailers
	any    bool
	notes  []string
}

type chunkState uint8

const (
	chunkSizeLine   chunkState = iota // before or in the size
	chunkAfterSize                    // blanks after the size
	chunkExtension                    // after the semicolon
	chunkSizeLF                       // LF must follow
	chunkData                         // the entity's bytes
	chunkDataEnd                      // CR or LF must follow
	chunkDataLF                       // LF must follow
	chunkTrailer                      // at the begin of a trailer line, after the last chunk
	chunkTrailerCR                    // CR at the begin of a line
	chunkTrailerTxt                   // in a trailer line
	chunkDone
	chunkBad
)

const (
	maxChunkLine = 16 << 10
	maxTrailers  = 64 << 10
)

// next consumes the first n bytes of p, of which data, if any, belongs to the
// entity. It consumes nothing once the state is chunkDone or chunkBad.
func (c *chunkParser) next(p []byte) (n int, data []byte) {
	for n < len(p) {
		switch c.state {
		case chunkDone, chunkBad:
			return n, nil
		case chunkData:
			m := int(min(int64(len(p)-n), c.size))
			if c.size -= int64(m); c.size == 0 {
				c.state = chunkDataEnd
			}
			return n + m, p[n : n+m]
		}
		c.step(p[n])
		if c.state != chunkBad {
			n++
		}
	}
	return n, nil
}

// lastSeen reports whether the chunk of size zero was read.
func (c *chunkParser) lastSeen() bool {
	return c.state >= chunkTrailer && c.state <= chunkDone
}

// bad reports bytes that are no chunked coding.
func (c *chunkParser) bad() bool { return c.state == chunkBad }

func (c *chunkParser) note(s string) {
	for _, n := range c.notes {
		if n == s {
			return
		}
	}
	c.notes = append(c.notes, s)
}

// step takes one byte outside of chunk data.
func (c *chunkParser) step(b byte) {
	switch c.state {
	case chunkSizeLine:
		c.stepSize(b)
	case chunkAfterSize:
		c.stepAfterSize(b)
	case chunkExtension:
		if c.line++; b == '\n' {
			c.endSize()
		} else if c.line > maxChunkLine {
			c.state = chunkBad
		}
	case chunkSizeLF:
		c.expectLF(b, c.endSize)
	case chunkDataEnd:
		c.stepDataEnd(b)
	case chunkDataLF:
		c.expectLF(b, c.newChunk)
	default:
		c.stepTrailer(b)
	}
}

func (c *chunkParser) stepSize(b byte) {
	if d := unhex(b); d >= 0 {
		if c.digits++; c.size > 1<<56 {
			c.state = chunkBad // no body is that long
			return
		}
		c.size = c.size<<4 | int64(d)
		return
	}
	if c.digits > 0 {
		c.state = chunkAfterSize
		c.stepAfterSize(b)
		return
	}
	// Blanks before the size, and line ends after a chunk that was counted
	// short: a first chunk begins with neither.
	if c.any && (b == '\r' || b == '\n' || b == ' ' || b == '\t') && c.line < 64 {
		c.line++
		c.note("blanks before a chunk size")
		return
	}
	c.state = chunkBad
}

func (c *chunkParser) stepAfterSize(b byte) {
	switch b {
	case ' ', '\t':
		if c.line++; c.line > maxChunkLine {
			c.state = chunkBad
		}
	case ';':
		c.state = chunkExtension
	case '\r':
		c.state = chunkSizeLF
	case '\n':
		c.note("bare LF in chunked coding")
		c.endSize()
	default:
		c.state = chunkBad
	}
}

func (c *chunkParser) expectLF(b byte, then func()) {
	if b != '\n' {
		c.state = chunkBad
		return
	}
	then()
}

// endSize begins what the size announces.
func (c *chunkParser) endSize() {
	c.any, c.line = true, 0
	if c.state = chunkData; c.size == 0 {
		c.state = chunkTrailer
	}
}

func (c *chunkParser) newChunk() {
	c.state, c.size, c.digits, c.line = chunkSizeLine, 0, 0, 0
}

func (c *chunkParser) stepDataEnd(b byte) {
	switch b {
	case '\r':
		c.state = chunkDataLF
	case '\n':
		c.note("bare LF in chunked coding")
		c.newChunk()
	default:
		c.state = chunkBad
	}
}

func (c *chunkParser) stepTrailer(b byte) {
	if c.line++; c.line > maxTrailers {
		c.state = chunkBad
		return
	}
	switch {
	case b == '\n' && c.state == chunkTrailerTxt:
		c.state = chunkTrailer
	case b == '\n':
		c.state = chunkDone
	case b == '\r' && c.state == chunkTrailer:
		c.state = chunkTrailerCR
	default:
		c.state = chunkTrailerTxt
	}
}

func unhex(b byte) int {
	switch {
	case b >= '0' && b <= '9':
		return int(b - '0')
	case b >= 'a' && b <= 'f':
		return int(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}
