package access

import (
	"encoding/json"
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"salvor"
	"salvor/warc/cdx/index"
)

// fields are those of a line, read when one is asked for.
type fields struct {
	entry *index.Entry
	read  bool
	m     map[string]string
	bad   bool
}

// aliases are the names of pywb, of the Wayback Machine and of CDX-11.
var aliases = map[string]string{
	"original": "url", "mimetype": "mime", "statuscode": "status", "key": "urlkey",
	"N": "urlkey", "b": "timestamp", "a": "url", "m": "mime", "s": "status", "k": "digest", "S": "length", "V": "offset", "g": "filename", "file": "filename",
}

// known are all fields, in the order in which they are listed by default.
var known = []string{"urlkey", "timestamp", "url", "mime", "status", "digest", "length", "offset", "filename", "mime-detected", "date", "id", "redirect", "robotflags"}

func fieldName(name string) (string, error) {
	if a, ok := aliases[name]; ok {
		name = a
	}
	if !slices.Contains(known, name) {
		return "", salvor.Errorf(salvor.Invalid, "there is no field %.40q", name).WithHint("the fields are %s", strings.Join(known, ", "))
	}
	return name, nil
}

// get is a field's value; "" where the line has none.
func (f *fields) get(name string) string {
	switch name {
	case "urlkey":
		return string(f.entry.Key())
	case "timestamp":
		return string(f.entry.Timestamp())
	}
	if !f.read {
		f.parse()
	}
	return f.m[name]
}

func (f *fields) parse() {
	f.read = true
	var any map[string]json.RawMessage
	if f.bad = json.Unmarshal(f.entry.Object, &any) != nil; f.bad {
		return
	}
	f.m = make(map[string]string, len(any))
	for k, v := range any {
		var s string
		if json.Unmarshal(v, &s) != nil {
			s = strings.Trim(string(v), `"`)
		}
		f.m[k] = s
	}
}

// Filter keeps lines by one field.
type Filter struct {
	Field string
	Not   bool
	// One of these:
	Is, Has string
	Like    *regexp.Regexp
}

func (f *Filter) keeps(x *fields) bool {
	v := x.get(f.Field)
	ok := false
	switch {
	case f.Like != nil:
		ok = f.Like.MatchString(v)
	case f.Has != "":
		ok = strings.Contains(v, f.Has)
	default:
		ok = v == f.Is
	}
	return ok != f.Not
}

// ParseFilter reads a filter in pywb's form.
func ParseFilter(s string) (Filter, error) { return filterPywb(s) }

// filterPywb reads pywb's form: [!][=|~]FIELD:TEXT, which is contained, the same, or
// an expression that the value begins with.
func filterPywb(s string) (Filter, error) {
	rest, not := strings.CutPrefix(s, "!")
	kind := byte(0)
	if rest != "" && (rest[0] == '=' || rest[0] == '~') {
		kind, rest = rest[0], rest[1:]
	}
	return filterOf(s, rest, not, kind, "")
}

// filterWayback reads the Wayback Machine's, and OutbackCDX': [!]FIELD:EXPRESSION.
// OutbackCDX' = before the field is taken too.
func filterWayback(s string) (Filter, error) {
	rest, not := strings.CutPrefix(s, "!")
	if r, ok := strings.CutPrefix(rest, "="); ok {
		return filterOf(s, r, not, '=', "")
	}
	return filterOf(s, strings.TrimPrefix(rest, "~"), not, '~', "$")
}

const mostInstructions = 2000

// expression compiles one. RE2 takes time in proportion to the value and to the
// expression, so that is bounded too.
func expression(text, end string) (*regexp.Regexp, error) {
	text = "^(?:" + text + ")" + end
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if len(prog.Inst) > mostInstructions {
		return nil, errors.New("it is too large")
	}
	return regexp.Compile(text)
}

// filterOf makes a filter; end closes an expression: "$" where it is for the whole value.
func filterOf(whole, rest string, not bool, kind byte, end string) (f Filter, err error) {
	name, text, ok := strings.Cut(rest, ":")
	if !ok {
		return f, salvor.Errorf(salvor.Invalid, "the filter %.80q names no field", whole).WithHint("write FIELD:TEXT, mime:image say")
	}
	if f.Field, err = fieldName(name); err != nil {
		return f, err
	}
	f.Not = not
	switch kind {
	case '=':
		f.Is = text
	case '~':
		if f.Like, err = expression(text, end); err != nil {
			return f, salvor.Errorf(salvor.Invalid, "the filter %.80q has no regular expression to be used: %w", whole, err)
		}
	default:
		f.Has = text
	}
	return f, nil
}
