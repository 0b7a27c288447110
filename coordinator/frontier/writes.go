package frontier

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/cockroachdb/pebble/v2"
)

// writes are the changes of a batch to Pebble. They are handed over in the order
// of their keys: neighbours in the memtable are found in a few steps, and that
// halves what writing an item costs.
type writes struct {
	ops  []op
	data []byte
}

type op struct {
	kind       opKind
	key, value uint32 // where they end in data; the key begins where the last op ended
	from       uint32
}

type opKind uint8

const (
	opSet opKind = iota
	opDelete
	opOnce
)

func (w *writes) add(kind opKind, key, value []byte) {
	o := op{kind: kind, from: uint32(len(w.data))}
	w.data = append(w.data, key...)
	o.key = uint32(len(w.data))
	w.data = append(w.data, value...)
	o.value = uint32(len(w.data))
	w.ops = append(w.ops, o)
}

func (w *writes) set(key, value []byte) { w.add(opSet, key, value) }
func (w *writes) delete(key []byte)     { w.add(opDelete, key, nil) }

// once deletes a key that was written exactly once since it was last deleted,
// so that key and tombstone vanish when they meet.
func (w *writes) once(key []byte) { w.add(opOnce, key, nil) }

// flush puts the changes in a batch. Changes of the same key keep their order.
func (w *writes) flush(b *pebble.Batch) error {
	slices.SortFunc(w.ops, func(x, y op) int {
		if c := bytes.Compare(w.data[x.from:x.key], w.data[y.from:y.key]); c != 0 {
			return c
		}
		return cmp.Compare(x.from, y.from)
	})
	for _, o := range w.ops {
		key, value := w.data[o.from:o.key], w.data[o.key:o.value]
		var err error
		switch o.kind {
		case opSet:
			err = b.Set(key, value, nil)
		case opDelete:
			err = b.Delete(key, nil)
		case opOnce:
			err = b.SingleDelete(key, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
