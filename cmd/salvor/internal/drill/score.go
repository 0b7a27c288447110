package drill

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"salvor/cmd/salvor/internal/drill/platform"
	"salvor/storage/durable"
	"salvor/warc/cdx"
)

// Point is the value saved by a moment.
type Point struct {
	At    time.Duration `json:"at"`
	Value float64       `json:"value"`
}

// SiteScore is what was saved of a platform.
type SiteScore struct {
	Name     string        `json:"name"`
	Pages    int           `json:"pages"`
	Saved    int           `json:"saved"`
	Value    float64       `json:"value"` // of all its pages
	Got      float64       `json:"value_saved"`
	Deadline time.Duration `json:"deadline,omitempty"` // as it was announced last
	Death    time.Duration `json:"death,omitempty"`    // as it came
	Served   int           `json:"served"`             // pages that it gave out whole
	platform.Tally
}

// archive is what lies in a Store: digests by URL.
type archive map[string][]string

// readArchive reads the indexes of all segments of a Store.
func readArchive(dir string) (archive, error) {
	out := archive{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".cdxj") {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		return cdx.Read(f, func(l cdx.Line) error {
			out[l.URL] = append(out[l.URL], l.Digest)
			return nil
		})
	})
	if err != nil {
		return nil, durable.Error(err, "read the archive in", dir)
	}
	return out, nil
}

// score holds an archive against what the platforms had. A page counts when the
// archive has its very bytes: those of an error, or of a page that says that the
// account was suspended, are worth nothing.
func score(a archive, s *Scenario, set *platform.Set) (sites []SiteScore, curve []Point) {
	for k, x := range set.Sites {
		n := SiteScore{Name: x.Spec.Name, Pages: x.Len(), Value: x.Total(), Death: x.Spec.Manner.Death, Tally: x.Tally()}
		notices := s.Sites[k].Notices
		n.Deadline = notices[len(notices)-1].Deadline
		for i := range x.Len() {
			at, served := x.Served(i)
			if !served {
				continue
			}
			n.Served++
			if slices.Contains(a[strings.TrimSuffix(x.URL, "/")+x.Path(i)], x.Digest(i).String()) {
				n.Saved++
				n.Got += x.Value(i)
				curve = append(curve, Point{at, x.Value(i)})
			}
		}
		sites = append(sites, n)
	}
	slices.SortFunc(curve, func(a, b Point) int { return cmp.Compare(a.At, b.At) })
	sum := 0.0
	for i := range curve {
		sum += curve[i].Value
		curve[i].Value = sum
	}
	return sites, curve
}
