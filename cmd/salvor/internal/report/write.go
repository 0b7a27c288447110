package report

import (
	"context"
	"encoding/json"
	"io"
	"path/filepath"

	"salvor/api"
	"salvor/storage/durable"
)

// Write builds the report and puts all its files into dir, but not the
// manifest: that comes last, when nothing else in dir changes any more.
func Write(ctx context.Context, dir string, v api.View, c api.Crawl, x Extra) (*Report, error) {
	var r *Report
	err := durable.WriteFile(filepath.Join(dir, NotSavedFile), func(w io.Writer) (err error) {
		if _, err := io.WriteString(w, missedHeader); err != nil {
			return err
		}
		r, err = build(ctx, v, c, x, func(m Missed) error { return missedRow(w, m) })
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, f := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{SeedsFile, r.SeedsTSV}, {HostsFile, r.HostsTSV}, {TypesFile, r.TypesTSV}, {JSONFile, r.JSON}, {HTMLFile, r.HTML},
	} {
		if err := durable.WriteFile(filepath.Join(dir, f.name), f.write); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// JSON writes report.json.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
