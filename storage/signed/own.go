package signed

import (
	"regexp"
	"strings"

	"salvor"
)

// Own is the rule for a worker: it may put the segments that bear its name,
// with their indexes and journals (…-TIME-SERIAL-NODE.warc.gz, .cdxj and
// .journal.gz, as package warc names them; NODE may have a crawl's number behind
// it, NODE_7), anywhere below prefix, which ends with a slash; it may put what it
// likes into directories nodes/NODE/ there; read everything below prefix; and
// delete nothing.
func Own(prefix, node string) func(Op, string) error {
	name := regexp.MustCompile(`^[A-Za-z0-9_-]+-[0-9]{17}-[0-9]{5,16}-` + regexp.QuoteMeta(node) + `(_[0-9]+)?\.(warc\.gz|cdxj|journal\.gz)$`)
	return func(op Op, key string) error {
		switch {
		case !strings.HasPrefix(key, prefix):
			return salvor.Errorf(salvor.Forbidden, "%s %s: worker %s may only work below %s", op, key, node, prefix)
		case op == OpGet, op == OpStat, op == OpList:
			return nil
		case op != OpPut:
			return salvor.Errorf(salvor.Forbidden, "%s %s: workers may put and read only", op, key)
		case strings.Contains(key, "/nodes/"+node+"/"):
			return nil
		case !name.MatchString(key[strings.LastIndexByte(key, '/')+1:]):
			return salvor.Errorf(salvor.Forbidden, "put %s: it is no file of the worker %s", key, node).
				WithHint("a worker puts segments whose names end with its own: does another node use this certificate?")
		}
		return nil
	}
}
