package extract

import (
	"errors"
	"hash/maphash"
	"sync"
	"unsafe"

	"salvor/crawler/canon"
)

// scan is the state of one document's extraction.
type scan struct {
	doc   Document
	emit  func(Link)
	info  Info
	base  *canon.Base
	href  []byte // of the first <base>
	based bool   // it is in force
	xml   bool
	dec   decoder
	svg   bool // inside <svg>
	depth int  // of srcdoc documents
	tag   tag
	refs  []ref
	arena []byte // decoded values that refs point into
	seen  seenRefs
}

// ref is a reference that waits for the document's end: the first <base> holds
// for the links before it, too.
type ref struct {
	text    []byte
	kind    Kind
	context string
}

const (
	// maxRefs is how many references wait at most; a page with more has shown
	// its <base>.
	maxRefs = 1 << 14
	// maxArena is how much memory a scan keeps for the next document.
	maxArena = 1 << 16
)

var scans = sync.Pool{New: func() any { return &scan{seen: seenRefs{seed: maphash.MakeSeed()}} }}

// release gives the scan's memory back for the next document, without keeping
// anything of this one.
func (s *scan) release() {
	clear(s.refs[:cap(s.refs)])
	refs, arena, seen := s.refs[:0], s.arena[:0], s.seen
	if cap(refs) > maxRefs {
		refs = nil
	}
	if cap(arena) > maxArena {
		arena = nil
	}
	seen.reset()
	*s = scan{refs: refs, arena: arena, seen: seen}
	scans.Put(s)
}

// ref notes a reference, once a document, kind and text. One that is only a
// fragment leads to the page itself.
func (s *scan) ref(text []byte, kind Kind, context string) {
	text = trim(text)
	if len(text) == 0 || text[0] == '#' || s.seen.add(text, kind) {
		return
	}
	s.refs = append(s.refs, ref{text, kind, context})
	if len(s.refs) >= maxRefs {
		s.flush()
		s.arena = nil // what the caller reads on may lie in it
	}
}

// flush resolves and emits what was noted.
func (s *scan) flush() {
	s.rebase()
	for _, r := range s.refs {
		s.resolve(r)
	}
	s.refs, s.arena = s.refs[:0], s.arena[:0]
}

// rebase puts the first <base> in force, once.
func (s *scan) rebase() {
	if s.href == nil || s.based {
		return
	}
	s.based = true
	if u, err := s.base.Resolve(view(s.href)); err == nil { // else, as in browsers, there is none
		s.base = canon.BaseOf(u)
		s.base.SetCharset(s.dec.name)
	}
}

func (s *scan) resolve(r ref) {
	u, err := s.base.Resolve(view(r.text))
	switch {
	case err == nil:
		s.info.Links++
		s.emit(Link{u, r.kind, r.context})
	case errors.Is(err, canon.ErrScheme), len(r.text) > 5 && equalFold(r.text[:5], "data:"): // however long
		s.info.Other++
	default:
		s.info.BadRefs++
	}
}

// view is b as a string without a copy; Resolve keeps nothing of it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func trim(b []byte) []byte {
	for len(b) > 0 && b[0] <= ' ' {
		b = b[1:]
	}
	for len(b) > 0 && b[len(b)-1] <= ' ' {
		b = b[:len(b)-1]
	}
	return b
}

// seenRefs remembers references by a keyed hash, so that a menu that stands
// twice on a page costs little. A full table forgets: a link told twice does
// no harm.
type seenRefs struct {
	seed  maphash.Seed
	table []uint64
	n     int
}

const (
	seenStart = 512
	seenMost  = 1 << 17
)

func (t *seenRefs) reset() {
	if len(t.table) > seenStart {
		t.table = nil
	} else if t.n > 0 {
		clear(t.table)
	}
	t.n = 0
}

// add reports whether (text, kind) was there.
func (t *seenRefs) add(text []byte, kind Kind) bool {
	if t.table == nil {
		t.table = make([]uint64, seenStart)
	}
	if 2*t.n >= len(t.table) {
		t.grow()
	}
	return t.put((maphash.Bytes(t.seed, text)*31 + uint64(kind)) | 1<<63)
}

func (t *seenRefs) put(h uint64) bool {
	mask := uint64(len(t.table) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch t.table[i] {
		case h:
			return true
		case 0:
			t.table[i] = h
			t.n++
			return false
		}
	}
}

func (t *seenRefs) grow() {
	old := t.table
	t.n = 0
	if len(old) >= seenMost {
		clear(t.table)
		return
	}
	t.table = make([]uint64, 2*len(old))
	for _, h := range old {
		if h != 0 {
			t.put(h)
		}
	}
}
