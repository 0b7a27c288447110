package frontier

import (
	"github.com/cockroachdb/pebble/v2"

	"salvor"
	"salvor/api"
)

// The registry: a table of small records about the cluster itself (api.Registry).
// It is asked rarely, and read from Pebble. A record's version is the log index
// of its last change, so that one that was removed and made again has another.

// setRecord puts a record in the place of the version it names.
func (t *tx) setRecord(x *api.Record) (version uint64, err error) {
	key := keyRecord(nil, x.Table, x.Key)
	old, err := t.record(key)
	if err != nil {
		t.fail(err)
		return 0, nil
	}
	if old != x.Version {
		return 0, salvor.Errorf(salvor.Conflict, "record %s of %s is at version %d, not %d", x.Key, x.Table, old, x.Version).
			WithHint("Read the record again and repeat the change.")
	}
	if len(x.Value) > 0 {
		version = t.index
	}
	if t.records == nil {
		t.records = map[string]uint64{}
	}
	t.records[string(key)] = version
	if version == 0 {
		t.delete(key)
		return 0, nil
	}
	var w writer
	w.byte(recordVersion)
	w.uint(version)
	w.bytes(x.Value)
	t.set(key, w.b)
	return version, nil
}

// record is the version of a record, those of this batch included; 0 if there
// is none.
func (t *tx) record(key []byte) (uint64, error) {
	if v, ok := t.records[string(key)]; ok {
		return v, nil
	}
	v, closer, err := t.m.db.Get(key)
	if err == pebble.ErrNotFound {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	var x api.Record
	ok := decodeRecord(&x, string(v))
	if err := closer.Close(); err != nil {
		return 0, err
	}
	if !ok {
		t.corrupt("record")
	}
	return x.Version, nil
}

func decodeRecord(x *api.Record, v string) bool {
	r := reader{s: v}
	if r.byte() != recordVersion {
		r.fail()
	}
	x.Version = r.uint()
	x.Value = r.bytes()
	return r.end()
}

// Records lists a table of the registry in the order of its keys, as it was
// committed here.
func (m *Machine) Records(table string) ([]api.Record, error) {
	prefix := keyTable(nil, table)
	var list []api.Record
	ok := true
	err := scan(m.db, prefix, nil, func(k, v []byte) bool {
		x := api.Record{Table: table, Key: string(k[len(prefix):])}
		ok = decodeRecord(&x, string(v))
		list = append(list, x)
		return ok
	})
	if err == nil && !ok {
		err = salvor.Errorf(salvor.Internal, "read state: malformed record of %s", table)
	}
	return list, err
}
