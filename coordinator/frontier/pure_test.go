package frontier

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// pure is all that the state machine may import. What parses URLs, knows public
// suffixes, patterns or charsets changes from one version to the next and would
// split replicas (protocol 1); so would randomness. A new name here needs a
// reason why its answers never change.
var pure = []string{
	"bytes", "cmp", "context", "encoding/binary", "fmt", "maps", "math", "slices", "sort", "strings", "sync", "sync/atomic", "unsafe",
	"github.com/cockroachdb/pebble/v2", "github.com/cockroachdb/pebble/v2/bloom", "github.com/cockroachdb/pebble/v2/vfs",
	"salvor", "salvor/api",
}

// TestApplyIsPure: nor does anything run beside it.
func TestApplyIsPure(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	read := 0
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		read++
		f, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if path, _ := strconv.Unquote(i.Path.Value); !slices.Contains(pure, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if g, ok := n.(*ast.GoStmt); ok {
				t.Errorf("%s starts a goroutine", files.Position(g.Pos()))
			}
			return true
		})
	}
	if read < 20 {
		t.Errorf("only %d files were read", read)
	}
}

// TestVocabularyIsPure: what the machine takes from the vocabulary is as pure.
// It knows durations, but not the time.
func TestVocabularyIsPure(t *testing.T) {
	allowed := []string{"encoding/base32", "encoding/hex", "errors", "fmt", "context", "time", "salvor", "github.com/dchest/siphash"}
	files := token.NewFileSet()
	for _, pattern := range []string{"../../*.go", "../../api/*.go"} {
		names, err := filepath.Glob(pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(names), err)
		}
		for _, name := range names {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(files, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				if path, _ := strconv.Unquote(i.Path.Value); !slices.Contains(allowed, path) {
					t.Errorf("%s imports %s", name, path)
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if x, isName := ast.Unparen(exprOf(s)).(*ast.Ident); ok && isName && x.Name == "time" && slices.Contains(clocks, s.Sel.Name) {
					t.Errorf("%s calls time.%s", files.Position(s.Pos()), s.Sel.Name)
				}
				return true
			})
		}
	}
}

var clocks = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer", "NewTicker"}

// exprOf is what a selector selects from; nil of none.
func exprOf(s *ast.SelectorExpr) ast.Expr {
	if s == nil {
		return nil
	}
	return s.X
}
