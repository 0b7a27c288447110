package warc

import (
	"fmt"
	"path/filepath"
	"strings"
)

// nextName draws a serial and makes it durable before it is used.
func (p *Pool) nextName() (string, error) {
	p.serial++
	path := filepath.Join(p.c.Dir, serialFile)
	if err := writeDurably(p.fs, path, fmt.Appendf(nil, "%d\n", p.serial)); err != nil {
		return "", err
	}
	stamp := p.c.Now().UTC().Format("20060102150405.000")
	return fmt.Sprintf("%s-%s%s-%05d-%s.warc.gz", p.c.Prefix, stamp[:14], stamp[15:], p.serial, p.c.Node), nil
}

const serialFile = "serial"

// Key is where a segment lies in the Store; its CDXJ lies beside it, under
// CDXJKey.
func Key(name string) string { return "warc/" + name }

// CDXJKey is where a segment's index lies.
func CDXJKey(name string) string {
	return "warc/" + strings.TrimSuffix(name, ".warc.gz") + ".cdxj"
}

// JournalKey is where a segment's packed journal lies, when it is kept.
func JournalKey(name string) string {
	return "journals/" + strings.TrimSuffix(name, ".warc.gz") + ".journal.gz"
}
