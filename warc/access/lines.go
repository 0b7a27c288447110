package access

import (
	"bufio"
	"net/url"
	"slices"
	"strings"

	"salvor"
	"salvor/warc/cdx"
)

// lineWriter writes what a query found in the form that was asked for.
type lineWriter struct {
	form   string   // cdxj, json (an object a line), arrays, text
	fields []string // nil: those that a line has
	names  []string // as they were asked for
	n      int
	buf    []byte
}

// waybackFields are those of the Wayback Machine's answers.
var (
	waybackFields = []string{"urlkey", "timestamp", "url", "mime", "status", "digest", "length"}
	waybackNames  = []string{"urlkey", "timestamp", "original", "mimetype", "statuscode", "digest", "length"}
	cdx11         = []string{"urlkey", "timestamp", "url", "mime", "status", "digest", "redirect", "robotflags", "length", "offset", "filename"}
)

func newLineWriter(v url.Values, d dialect) (*lineWriter, error) {
	w := &lineWriter{form: v.Get("output")}
	if list := v.Get("fl") + v.Get("fields"); list != "" {
		w.names = strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
		for _, name := range w.names {
			f, err := fieldName(name)
			if err != nil {
				return nil, err
			}
			w.fields = append(w.fields, f)
		}
	}
	if d == wayback {
		if w.fields == nil {
			w.fields, w.names = waybackFields, waybackNames
		}
		switch w.form {
		case "json":
			w.form = "arrays"
		case "":
			w.form = "text"
		}
	}
	switch w.form {
	case "":
		w.form = "cdxj"
	case "cdx":
		w.form = "text"
	case "cdxj", "json", "text", "arrays":
	default:
		return nil, salvor.Errorf(salvor.Invalid, "output is %.40q", w.form).WithHint("it is one of cdxj, json, text")
	}
	if w.form == "text" && w.fields == nil {
		w.fields = cdx11
	}
	return w, nil
}

func (w *lineWriter) contentType() string {
	switch w.form {
	case "cdxj":
		return "text/x-cdxj"
	case "json":
		return "application/x-ndjson"
	case "arrays":
		return "application/json"
	}
	return "text/plain; charset=utf-8"
}

func (w *lineWriter) begin(bw *bufio.Writer) {
	if w.form == "arrays" {
		bw.WriteString("[")
		w.array(bw, w.names)
	}
}

// line writes one. Its error is that of whoever reads.
func (w *lineWriter) line(bw *bufio.Writer, x *Found) error {
	w.n++
	switch {
	case w.form == "cdxj" && w.fields == nil:
		w.buf = x.Entry.Append(w.buf[:0])
		_, err := bw.Write(w.buf)
		return err
	case w.form == "text":
		return w.text(bw, x)
	case w.form == "arrays":
		bw.WriteString(",\n ")
		return w.array(bw, w.values(x))
	}
	return w.object(bw, x)
}

func (w *lineWriter) values(x *Found) []string {
	out := make([]string, len(w.fields))
	for i, f := range w.fields {
		if out[i] = x.f.get(f); out[i] == "" {
			out[i] = "-"
		}
	}
	return out
}

// text is a line of values with a blank between; a blank in one is escaped.
func (w *lineWriter) text(bw *bufio.Writer, x *Found) error {
	for i, v := range w.values(x) {
		if i > 0 {
			bw.WriteByte(' ')
		}
		bw.WriteString(blanks.Replace(v))
	}
	return bw.WriteByte('\n')
}

var blanks = strings.NewReplacer(" ", "%20", "\n", "%0A", "\r", "%0D", "\t", "%09")

func (w *lineWriter) array(bw *bufio.Writer, values []string) error {
	bw.WriteByte('[')
	for i, v := range values {
		if i > 0 {
			bw.WriteByte(',')
		}
		bw.Write(quoted(v))
	}
	return bw.WriteByte(']')
}

// quoted is a JSON string; a & in a URL stays one.
func quoted(s string) []byte { return cdx.AppendString(nil, s) }

// object is a JSON object, in CDXJ behind key and timestamp.
func (w *lineWriter) object(bw *bufio.Writer, x *Found) error {
	names, list := w.names, w.fields
	if w.fields == nil {
		names = slices.DeleteFunc(slices.Clone(known), func(f string) bool { return x.f.get(f) == "" })
		list = names
	}
	if w.form == "cdxj" {
		bw.Write(x.Entry.Prefix())
		bw.WriteByte(' ')
	}
	sep := "{"
	for i, f := range list {
		bw.WriteString(sep)
		bw.Write(append(append(quoted(names[i]), ": "...), quoted(x.f.get(f))...))
		sep = ", "
	}
	if sep == "{" {
		bw.WriteByte('{')
	}
	_, err := bw.WriteString("}\n")
	return err
}

// end closes the answer. The Wayback Machine's resume key comes after an empty line.
func (w *lineWriter) end(bw *bufio.Writer, a Answer, showResume bool) {
	show := showResume && a.Resume != ""
	switch {
	case w.form == "arrays" && show:
		bw.WriteString(",\n [],\n ")
		w.array(bw, []string{a.Resume})
		fallthrough
	case w.form == "arrays":
		bw.WriteString("]\n")
	case show:
		bw.WriteString("\n" + a.Resume + "\n")
	}
}
