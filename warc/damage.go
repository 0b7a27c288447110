package warc

import (
	"errors"
	"fmt"

	"salvor"
)

// Damage is where and why a file cannot be read any further.
type Damage struct {
	Offset int64
	Text   string
}

func (d *Damage) Error() string { return fmt.Sprintf("offset %d: %s", d.Offset, d.Text) }

// IsDamage reports whether an error of Next is about the file's content.
func IsDamage(err error) bool {
	_, ok := errors.AsType[*Damage](err)
	return ok
}

// damaged gives damage met where none should be its class.
func damaged(path string, err error) error {
	return salvor.Errorf(salvor.Invalid, "%s: %w", path, err).
		WithHint("The file was changed after it was written; compare it with manifest-sha256.txt and restore it from a copy.")
}
