package trust

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"time"

	"salvor"
	"salvor/api"
)

// tableNames maps pseudonyms to node ids, so that each is given once.
const tableNames = "names"

// row is one record of the registry as its type.
type row[T any] struct {
	key     string
	value   T
	version uint64
}

// rows reads a table.
func rows[T any](ctx context.Context, reg api.Registry, table string) ([]row[T], error) {
	records, err := reg.Records(ctx, table)
	if err != nil {
		return nil, err
	}
	out := make([]row[T], len(records))
	for i, r := range records {
		out[i].key, out[i].version = r.Key, r.Version
		if err := json.Unmarshal(r.Value, &out[i].value); err != nil {
			return nil, salvor.Errorf(salvor.Internal, "row %s of the table %s cannot be read: %w", r.Key, table, err)
		}
	}
	return out, nil
}

// get finds one row; the zero row, with version 0, if there is none.
func get[T any](ctx context.Context, reg api.Registry, table, key string) (row[T], error) {
	all, err := rows[T](ctx, reg, table)
	if err != nil {
		return row[T]{}, err
	}
	for _, r := range all {
		if r.key == key {
			return r, nil
		}
	}
	return row[T]{key: key}, nil
}

// put writes a row in the place of the version it was read at.
func put[T any](ctx context.Context, reg api.Registry, table string, r row[T]) error {
	b, err := json.Marshal(r.value)
	if err != nil {
		return salvor.Errorf(salvor.Internal, "write row %s of the table %s: %w", r.key, table, err)
	}
	_, err = reg.SetRecord(ctx, api.Record{Table: table, Key: r.key, Value: b, Version: r.version})
	return err
}

// maxTries of a change against others who change the same row. Each loser
// means a winner, so this bounds how many machines may join at one moment.
const maxTries = 300

// change reads a row, lets f change it and writes it, again if somebody else
// wrote it meanwhile. f returns false to leave it as it is. A row that is not
// there has version 0.
func change[T any](ctx context.Context, reg api.Registry, table, key string, f func(*row[T]) (bool, error)) (T, error) {
	for try := range maxTries {
		r, err := get[T](ctx, reg, table, key)
		if err != nil {
			return r.value, err
		}
		if write, err := f(&r); err != nil || !write {
			return r.value, err
		}
		if err = put(ctx, reg, table, r); salvor.ClassOf(err) != salvor.Conflict || err == nil {
			return r.value, err
		}
		if err := pause(ctx, time.Duration(rand.Int64N(int64(min(try+1, 20))*int64(time.Millisecond)))); err != nil {
			return r.value, err
		}
	}
	return *new(T), salvor.Errorf(salvor.Unavailable, "row %s of the table %s is changed by too many at once", key, table).WithHint("try again")
}

// pause waits, or returns why ctx ended.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return salvor.Errorf(salvor.Interrupted, "stopped while waiting: %w", context.Cause(ctx))
	}
}
