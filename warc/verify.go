package warc

import "context"

// Report is what Verify found in a file.
type Report struct {
	Records  int64
	Bytes    int64 // of the file
	ByType   map[string]int64
	Digests  int64 // digests compared
	SHA256   [32]byte
	Problems []Problem // at most MaxProblems
	More     int64     // problems beyond those
}

// Problem is one defect and where it is.
type Problem struct {
	Offset int64
	Record string // WARC-Record-ID, when known
	Text   string
}

// OK reports whether nothing was found.
func (r Report) OK() bool { return len(r.Problems) == 0 }

// Verify reads a file member by member and checks framing, headers and
// digests. An error means that the file could not be read at all.
func Verify(ctx context.Context, path string) (Report, error) { return Report{}, errNotYet }
