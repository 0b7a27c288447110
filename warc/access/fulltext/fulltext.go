// Package fulltext finds pages by their words: SQLite's FTS5 over the text of what was
// captured.
//
// It is for `salvor search` and for the search page. The index holds nothing that the
// archive does not: it may be deleted at any time and is made again. A segment is in it
// whole or not at all. It is made where somebody asks for it, never by itself: who can
// search all words of a platform can find people.
package fulltext

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"unicode"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"salvor"
	"salvor/warc"
	"salvor/warc/access"
	"salvor/warc/cdx"
)

// Index is a full-text index on disk.
type Index struct{ db *sql.DB }

// tables: pages are found by their words; segments are those that are in it. Words are
// folded in case and accents.
const tables = `
create virtual table if not exists pages using fts5(title, text, url unindexed, time unindexed, record unindexed,
	tokenize='unicode61 remove_diacritics 2');
create table if not exists segments(name text primary key) without rowid;`

// Open opens the index in a file, which is made when missing.
func Open(ctx context.Context, path string) (*Index, error) {
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, failed(err)
	}
	if _, err := db.ExecContext(ctx, tables); err != nil {
		return nil, errors.Join(salvor.Errorf(salvor.Internal, "open the full-text index %s: %w", path, err).
			WithHint("it holds nothing of its own: delete it, and it is made again"), db.Close())
	}
	return &Index{db}, nil
}

// Close ends it.
func (x *Index) Close() error { return failed(x.db.Close()) }

// Update adds the pages of the segments that are not in it yet. Records that cannot be
// read are passed over: verify names them. progress hears of each segment.
func (x *Index) Update(ctx context.Context, c *access.Collection, progress func(segment string, pages int)) error {
	have := map[string]bool{}
	rows, err := x.db.QueryContext(ctx, "select name from segments")
	if err != nil {
		return failed(err)
	}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return errors.Join(failed(err), rows.Close())
		}
		have[name] = true
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return failed(err)
	}
	var fresh []string
	for name := range c.Index.Segments(ctx) {
		if !have[name] {
			fresh = append(fresh, name)
		}
	}
	for _, name := range fresh {
		n, err := x.add(ctx, c, name)
		if err != nil {
			return err
		}
		progress(name, n)
	}
	return ctx.Err()
}

// add adds a segment, in one transaction.
func (x *Index) add(ctx context.Context, c *access.Collection, segment string) (n int, err error) {
	r, _, err := c.Store.Get(ctx, warc.CDXJKey(segment))
	if salvor.ClassOf(err) == salvor.NotFound && err != nil {
		return 0, nil // joined with others meanwhile
	}
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	tx, err := x.db.BeginTx(ctx, nil)
	if err != nil {
		return 0, failed(err)
	}
	defer func() { _ = tx.Rollback() }() // of no effect once it is committed
	insert, err := tx.PrepareContext(ctx, "insert into pages values(?, ?, ?, ?, ?)")
	if err != nil {
		return 0, failed(err)
	}
	err = cdx.Read(r, func(l cdx.Line) error {
		at, err := access.ParseTime(l.Timestamp)
		cap := access.Capture{Line: l, Time: at}
		if err != nil || cap.IsRevisit() { // the words of a revisit are those of its original
			return nil
		}
		title, text, ok, err := c.Text(ctx, cap)
		if err != nil && (ctx.Err() != nil || salvor.ClassOf(err) == salvor.Unavailable) {
			return err
		}
		if err != nil || !ok {
			return nil
		}
		n++
		_, err = insert.ExecContext(ctx, title, text, l.URL, l.Timestamp, l.ID)
		return failed(err)
	})
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, "insert into segments values(?)", segment); err != nil {
		return 0, failed(err)
	}
	return n, failed(tx.Commit())
}

// Search finds pages with all the words of a query, those first where the words weigh
// most (BM25, a title ten times its text). "two words" in quotes stand next to each
// other, word* begins with word, -word is not in the page. Matches in a snippet stand
// between MarkBegin and MarkEnd.
func (x *Index) Search(ctx context.Context, query string, limit, offset int) (hits []access.Hit, err error) {
	match, err := matchOf(query)
	if err != nil {
		return nil, err
	}
	rows, err := x.db.QueryContext(ctx, `select url, time, record, title, snippet(pages, 1, ?, ?, '…', 24) from pages where pages match ? order by bm25(pages, 10.0, 1.0) limit ? offset ?`,
		access.MarkBegin, access.MarkEnd, match, limit, offset)
	if err != nil {
		return nil, failed(err)
	}
	defer func() { err = errors.Join(err, failed(rows.Close())) }()
	for rows.Next() {
		var h access.Hit
		var at string
		if err := rows.Scan(&h.URL, &at, &h.Record, &h.Title, &h.Snippet); err != nil {
			return nil, failed(err)
		}
		if h.Time, err = access.ParseTime(at); err != nil {
			return nil, err
		}
		hits = append(hits, h)
	}
	return hits, failed(rows.Err())
}

// mostWords bounds a query.
const mostWords = 64

// matchOf is a query in FTS5's language, in which nothing a person types can be wrong.
func matchOf(query string) (string, error) {
	var with, without []string
	for _, w := range words(query) {
		not := false
		if rest, ok := strings.CutPrefix(w, "-"); ok && rest != "" {
			w, not = rest, true
		}
		stem, prefix := strings.CutSuffix(w, "*")
		q := `"` + strings.ReplaceAll(strings.Trim(stem, `"`), `"`, ``) + `"`
		if !strings.ContainsFunc(q, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
			continue
		}
		if prefix {
			q += "*"
		}
		if not {
			without = append(without, q)
		} else {
			with = append(with, q)
		}
	}
	switch {
	case len(with) == 0:
		return "", salvor.Errorf(salvor.Invalid, "%.80q has no word to search for", query).WithHint(`write words; "two words" in quotes stand together, word* begins with word, -word is not in the page`)
	case len(with)+len(without) > mostWords:
		return "", salvor.Errorf(salvor.Invalid, "the query has more than %d words", mostWords)
	}
	out := strings.Join(with, " AND ")
	if len(without) > 0 {
		out = "(" + out + ") NOT (" + strings.Join(without, " OR ") + ")"
	}
	return out, nil
}

// words takes a query apart at its blanks; what stands in quotes stays together.
func words(query string) (out []string) {
	for i, part := range strings.Split(query, `"`) {
		if i%2 == 1 {
			out = append(out, part)
			continue
		}
		out = append(out, strings.Fields(part)...)
	}
	return out
}

func failed(err error) error {
	if err == nil {
		return nil
	}
	return salvor.Errorf(salvor.Internal, "full-text index: %w", err)
}
