package extract

import "bytes"

// tag is a start tag: its name and the raw values of the attributes that
// matter, the first of each.
type tag struct {
	id   tagID
	name []byte
	has  uint64 // bit set of attrID
	val  [numAttrs][]byte
}

func (t *tag) get(a attrID) ([]byte, bool) {
	if t.has&(1<<a) == 0 {
		return nil, false
	}
	return t.val[a], true
}

// space, and what else ends a name or an unquoted value.
const (
	isSpace uint8 = 1 << iota
	endsName
	endsAttr
)

var ends = func() (t [256]uint8) {
	for _, c := range " \t\n\r\f" {
		t[c] = isSpace | endsName | endsAttr
	}
	t['/'] |= endsName | endsAttr
	t['>'] |= endsName | endsAttr
	t['='] |= endsAttr
	return t
}()

// readTag reads a start tag whose name begins at b[i]. It returns the place
// after its '>', or -1 if the input ends before: then there is no tag.
// (https://html.spec.whatwg.org/#tag-name-state and following)
func (t *tag) readTag(b []byte, i int) int {
	t.has = 0
	start := i
	for i < len(b) && ends[b[i]]&endsName == 0 {
		i++
	}
	t.name = b[start:i]
	t.id = findTag(t.name)
	return attributes(b, i, func(name, value []byte) {
		if id, ok := attrTable.find(name); ok && t.has&(1<<id) == 0 {
			t.has |= 1 << id
			t.val[id] = value
		}
	})
}

// attributes calls f for each attribute with its raw value, and returns the
// place after the tag's '>', or -1.
func attributes(b []byte, i int, f func(name, value []byte)) int {
	for {
		for i < len(b) && (ends[b[i]]&isSpace != 0 || b[i] == '/') {
			i++
		}
		if i >= len(b) {
			return -1
		}
		if b[i] == '>' {
			return i + 1
		}
		start := i
		i++ // a leading '=' belongs to the name
		for i < len(b) && ends[b[i]]&endsAttr == 0 {
			i++
		}
		name := b[start:i]
		for i < len(b) && ends[b[i]]&isSpace != 0 {
			i++
		}
		if i >= len(b) {
			return -1
		}
		if b[i] != '=' {
			f(name, nil)
			continue
		}
		var value []byte
		if value, i = attributeValue(b, i+1); i < 0 {
			return -1
		}
		f(name, value)
	}
}

// attributeValue reads what stands after '='.
func attributeValue(b []byte, i int) ([]byte, int) {
	for i < len(b) && ends[b[i]]&isSpace != 0 {
		i++
	}
	if i >= len(b) {
		return nil, -1
	}
	switch q := b[i]; q {
	case '>':
		return nil, i
	case '"', '\'':
		n := bytes.IndexByte(b[i+1:], q)
		if n < 0 {
			return nil, -1
		}
		return b[i+1 : i+1+n], i + n + 2
	}
	start := i
	for i < len(b) && b[i] != '>' && ends[b[i]]&isSpace == 0 {
		i++
	}
	return b[start:i], i
}
