package frontier

import (
	"encoding/binary"

	"salvor"
)

// writer appends the primitive forms that commands and records are made of:
// varints, length-prefixed strings, fixed byte arrays.
type writer struct{ b []byte }

func (w *writer) byte(v byte)     { w.b = append(w.b, v) }
func (w *writer) uint(v uint64)   { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)     { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) raw(v []byte)    { w.b = append(w.b, v...) }
func (w *writer) string(v string) { w.uint(uint64(len(v))); w.b = append(w.b, v...) }
func (w *writer) bytes(v []byte)  { w.uint(uint64(len(v))); w.b = append(w.b, v...) }

func (w *writer) bool(v bool) {
	if v {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

// same writes a string that often equals the one before it in the same column:
// 0 stands for "as before", n+1 for a string of n bytes.
func (w *writer) same(v string, prev *string) {
	if v == *prev {
		w.uint(0)
		return
	}
	w.uint(uint64(len(v)) + 1)
	w.b = append(w.b, v...)
	*prev = v
}

// reader takes them apart again. The first malformed field sets bad, and all
// later reads give zero values, so that callers check once at the end.
//
// Strings share the memory of s: whoever keeps one longer than the command
// clones it.
type reader struct {
	s   string
	bad bool
}

func (r *reader) fail() { r.bad, r.s = true, "" }

func (r *reader) byte() byte {
	if len(r.s) < 1 {
		r.fail()
		return 0
	}
	v := r.s[0]
	r.s = r.s[1:]
	return v
}

func (r *reader) bool() bool {
	v := r.byte()
	if v > 1 {
		r.fail()
	}
	return v == 1
}

func (r *reader) uint() uint64 {
	var v uint64
	for i := 0; i < len(r.s) && i < binary.MaxVarintLen64; i++ {
		b := r.s[i]
		if b >= 0x80 {
			v |= uint64(b&0x7f) << (7 * i)
			continue
		}
		if i == binary.MaxVarintLen64-1 && b > 1 || i > 0 && b == 0 {
			break // overflow, or a longer form than needed: one value has one form
		}
		r.s = r.s[i+1:]
		return v | uint64(b)<<(7*i)
	}
	r.fail()
	return 0
}

func (r *reader) int() int64 {
	v := r.uint()
	return int64(v>>1) ^ -int64(v&1)
}

// small reads an unsigned number of at most limit.
func (r *reader) small(limit uint64) uint64 {
	v := r.uint()
	if v > limit {
		r.fail()
		return 0
	}
	return v
}

// count reads how many elements follow, each at least least bytes long.
func (r *reader) count(least int) int {
	n := r.uint()
	if n > uint64(len(r.s)/least) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) take(n uint64) string {
	if n > uint64(len(r.s)) {
		r.fail()
		return ""
	}
	v := r.s[:n]
	r.s = r.s[n:]
	return v
}

func (r *reader) string() string { return r.take(r.uint()) }

// bytes copies: byte slices may be changed by their readers.
func (r *reader) bytes() []byte {
	v := r.string()
	if v == "" {
		return nil
	}
	return []byte(v)
}

func (r *reader) fill(dst []byte) { copy(dst, r.take(uint64(len(dst)))) }

func (r *reader) key() (k salvor.Key) {
	r.fill(k[:])
	return k
}

func (r *reader) same(prev *string) string {
	n := r.uint()
	if n > 0 {
		*prev = r.take(n - 1)
	}
	return *prev
}

// end reports whether everything was read and nothing was malformed.
func (r *reader) end() bool { return !r.bad && r.s == "" }
