package extract

import (
	"strings"

	"golang.org/x/net/html"
)

// cleanTitle replaces character references, collapses white space and cuts.
func cleanTitle(s string) string {
	s = strings.ToValidUTF8(strings.Join(strings.Fields(html.UnescapeString(s)), " "), "\ufffd")
	if len(s) > maxTitle {
		s = strings.ToValidUTF8(s[:maxTitle], "")
	}
	return s
}
